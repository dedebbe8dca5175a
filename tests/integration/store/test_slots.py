"""Places that processes share: no more than there are, given back whatever happens, and a wait that ends."""

from __future__ import annotations

import threading
import time

import pytest

from app.store.database import Database
from app.store.slots import SharedSlots

pytestmark = pytest.mark.integration


@pytest.fixture
def other(database_url: str, database: Database) -> Database:
    """Open the database as another process would."""
    opened = Database(database_url)
    yield opened  # type: ignore[misc]  # a generator fixture
    opened.close()


def test_no_more_places_are_taken_than_there_are(database: Database, other: Database) -> None:
    ours, theirs = SharedSlots(database, 0.2), SharedSlots(other, 0.2)
    with ours.hold("a", 3, 4):
        with theirs.hold("a", 1, 4), pytest.raises(TimeoutError), ours.hold("a", 1, 4):
            pytest.fail("five of four places")
        with pytest.raises(TimeoutError), theirs.hold("a", 2, 4):
            pytest.fail("five of four places")
        with theirs.hold("b", 4, 4):
            pass  # another mailbox has places of its own
    with theirs.hold("a", 4, 4):
        pass


def test_places_come_back_after_an_error_and_with_a_lost_connection(database: Database, other: Database) -> None:
    with pytest.raises(ValueError, match="no"), SharedSlots(other).hold("a", 4, 4):
        raise ValueError("no")
    with SharedSlots(database, 0.2).hold("a", 4, 4):
        pass


def test_who_waits_gets_the_place_that_comes_free(database: Database, other: Database) -> None:
    holding, waited = threading.Event(), []

    def wait() -> None:
        holding.wait(5)
        begin = time.monotonic()
        with SharedSlots(other).hold("a", 1, 1):
            waited.append(time.monotonic() - begin)

    thread = threading.Thread(target=wait)
    thread.start()
    with SharedSlots(database).hold("a", 1, 1):
        holding.set()
        thread.join(0.5)
        assert waited == []
    thread.join(10)
    assert len(waited) == 1
