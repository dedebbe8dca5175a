"""A worker that is killed (SIGKILL) again and again loses nothing and doubles nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.demo.stage import Stage
from app.scenario.read import parse
from tests.bench.stage import MAILBOX, SCENARIO, mail

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

MESSAGES, KILLS = 80, 6


def _worker(stage: Stage) -> subprocess.Popen[bytes]:
    """Start a worker process as an operator would, on the stage's database and simulators."""
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", "worker"],
        env={**os.environ, **stage.environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_worker_killed_at_any_moment_loses_no_mail_and_doubles_no_note() -> None:
    moments = random.Random(7)
    now = datetime.now(UTC)
    scenario = parse(SCENARIO.replace("2026-03-02T08:00:00Z", f"{now:%Y-%m-%dT%H:%M:%SZ}"), Path("killed.yaml"))
    with Stage(scenario) as stage:
        stage.pause_worker()
        simulator = stage.simulators["gmail"]
        for number in range(MESSAGES):
            at = now + timedelta(seconds=number)
            stage.delivered.add((MAILBOX, simulator.deliver(MAILBOX, mail(number, at), at=at)))
        for _ in range(KILLS):
            worker = _worker(stage)
            time.sleep(1.5 + moments.random())
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        worker = _worker(stage)
        try:
            _wait_until_done(stage)
        finally:
            worker.terminate()
            worker.wait(60)
        with stage.team() as connection:
            stored = connection.execute(sa.text("SELECT count(*) FROM message")).scalar_one()
            linked = connection.execute(sa.text("SELECT count(*) FROM link WHERE is_primary")).scalar_one()
            states = set(connection.execute(sa.text("SELECT DISTINCT state FROM discovered_message")).scalars())
        notes = stage.crm_records.notes("deal", "d1")
    assert stored == MESSAGES
    assert linked == MESSAGES
    assert states == {"stored"}
    assert len(notes) == MESSAGES, "one note for each conversation"
    assert len(set(notes)) == MESSAGES


def _wait_until_done(stage: Stage) -> None:
    """Wait until the last worker has taken over from the killed ones: their heartbeats must run out first."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with stage.team() as connection:
            owed = connection.execute(
                sa.text(
                    """
                    SELECT (SELECT count(*) FROM discovered_message WHERE state = 'pending')
                      + (SELECT count(*) FROM crm_write WHERE written < wanted)
                      + greatest(0, :messages - (SELECT count(*) FROM message))
                    """
                ),
                {"messages": MESSAGES},
            ).scalar_one()
        if owed == 0:
            return
        time.sleep(0.5)
    pytest.fail("the last worker did not finish what the killed ones left")
