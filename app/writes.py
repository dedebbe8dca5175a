"""Brings the CRM in line with a conversation's link: one note, written once, kept up to date, removed on unlink.

The intent is committed before the CRM is called. A run that finds an intent without an outcome looks for its own
marker first, so a write whose answer was lost is never written twice.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app import crm_calls, mirror, offers
from app.crash_points import crash_point
from app.errors import AccessRevoked, Gone
from app.installation import Installation
from app.linking.visibility import note_messages
from app.model import Conversation, ConversationNote
from app.ports import CrmAdapter, LinkWrite, WrittenLink
from app.store import accounts, conversations, crm, crm_connections, teams
from app.store import mirror as mirror_rows

# What the mirror says of an item is taken for true this long; older, the CRM is asked before the first note.
MIRROR_SERVES = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one look at a note found to do."""

    note: crm.CrmWrite
    write: LinkWrite | None  # None: the note must go
    digest: bytes | None
    unfinished: bool  # an earlier run may have written without hearing the answer


def bring_up_to_date(installation: Installation, team_id: int, write_id: int) -> datetime | None:
    """Write, update or remove one note; return when to look again, or None when it is up to date.

    Raises the adapter's ProviderError; the intent then stays and the next run reads back before it writes. Raises
    CrmRests, before anything is intended, while the CRM is left alone.
    """
    now = installation.clock.now()
    with ExitStack() as call:
        with installation.database.for_team(team_id) as connection:
            note = crm.lock_note(connection, write_id)
            if note is None or note.written >= note.wanted or note.state == "parked":
                return None
            plan = _plan(connection, installation, note)
            if _is_settled(plan):
                _settle(connection, plan, WrittenLink(note.written_id) if note.written_id else None, now, reads=0)
                return None
            wait = timedelta(seconds=installation.settings.note_interval_s)
            if plan.write and note.written_at and not plan.unfinished and now < note.written_at + wait:
                return note.written_at + wait
            row = crm.connection_row(connection, note.ref.connection_id)
            if row is None:
                return None
            breaker = crm_connections.breaker(connection, row.id)
            if breaker.state == crm_connections.DISCONNECTED:
                raise AccessRevoked(provider=row.adapter, operation="write_link")
            crm_connection = installation.crm_connection(row)
            adapter = call.enter_context(crm_calls.calling(installation, crm_connection, breaker))
            is_stale = _is_stale(connection, row.id, now)
            crm.intend(connection, write_id)
            crash_point("write.before_intent_committed")
        crash_point("write.intent_committed")
        if is_stale and plan.write is not None and not note.written_id:
            follow = offers.following(installation, team_id)
            if not mirror.verify(installation.database, adapter, crm_connection, note.ref, follow=follow):
                return installation.clock.now()  # the link ended with its item: there is nothing to write any more
        written, reads = _apply(adapter, plan)
        crash_point("write.answered")
    with installation.database.for_team(team_id) as connection:
        again = _settle(connection, plan, written, installation.clock.now(), reads=reads, writes=1)
        crash_point("write.before_outcome_committed")
    return installation.clock.now() if again else None


def _is_stale(connection: sa.Connection, connection_id: int, now: datetime) -> bool:
    refreshed_at = mirror_rows.age(connection, connection_id).refreshed_at
    return refreshed_at is None or now - refreshed_at > MIRROR_SERVES


def _plan(connection: sa.Connection, installation: Installation, note: crm.CrmWrite) -> Plan:
    """Decide what the CRM should hold, from the rows as they are now, never from the job's arguments."""
    unfinished = note.state == "intended"
    found = conversations.load(connection, [note.conversation_id])
    conversation = found[0] if found else None
    primary = conversation.primary_link if conversation else None
    if conversation is None or primary is None or primary.ref != note.ref:
        return Plan(note, None, None, unfinished)
    content = _note(connection, installation, conversation, note.marker)
    if not content.messages:
        return Plan(note, None, None, unfinished)
    related = [link.ref for link in conversation.links if not link.is_primary]
    write = LinkWrite(
        item=note.ref,
        persons=tuple(ref for ref in related if ref.kind == "person"),
        organizations=tuple(ref for ref in related if ref.kind == "organization"),
        note=content,
    )
    digest = hashlib.sha256(json.dumps(asdict(write), default=str, sort_keys=True).encode()).digest()
    return Plan(note, write, digest, unfinished)


def _note(
    connection: sa.Connection, installation: Installation, conversation: Conversation, marker: str
) -> ConversationNote:
    team = teams.team(connection)
    ours = accounts.ours(connection)
    messages = note_messages(conversation, accounts.accounts(connection), ours)
    people = {message.from_address: message.from_name for message in messages}
    subject = next((message.subject for message in messages if message.subject is not None), None)
    return ConversationNote(
        marker=marker,
        subject=subject,
        people=tuple((name, address) for address, name in people.items()),
        messages=messages,
        url=f"{installation.settings.public_base_url}/conversations/{conversation.public_id}",
        locale=team.locale if team else "en",
    )


def _is_settled(plan: Plan) -> bool:
    """Whether the CRM already holds what it should, as far as an answer was heard."""
    if plan.unfinished:
        return False
    if plan.write is None:
        return plan.note.written_id is None
    return plan.note.written_id is not None and plan.digest == plan.note.content_digest


def _apply(adapter: CrmAdapter, plan: Plan) -> tuple[WrittenLink | None, int]:
    """Make the CRM hold what was planned; return what it holds, and how often it was only asked."""
    written = WrittenLink(plan.note.written_id) if plan.note.written_id else None
    if plan.write is None:
        found, reads = _left_behind(adapter, plan)
        for link in (written, found):
            if link is not None:
                adapter.remove_link(link, plan.note.ref)
        return None, reads
    if written is not None:
        try:
            return adapter.update_link(written, plan.write), 0
        except Gone:  # somebody deleted the note in the CRM; the link still stands, so it is written afresh
            pass
    found, reads = _left_behind(adapter, plan)
    return (adapter.write_link(plan.write) if found is None else adapter.update_link(found, plan.write)), reads


def _left_behind(adapter: CrmAdapter, plan: Plan) -> tuple[WrittenLink | None, int]:
    """Look for what an earlier run may have written without hearing the answer; return it and how often was asked."""
    if not plan.unfinished:
        return None, 0
    try:
        return adapter.find_link(plan.write or _marked(plan.note)), 1
    except Gone:  # the item went with all its notes
        return None, 1


def _marked(note: crm.CrmWrite) -> LinkWrite:
    """Return what finds a note again when nothing is to be written any more."""
    return LinkWrite(note.ref, (), (), ConversationNote(note.marker, None, (), (), None))


def _settle(
    connection: sa.Connection, plan: Plan, written: WrittenLink | None, at: datetime, *, reads: int, writes: int = 0
) -> bool:
    return crm.settle(
        connection,
        plan.note.id,
        state="written" if plan.write else "removed",
        answered=plan.note.wanted,
        at=at,
        written_id=written.external_id if written and plan.write else None,
        digest=plan.digest,
        writes=writes,
        reads=reads,
    )
