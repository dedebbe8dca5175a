"""Offices: made anew for each test, see office.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from app.store.database import Database
from tests.integration.office import Office, open_office


@pytest.fixture
def make_office(database: Database, team: Callable[..., int]) -> Callable[..., Office]:
    """Make offices, each of a team of its own."""
    return partial(open_office, database, team)


@pytest.fixture
def office(make_office: Callable[..., Office]) -> Office:
    """Make an office whose mailbox was read once, so that its cursor points at now, and which rested since."""
    made = make_office()
    made.sync()
    made.clock.step(minutes=1)
    return made
