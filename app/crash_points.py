"""Moments at which tests/chaos kills a process, to show that nothing is lost or doubled whenever it dies.

A crash between two steps cannot be brought about from outside at the right moment, so the code names its step
boundaries: before and after each commit, and after each answer of a vendor. Naming one costs a look at the environment,
so they stand between batches and pages, never in a loop over messages and never in pure code.
"""

from __future__ import annotations

import os
import signal

CRASH_AT = "THREADLINK_CRASH_AT"


def crash_point(name: str) -> None:
    """Do nothing, unless the environment says that the process is to die here: then kill it, as SIGKILL does."""
    if os.environ.get(CRASH_AT) == name:
        os.kill(os.getpid(), signal.SIGKILL)
