"""Erasing a mailbox that was ended: what it brought goes here, and out of the notes in the CRM (threats.md S11).

Mail that another mailbox of the team holds as well stays, as that one holds it. It is done in parts, each in a
transaction of its own: the first at once, the others by a job that goes on where a worker died.
"""

from __future__ import annotations

import sqlalchemy as sa

from app import deciding, ingest
from app.installation import Installation
from app.store import accounts, conversations, erasing, queue

PART = 200  # copies


def begin(installation: Installation, connection: sa.Connection, team_id: int, account_id: int) -> None:
    """Erase the first part of what an account brought, and leave the others to a job."""
    if _erase_part(installation, connection, team_id, account_id):
        job = {"team_id": team_id, "account_id": account_id}
        queue.defer(connection, "erase_account", [(job, f"erase:{account_id}")])


def go_on(installation: Installation, team_id: int, account_id: int) -> None:
    """Erase what is left of an account; one that was connected again meanwhile stays."""
    while True:
        with installation.database.for_team(team_id) as connection:
            if not _erase_part(installation, connection, team_id, account_id):
                return


def _erase_part(installation: Installation, connection: sa.Connection, team_id: int, account_id: int) -> bool:
    """Erase a part; with the last one the account itself. Say whether there is more."""
    ingest.lock_team(connection, team_id)
    account = accounts.account_by_id(connection, account_id)
    if account is None or account.state != "disconnected":
        return False
    ids = erasing.conversations_of(connection, account_id, PART)
    lost = set(erasing.erase_copies(connection, account_id, ids))
    ingest.refresh_notes(connection, team_id, ids)
    left = [each for each in conversations.load(connection, sorted(lost)) if each.messages]
    deciding.record_only(connection, team_id, left, installation.clock.now())
    if erasing.conversations_of(connection, account_id, 1):
        return True
    accounts.delete(connection, account_id)
    return False
