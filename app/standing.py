"""What the page of a conversation warns of: a note that waits or was refused, old CRM data, accounts, merges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from app.acting import Seen
from app.errors import DailyLimitReached
from app.model import Account
from app.store import crm, crm_connections, merges, mirror
from app.store.accounts import WORKING_STATES

NoteState = Literal["written", "parked", "resting", "resting_today", "waiting"]


@dataclass(frozen=True, slots=True)
class Note:
    """How the CRM's note of the linked item stands: since when it is written, or until when the CRM is left alone,
    because of its daily limit (resting_today) or another reason.
    """

    state: NoteState
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """A conversation that went into this one and can come out again: its public id, and when that happened."""

    public_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands out. `crm_from` is the time of the CRM's data where that is old or the CRM does not answer."""

    note: Note | None
    crm_from: datetime | None
    accounts: tuple[Account, ...]  # the member's own that hold it and are not read any more
    merged: tuple[Merged, ...]


def standing(connection: sa.Connection, seen: Seen, now: datetime) -> Standing:
    """Return what the page of a conversation warns of."""
    conversation = seen.conversation
    holding = {copy.account_id for message in seen.known for copy in message.copies}
    own = holding & seen.reader.account_ids
    return Standing(
        note=_note(connection, seen, now),
        crm_from=_crm_from(connection, now),
        accounts=tuple(each for each in seen.accounts if each.id in own and each.state not in WORKING_STATES),
        merged=tuple(
            Merged(str(row.absorbed_public_id), row.at)
            for row in (merges.into(connection, conversation.id) if seen.may_link else ())
            if now - row.at <= merges.UNDO_FOR
        ),
    )


def _note(connection: sa.Connection, seen: Seen, now: datetime) -> Note | None:
    """Return how the note on the linked item stands; of an item that the CRM hides nothing is told."""
    primary = seen.conversation.primary_link
    if primary is None or not seen.sees_item:
        return None
    notes = crm.notes_of(connection, [seen.conversation.id])
    found = next((note for note in notes if note.ref == primary.ref), None)
    if found is None:
        return None
    if found.state == "parked":
        return Note("parked")
    if found.written >= found.wanted:
        return Note("written", found.written_at) if found.state == "written" else None
    rest = crm_connections.breaker(connection, primary.ref.connection_id)
    if rest.throttled_until is None or rest.throttled_until <= now:
        return Note("waiting")
    is_daily = rest.state_reason == DailyLimitReached.__name__
    return Note("resting_today" if is_daily else "resting", rest.throttled_until)


def _crm_from(connection: sa.Connection, now: datetime) -> datetime | None:
    connected = [row for row in crm.connections(connection) if row.state != crm_connections.DISCONNECTED]
    if not connected:
        return None
    refreshed_at = mirror.age(connection, connected[-1].id).refreshed_at
    is_old = refreshed_at is not None and now - refreshed_at > mirror.OLD_AFTER
    return refreshed_at if is_old or connected[-1].state != "live" else None
