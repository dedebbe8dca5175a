"""Asking a CRM, so that its trouble stays its own: every job that calls one goes through here.

A CRM that failed or asked us to slow down is left alone for a while, longer with each failure; of the jobs of a process
only a few ask the same CRM at once. So one team's CRM that hangs costs the others a few threads for one time-out, and
then nothing.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from app.errors import Conflict, CrmRests, ProviderError, TransientError
from app.installation import Installation
from app.ports import CrmAdapter, CrmConnection
from app.store import crm_connections

AT_ONCE = 2  # jobs of one process that ask one CRM
PATIENCE_S = 0.2  # for a call that is at hand; one that takes longer is waited for without a thread
LANE_WAIT_S = 1.0
LONGEST_WAIT_S = 600.0


class _Lanes:
    """Counts who asks which CRM in this process, and since when."""

    def __init__(self) -> None:
        self._left = threading.Condition()
        self._began: dict[int, list[float]] = {}

    def enter(self, connection_id: int) -> float | None:
        """Take a place, at once or when a CRM that answers quickly gives one back; None when it is slow.

        Returns what leave() wants. A CRM that hangs holds up nobody: only behind calls that have just begun is waited.
        """
        give_up = time.monotonic() + PATIENCE_S
        with self._left:
            began = self._began.setdefault(connection_id, [])
            while len(began) >= AT_ONCE:
                patience = min(give_up, min(began) + PATIENCE_S) - time.monotonic()
                if patience <= 0:
                    return None
                self._left.wait(patience)
                began = self._began.setdefault(connection_id, [])
            began.append(time.monotonic())
            return began[-1]

    def leave(self, connection_id: int, began_at: float) -> None:
        with self._left:
            self._began[connection_id].remove(began_at)
            if not self._began[connection_id]:
                del self._began[connection_id]
            self._left.notify_all()


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
    entered_at = _LANES.enter(crm.id)
    if entered_at is None:
        raise CrmRests(LANE_WAIT_S)
    try:
        yield installation.open_crm(crm)
    except (ProviderError, Conflict) as error:
        _remember(installation, crm, error, before.failures)
        raise
    finally:
        _LANES.leave(crm.id, entered_at)
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
