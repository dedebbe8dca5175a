"""Lists of conversations as a member sees them: the inbox with its filters and counts, and the rows of any list.

Everything is judged for its reader, message by message and copy by copy (conversations.md V). A list takes the same
number of queries however long it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import links
from app.acting import Seen, may_name, see
from app.errors import NotFound
from app.linking.reasons import sentence, utc
from app.linking.search import query_words
from app.linking.visibility import Reader
from app.model import Account, AccountKind, ItemRef, ItemState, Link, Member
from app.store import accounts as account_rows
from app.store import crm, decisions, mirror, mirror_records
from app.store import inbox as rows
from app.store.crm import CrmWrite, Standing
from app.store.decisions import StoredDecision
from app.store.inbox import Filter, Neighbours, Place, State

PAGE_SIZE = 50
SHOWN_PEOPLE = 3
MOST_NEW = 99  # conversations that came since; more are not counted
MOST_RELATED = 30
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)  # no mail is older or newer, and every zone can say them
RECORD_KINDS = ("person", "organization")

Note = Literal["", "waits", "parked"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a member asks to be shown, as it stands in a link; what names nothing narrows to nothing."""

    state: State | None = None
    query: str = ""
    account: str = ""  # public id of an account
    kind: AccountKind | None = None  # of the accounts: the member's own, or those of the team
    record: tuple[str, str] | None = None  # kind and id of a person or an organization
    since: date | None = None
    until: date | None = None  # that day included

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the state is asked for."""
        return replace(self, state=None) != Wanted()


@dataclass(frozen=True, slots=True)
class Row:
    """A conversation in a list."""

    seen: Seen
    at: datetime
    state: State
    people: tuple[str, ...]  # who else takes part, as far as the reader may know, the newest first
    more_people: int
    snippet: str
    messages: int
    link: Link | None
    reason: str  # why it is not linked, as a sentence
    choices: int  # how many items it could belong to; 0 when the reader may not know
    item_state: ItemState | None  # of the linked item, when the reader may see it
    note: Note  # whether the CRM has been told
    accounts: tuple[Account, ...]  # of the reader's, those that hold it

    @property
    def told_accounts(self) -> tuple[Account, ...]:
        """Those worth saying: nothing is said when all of it is in the reader's one personal mailbox."""
        own = (each for each in self.seen.accounts if each.id in self.seen.reader.account_ids)
        mailboxes = tuple(e for e in own if e.kind == "personal" and e.provider != account_rows.SMART_BCC)
        return () if len(mailboxes) == 1 and self.accounts == mailboxes else self.accounts

    @property
    def stopped(self) -> Account | None:
        """The reader's account that holds it, when none of those is read any more: an answer would not show."""
        is_read = any(each.state in account_rows.WORKING_STATES for each in self.accounts)
        return self.accounts[0] if self.accounts and not is_read else None


