"""Connecting a team's CRM with a token, and ending that again. See connecting.py for mailboxes.

The token is tried at the CRM before anything is stored. A company that was connected before is the same connection
again, with its links and its mirror; another company is a new one, which a team has once the old one was ended (T8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from app.errors import Conflict, NotFound, PermanentError, Unsupported
from app.installation import Installation
from app.ports import ConnectedCrm, CrmRevoking, CrmSubscribing
from app.store import crm, crm_connections, links, queue
from app.store.crm_connections import DISCONNECTED

EMBEDDED = "embedded"  # keeps its records in threadlink's own database, and needs no consent


def connect_with_token(
    installation: Installation, team_id: int, adapter: str, token: str, options: Mapping[str, str]
) -> str:
    """Connect a team's CRM and return the company it leads to.

    Raises Unsupported for an adapter that takes no token, AccessRevoked or Rejected for a token or an option that does
    not work, Conflict (other_company) when the team has another CRM.
    """
    consent = installation.consents.get(adapter)
    if consent is None:
        raise Unsupported(f"The CRM {adapter} takes no token.", provider=adapter, operation="connect")
    unknown = sorted(options.keys() - consent.options.keys())
    if unknown:
        known = "; ".join(f"{name}: {meaning}" for name, meaning in consent.options.items())
        raise Unsupported(f"No option of {adapter}: {', '.join(unknown)}. There are: {known}.", provider=adapter)
    connected = consent.connect_with_token(token, options)
    company = connected.identity.company
    with installation.database.for_team(team_id) as connection:
        _refuse_second(connection, adapter, company)
        known_row = crm_connections.of_company(connection, adapter, company)
        if known_row is None:
            connection_id = crm.add_connection(connection, team_id, adapter, company, connected.settings)
            owed: list[int] = []
        else:
            connection_id = known_row.id
            owed = crm_connections.connect_again(connection, connection_id, connected.settings)
        installation.secrets.store_connection(connection, team_id, connection_id, connected.secrets)
        _begin(connection, team_id, connection_id, owed)
        _audit(installation, connection, team_id, "connect_crm", adapter, connected)
    return company


def connect_embedded(installation: Installation, team_id: int) -> None:
    """Give a team the embedded CRM; connecting it again changes nothing. Raises Conflict (other_company)."""
    with installation.database.for_team(team_id) as connection:
        _refuse_second(connection, EMBEDDED, EMBEDDED)
        known = crm_connections.of_company(connection, EMBEDDED, EMBEDDED)
        if known is None:
            crm.add_connection(connection, team_id, EMBEDDED, company=EMBEDDED)
        elif known.state == DISCONNECTED:
            _begin(connection, team_id, known.id, crm_connections.connect_again(connection, known.id, known.settings))


def disconnect(installation: Installation, team_id: int) -> str:
    """End the team's CRM connection and return its adapter: links and mirror stay, nothing is written any more.

    Our webhooks and our access are ended at the CRM as far as it answers. Raises NotFound when there is none.
    """
    found = next(iter(installation.crm_connections(team_id)), None)
    if found is None:
        raise NotFound
    adapter = installation.open_crm(found)
    try:
        if isinstance(adapter, CrmSubscribing):
            adapter.unsubscribe()
        if isinstance(adapter, CrmRevoking):
            adapter.revoke()
    except PermanentError:
        pass  # access that has ended already is what is wanted
    with installation.database.for_team(team_id) as connection:
        crm_connections.disconnect(connection, found.id, DISCONNECTED)
        _audit(installation, connection, team_id, "disconnect_crm", found.adapter, None)
    return found.adapter


def _refuse_second(connection: sa.Connection, adapter: str, company: str) -> None:
    for row in crm.connections(connection):
        if row.state != DISCONNECTED and (row.adapter, row.company) != (adapter, company):
            raise Conflict("other_company")


def _begin(connection: sa.Connection, team_id: int, connection_id: int, owed: list[int]) -> None:
    """Enqueue the first look at the CRM, its webhooks, and the notes that wait for it."""
    queue.defer(connection, "refresh_mirror", [({"team_id": team_id}, f"mirror:{team_id}")])
    job = {"team_id": team_id, "connection_id": connection_id}
    queue.defer(connection, "subscribe_crm", [(job, f"subscribe_crm:{connection_id}")])
    writes = [({"team_id": team_id, "write_id": write_id}, f"crm_write:{write_id}") for write_id in owed]
    queue.defer(connection, "crm_write", writes)


def _audit(
    installation: Installation,
    connection: sa.Connection,
    team_id: int,
    action: str,
    adapter: str,
    connected: ConnectedCrm | None,
) -> None:
    detail: dict[str, Any] = {"adapter": adapter}
    if connected is not None:
        detail["company"] = connected.identity.company
    links.audit(connection, team_id, [{"at": installation.clock.now(), "action": action, "detail": detail}])
