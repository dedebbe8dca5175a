"""P10: 100 pushes within a second for one account make at most three sync runs, and nothing is missed."""

from __future__ import annotations

import threading
from typing import Any
from unittest import mock

import sqlalchemy as sa

from app import sync
from tests.bench.row import Row
from tests.bench.stage import MAILBOX, START, mail, stage

PUSHES = 100
MAX_RUNS = 3


def measure() -> list[Row]:
    """Deliver a hundred messages at once, each with its push, and count the runs that read them."""
    runs: list[int] = []
    counted = sync.sync_account

    def count(*args: Any, **kwargs: Any) -> sync.Synced:
        runs.append(threading.get_ident())
        return counted(*args, **kwargs)

    with stage() as world, mock.patch("app.sync.sync_account", count):
        simulator = world.simulators["gmail"]
        for number in range(PUSHES):
            simulator.deliver(MAILBOX, mail(number), at=START)
        world.settle()
        with world.team() as connection:
            stored = connection.execute(sa.text("SELECT count(*) FROM message")).scalar_one()
    ok = len(runs) <= MAX_RUNS and stored == PUSHES
    what = f"sync runs for {PUSHES} pushes of one account; {stored} of {PUSHES} stored"
    return [Row("P10", what, len(runs), None, "runs", None, f"<= {MAX_RUNS}, nothing missed", ok)]