@dataclass(frozen=True, slots=True)
class Related:
    """A person or an organization that conversations of a list are related to."""

    ref: ItemRef
    title: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the inbox, where it ends, how much there is of each state, and what it may be narrowed by."""

    rows: tuple[Row, ...]
    end: Place | None
    counts: Mapping[State, int]
    accounts: tuple[Account, ...]  # the member's, owned or shared
    related: tuple[Related, ...]  # those of this page, the most frequent first
    record: Related | None  # the one it is narrowed to
    newest: datetime | None
    crm: Standing | None = field(default=None)

    @property
    def stopped(self) -> tuple[Account, ...]:
        """The accounts of these rows that are not read any more."""
        return tuple({row.stopped.id: row.stopped for row in self.rows if row.stopped}.values())


def listing(
    connection: sa.Connection,
    member: Member,
    locale: str,
    wanted: Wanted = Wanted(),
    after: Place | None = None,
    zone: ZoneInfo | None = None,
    *,
    limit: int = PAGE_SIZE,
) -> Listing:
    """Return a page of what the member's own accounts hold, with as many queries as for one conversation.

    A query finds what has its words in a subject, a snippet or somebody's name or address. Days are the zone's.
    """
    own = _own(connection, member)
    found, record = _filter(connection, member, own, wanted, zone)
    places, counted = _page(connection, found, after, limit + 1)
    shown = places[:limit]
    listed = rows_of(connection, member, {place.conversation_id: place.at for place in shown}, locale)
    return Listing(
        rows=listed,
        end=shown[-1] if len(places) > limit else None,
        counts=counted,
        accounts=own,
        related=_related(connection, member, listed),
        record=record,
        newest=shown[0].at if shown else None,
        crm=crm.standing(connection),
    )


def _page(
    connection: sa.Connection, found: Filter, after: Place | None, limit: int
) -> tuple[list[Place], Mapping[State, int]]:
    """Return a page and the counts of what fits. Words are searched for once, unless more is found than is counted."""
    if not found.words:
        return rows.page(connection, found, after, limit), rows.counts(connection, found)
    everything = rows.search(connection, found)
    counted = dict.fromkeys(rows.STATES, 0) | Counter(state for _, state in everything)
    if found.state and len(everything) == rows.MOST_FOUND:
        return rows.page(connection, found, after, limit), counted
    fits = (place for place, state in everything if (state == found.state if found.state else state != "dismissed"))
    return [place for place in fits if after is None or place.is_after(after)][:limit], counted


def counts(
    connection: sa.Connection, member: Member, wanted: Wanted, zone: ZoneInfo | None = None
) -> Mapping[State, int]:
    """Return how much of what is wanted there is in each state."""
    return rows.counts(connection, _filter(connection, member, _own(connection, member), wanted, zone)[0])


def arrived(
    connection: sa.Connection, member: Member, wanted: Wanted, since: datetime, zone: ZoneInfo | None = None
) -> int:
    """Return how many conversations of a list have mail newer than `since`, counted up to MOST_NEW.

    They are those of the member's own accounts, so nothing shows that the member may not see (threats.md C11).
    """
    found, _ = _filter(connection, member, _own(connection, member), wanted, zone)
    after = since + timedelta(microseconds=1)
    return len(rows.page(connection, replace(found, since=max(after, found.since or after)), limit=MOST_NEW))


def matching(
    connection: sa.Connection, member: Member, wanted: Wanted, limit: int, zone: ZoneInfo | None = None
) -> list[int]:
    """Return the conversations of a list, newest mail first, at most `limit`."""
    found, _ = _filter(connection, member, _own(connection, member), wanted, zone)
    return [place.conversation_id for place in rows.page(connection, found, limit=limit)]


def neighbours(connection: sa.Connection, seen: Seen, wanted: Wanted, zone: ZoneInfo | None = None) -> Neighbours:
    """Return what stands next to a conversation in a list, by the time of its newest mail.

    One that has left the list, as after a choice, keeps its place; one that the list's accounts do not hold has none.
    Neighbours are of the member's own accounts, so that nothing shows that the member may not see (threats.md C11).
    """
    own = [account for account in seen.accounts if account.id in seen.reader.account_ids]
    found, _ = _filter(connection, seen.member, own, wanted, zone)
    copies = [copy for message in seen.conversation.messages for copy in message.copies]
    times = [copy.at for copy in copies if copy.account_id in found.account_ids and not copy.deleted]
    return rows.around(connection, found, Place(max(times), seen.conversation.id)) if times else Neighbours()


def rows_of(
    connection: sa.Connection, member: Member, times: Mapping[int, datetime | None], locale: str
) -> tuple[Row, ...]:
    """Return the rows of a list, those that do not exist for the member left out.

    `times` are the conversations in their order, each with what it is listed by, or None for its newest message that
    the member may know of.
    """
    ids = list(times)
    seen = see(connection, member, ids)
    decided = decisions.current(connection, ids)
    dismissed = links.dismissed(
        connection, [each.conversation for each in seen.values() if each.conversation.dismissed]
    )
    named = may_name(connection, member, [(seen[key], s.decision) for key, s in decided.items() if key in seen])
    linked = {each.conversation.primary_link.ref for each in seen.values() if each.conversation.primary_link}
    items = mirror.items(connection, linked)
    notes = {(note.conversation_id, note.ref): note for note in crm.notes_of(connection, ids)}
    found = []
    for key in ids:
        if key in seen:
            link = seen[key].conversation.primary_link
            item = items.get(link.ref) if link and seen[key].sees_item else None
            found.append(
                _row(
                    seen[key],
                    times[key],
                    _Why.of(decided.get(key), locale, named=key in named),
                    is_dismissed=key in dismissed,
                    item_state=item.state if item else None,
                    note=_note(notes.get((key, link.ref)) if link else None),
                )
            )
    return tuple(found)


def row_document(row: Row) -> dict[str, Any]:
    """Return a conversation of a list as programs read it."""
    link = row.link
    return {
        "id": row.seen.conversation.public_id,
        "subject": row.seen.subject,
        "last_message_at": utc(row.at),
        "state": row.state,
        "people": list(row.people),
        "more_people": row.more_people,
        "snippet": row.snippet,
        "messages": row.messages,
        "accounts": [account.public_id for account in row.accounts],
        "link": {
            "kind": link.ref.kind,
            "id": link.ref.external_id,
            "title": link.title if row.seen.sees_item else "",
            "origin": link.origin,
        }
        if link
        else None,
        "sentence": row.reason,
    }


@dataclass(frozen=True, slots=True)
class _Why:
    """What a decision says, as far as the reader may know: the sentence, and between how many items to choose."""

    sentence: str = ""
    is_choice: bool = False
    choices: int = 0

    @classmethod
    def of(cls, stored: StoredDecision | None, locale: str, *, named: bool) -> _Why:
        if stored is None:
            return cls()
        decision = stored.decision
        open_to = sum(candidate.ruled_out is None for candidate in decision.candidates)
        return cls(
            sentence(decision.reason, decision.params if named else {}, locale),
            decision.outcome == "ambiguous",
            open_to if named else 0,
        )


def _own(connection: sa.Connection, member: Member) -> tuple[Account, ...]:
    known = account_rows.accounts(connection)
    own = Reader.of(member, known).account_ids
    return tuple(account for account in known if account.id in own)


def _filter(
    connection: sa.Connection, member: Member, own: Iterable[Account], wanted: Wanted, zone: ZoneInfo | None
) -> tuple[Filter, Related | None]:
    """Return what is to be read, and the record it is narrowed to; one the member may not see leaves nothing."""
    chosen = frozenset(
        account.id
        for account in own
        if wanted.account in ("", account.public_id) and wanted.kind in (None, account.kind)
    )
    record = _record(connection, member, *wanted.record) if wanted.record else None
    words = tuple(query_words(wanted.query))
    if (wanted.record and record is None) or (wanted.query and not words):
        chosen = frozenset()
    return Filter(
        account_ids=chosen,
        state=wanted.state,
        words=words,
        record=record.ref if record else None,
        since=_midnight(wanted.since, zone),
        until=_midnight(wanted.until, zone, timedelta(days=1)),
    ), record


def _midnight(day: date | None, zone: ZoneInfo | None, later: timedelta = timedelta()) -> datetime | None:
    if day is None:
        return None
    return datetime.combine(min(max(day, FIRST_DAY), LAST_DAY) + later, time(), zone or ZoneInfo("UTC"))


def _record(connection: sa.Connection, member: Member, kind: str, external_id: str) -> Related | None:
    try:
        ref = crm.item_ref(connection, kind, external_id, RECORD_KINDS)
    except NotFound:
        return None
    return next(iter(_named(connection, member, [ref])), None)


def _related(connection: sa.Connection, member: Member, listed: Iterable[Row]) -> tuple[Related, ...]:
    """Return the persons and organizations of a list, as far as the CRM shows them to the member (C13)."""
    often = Counter(link.ref for row in listed for link in row.seen.conversation.links if link.ref.kind in RECORD_KINDS)
    most = sorted(often, key=lambda ref: (-often[ref], str(ref)))[:MOST_RELATED]
    return _named(connection, member, most)


def _named(connection: sa.Connection, member: Member, refs: Iterable[ItemRef]) -> tuple[Related, ...]:
    asked = list(refs)
    known = mirror_records.records(connection, asked)
    restricted = any(record.visible_to is not None for record in known.values())
    audience = mirror.audience(connection, member) if restricted else mirror.Audience()
    return tuple(
        Related(ref, known[ref].title)
        for ref in asked
        if ref in known and known[ref].title and audience.is_in(ref.connection_id, known[ref].visible_to)
    )


def _note(note: CrmWrite | None) -> Note:
    if note is None or note.written >= note.wanted:
        return ""
    return "parked" if note.state == "parked" else "waits"


def _row(
    seen: Seen, at: datetime | None, why: _Why, *, is_dismissed: bool, item_state: ItemState | None, note: Note
) -> Row:
    conversation, known = seen.conversation, seen.known
    names = tuple(name or address for address, name in seen.counterparts.items())
    link = conversation.primary_link
    holding = {copy.account_id for message in conversation.messages for copy in message.copies}
    state: State = "unlinked"
    if link is not None:
        state = "linked"
    elif is_dismissed:
        state = "dismissed"
    elif why.is_choice:
        state = "review"
    return Row(
        seen=seen,
        at=at or known[-1].at,
        state=state,
        people=names[:SHOWN_PEOPLE],
        more_people=max(0, len(names) - SHOWN_PEOPLE),
        snippet=seen.snippet,
        messages=len(known),
        link=link,
        reason=why.sentence if link is None else "",
        choices=why.choices if state == "review" else 0,
        item_state=item_state,
        note=note if seen.sees_item else "",
        accounts=tuple(a for a in seen.accounts if a.id in holding and a.id in seen.reader.account_ids),
    )


def state_named(text: str) -> State | None:
    """Return the state a request names; None for anything else."""
    return next((state for state in rows.STATES if state == text), None)
