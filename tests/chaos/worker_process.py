"""Processes of threadlink that may be killed, forked from one that has loaded everything: each starts fast."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from app.cli import main
from app.crash_points import CRASH_AT

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["app.bootstrap", "app.scenario.run", "connectors", "tests.chaos.worker_process"])


def start(command: str, environ: Mapping[str, str], log: Path, crash_at: str = "") -> BaseProcess:
    """Start `threadlink COMMAND` in a process of its own; it dies at the crash point that is named."""
    process = _FORKS.Process(target=_run, args=(command, {**environ, CRASH_AT: crash_at}, log), daemon=True)
    process.start()
    return process


def _run(command: str, environ: Mapping[str, str], log: Path) -> None:
    os.environ.update(environ)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["threadlink", command]
    main()
