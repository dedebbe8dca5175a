"""What a CRM's webhook leads to: a hint, and one refresh of the mirror for many of them. The CRM is not asked here.

A webhook never carries truth (threats.md W4): the refresh reads again what it named.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from app.errors import NotificationForged
from app.installation import Installation
from app.ports import PushRequest
from app.store import crm, crm_connections, lookups, queue

# Webhooks that come within this time cost one refresh.
COALESCE = timedelta(seconds=2)


def receive(installation: Installation, public_id: str, request: PushRequest) -> int:
    """Verify a webhook of a connection and store its hint; return how many events it brought.

    Raises NotificationForged for an unknown connection too, the adapter's NotificationError, Unsupported, and
    DatabaseUnreachable.
    """
    try:
        known_as = str(uuid.UUID(public_id))
    except ValueError:
        raise NotificationForged from None
    with installation.database.without_team() as connection:
        found = lookups.crm_connection(connection, known_as)
    if found is None:
        raise NotificationForged
    team_id, connection_id = found
    with installation.database.for_team(team_id) as connection:
        row = crm.connection_row(connection, connection_id)
    if row is None or row.state == crm_connections.DISCONNECTED:
        raise NotificationForged
    events = installation.open_crm(installation.crm_connection(row)).read_webhook(request)
    if any(event.connection_public_id != known_as for event in events):
        raise NotificationForged
    now = installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        if events and crm_connections.hint(connection, team_id, connection_id, events, now):
            job = ({"team_id": team_id}, f"mirror:{team_id}")
            queue.defer(connection, "refresh_mirror", [job], at=installation.due(now + COALESCE))
    return len(events)
