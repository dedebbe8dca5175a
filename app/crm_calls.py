"""Asking a CRM, so that its trouble stays its own: every job that calls one goes through here.

A CRM that failed or asked us to slow down is left alone for a while, longer with each failure; of the jobs of a process
only a few ask the same CRM at once. So one team's CRM that hangs costs the others a few threads for one time-out, and
then nothing.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from app.errors import Conflict, CrmRests, ProviderError, TransientError
from app.installation import Installation
from app.ports import CrmAdapter, CrmConnection
from app.store import crm_connections

AT_ONCE = 2  # jobs of one process that ask one CRM
LANE_WAIT_S = 1.0
LONGEST_WAIT_S = 600.0


class _Lanes:
    """Counts who asks which CRM in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: Counter[int] = Counter()

    def enter(self, connection_id: int) -> bool:
        with self._lock:
            if self._busy[connection_id] >= AT_ONCE:
                return False
            self._busy[connection_id] += 1
            return True

    def leave(self, connection_id: int) -> None:
        with self._lock:
            self._busy[connection_id] -= 1
            if not self._busy[connection_id]:
                del self._busy[connection_id]


_LANES = _Lanes()


@contextmanager
def calling(
    installation: Installation, crm: CrmConnection, before: crm_connections.Breaker | None = None
) -> Iterator[CrmAdapter]:
    """Open a CRM for some calls, and remember how they went; `before` is its breaker where it was read already.

    Raises CrmRests without a call, with how long to wait, while the CRM is left alone or enough jobs ask it already.
    """
    now = installation.clock.now()
    if before is None:
        with installation.database.for_team(crm.team_id) as connection:
            before = crm_connections.breaker(connection, crm.id)
    if before.throttled_until is not None and before.throttled_until > now:
        raise CrmRests((before.throttled_until - now).total_seconds())
    if not _LANES.enter(crm.id):
        raise CrmRests(LANE_WAIT_S)
    try:
        yield installation.open_crm(crm)
    except (ProviderError, Conflict) as error:
        _remember(installation, crm, error, before.failures)
        raise
    finally:
        _LANES.leave(crm.id)
    if before.failures or before.state == "trouble":
        with installation.database.for_team(crm.team_id) as connection:
            crm_connections.answered(connection, crm.id)


def _remember(installation: Installation, crm: CrmConnection, error: ProviderError | Conflict, failures: int) -> None:
    until: datetime | None = None
    if isinstance(error, TransientError) and (failures or error.retry_after_s):  # a single failure is chance
        growing = min(2.0 ** min(failures, 10), LONGEST_WAIT_S)
        wait_s = max(error.retry_after_s or 0.0, growing * (0.5 + random.random() / 2))  # noqa: S311 - jitter
        until = installation.clock.now() + timedelta(seconds=wait_s)
    with installation.database.for_team(crm.team_id) as connection:
        crm_connections.failed(connection, crm.id, type(error).__name__, until)
