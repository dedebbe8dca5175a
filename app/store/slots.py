"""Places that all processes share, where a provider bears only so many requests to one mailbox at once (ports.Slots).

A place is an advisory lock of PostgreSQL, held by a connection for as long as the request takes: a process that dies
gives its places back with its connection.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from app.store.database import Database

LONGEST_WAIT_S = 10.0  # a job that waits longer gives its worker to others
_PAUSE_S = 0.05
_NAMESPACE = 0x736C6F74  # "slot": keeps these locks apart from all others of ours

# As many of the places as are free, at most as many as are wanted; the hash of a name may meet another name's, which
# makes the two share their places and nothing worse.
_TAKE = sa.text(
    """
    SELECT place FROM generate_series(0, :of - 1) AS place
    WHERE pg_try_advisory_lock(:namespace, hashtext(:name || ':' || place)) LIMIT :wanted
    """
)
_GIVE_BACK = sa.text(
    "SELECT pg_advisory_unlock(:namespace, hashtext(:name || ':' || place)) FROM unnest(:places) place"
)


class SharedSlots:
    """Places in the database that every process of the installation uses."""

    def __init__(self, database: Database, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._database = database
        self._longest_wait_s = longest_wait_s

    @contextmanager
    def hold(self, name: str, wanted: int, of: int) -> Iterator[None]:
        """Hold `wanted` of the `of` places of a name. Raises TimeoutError when they do not come free in time."""
        asked = {"namespace": _NAMESPACE, "name": name}
        until = time.monotonic() + self._longest_wait_s
        with self._database.autocommit() as connection:
            while True:
                places = list(connection.execute(_TAKE, {**asked, "of": of, "wanted": wanted}).scalars())
                try:
                    if len(places) == wanted:
                        yield
                        return
                finally:
                    if places:
                        connection.execute(_GIVE_BACK, {**asked, "places": places})
                if time.monotonic() > until:
                    raise TimeoutError
                time.sleep(_PAUSE_S)
