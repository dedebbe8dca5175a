"""The audit log as an administrator reads it: who did what and when, and no more than that reader may know.

A conversation, its subject and its item are named only as far as the reader may see them (threats.md C11, C12); of
everything else the log holds ids and names, never content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.accounts import audit
from app.acting import Acting, Seen, see
from app.errors import NotAllowed
from app.model import ItemRef, Member
from app.store import accounts, mirror
from app.store import audit as rows
from app.store.audit import Known, Row
from app.store.database import Database

PAGE = 50
EXPORTED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are asked for: of a member by public id ("none": no member), of one action; "" for all."""

    member: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done; `about` holds names and plain values by what they are, for the page to put into words."""

    id: int
    at: datetime
    by: Known | None  # None: the command line, or threadlink itself
    action: str
    about: Mapping[str, str]
    conversation: str = ""  # public id, when the reader may see it
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    """A page of the log; `more` is where the next one begins."""

    entries: tuple[Entry, ...]
    more: int | None
    members: Mapping[int, Known]


def page(connection: sa.Connection, reader: Member, chosen: Filter, before: int | None, limit: int = PAGE) -> Log:
    """Return a page of the log. Raises NotAllowed (not_administrator)."""
    if reader.role != "admin":
        raise NotAllowed("not_administrator")
    known = rows.members(connection)
    found = rows.page(
        connection, before=before, member_id=_member_id(known, chosen.member), action=chosen.action, limit=limit + 1
    )
    shown = found[:limit]
    return Log(_entries(connection, reader, shown, known), shown[-1].id if len(found) > limit else None, known)


def begin_export(connection: sa.Connection, acting: Acting) -> int:
    """Write that the log is exported, and return where the export begins. Raises NotAllowed (not_administrator)."""
    if acting.member.role != "admin":
        raise NotAllowed("not_administrator")
    audit(connection, acting.team_id, acting.member.id, "export_audit", {}, acting.now)
    (newest,) = rows.page(connection, before=None, member_id=acting.member.id, action="export_audit", limit=1)
    return newest.id


def export(database: Database, acting: Acting, chosen: Filter, before: int) -> Iterator[Entry]:
    """Return the whole log, newest first; read piece by piece, so that no transaction lasts."""
    place: int | None = before
    while place is not None:
        with database.for_team(acting.team_id) as connection:
            log = page(connection, acting.member, chosen, place, EXPORTED_AT_ONCE)
        yield from log.entries
        place = log.more


def _member_id(known: Mapping[int, Known], public_id: str) -> int | None:
    """Return whom a filter names; somebody whom nobody knows is NOBODY's like."""
    if not public_id:
        return None
    return next((member_id for member_id, each in known.items() if each.public_id == public_id), rows.NOBODY)


def _entries(
    connection: sa.Connection, reader: Member, found: Sequence[Row], known: Mapping[int, Known]
) -> tuple[Entry, ...]:
    named = {row.conversation_id for row in found if row.conversation_id is not None}
    seen = see(connection, reader, named) if named else {}
    titles = _titles(connection, reader, [row for row in found if row.conversation_id in seen])
    addresses = _addresses(connection)
    return tuple(
        Entry(
            row.id,
            row.at,
            known.get(row.member_id) if row.member_id is not None else None,
            row.action,
            _about(row, known, addresses, titles),
            *_conversation(seen.get(row.conversation_id) if row.conversation_id is not None else None),
        )
        for row in found
    )


def _conversation(seen: Seen | None) -> tuple[str, str]:
    return (seen.conversation.public_id, seen.subject or "") if seen else ("", "")


def _titles(connection: sa.Connection, reader: Member, found: Sequence[Row]) -> dict[int, str]:
    """Return, for each row by id, the title of the item it is about, where the CRM shows it to the reader (C13)."""
    refs = {row.id: ItemRef(**row.detail["items"][0]) for row in found if row.detail.get("items")}
    hidden = mirror.hidden(connection, reader, set(refs.values()))
    items = mirror.items(connection, set(refs.values()) - hidden)
    return {row_id: items[ref].title for row_id, ref in refs.items() if ref in items}


def _addresses(connection: sa.Connection) -> dict[str | int, str]:
    """Return the addresses of the team's accounts, by either id."""
    found = accounts.accounts(connection)
    return {account.public_id: account.address for account in found} | {each.id: each.address for each in found}


def _about(
    row: Row, known: Mapping[int, Known], addresses: Mapping[str | int, str], titles: Mapping[int, str]
) -> dict[str, str]:
    """Pick what the log may tell out of a row's detail; what is not named here is not told."""
    detail: Mapping[str, Any] = row.detail
    plain = {name: str(detail[name]) for name in _TOLD if detail.get(name)}
    member = known.get(detail.get("member", 0))
    account = addresses.get(detail.get("account") or detail.get("account_id") or 0, "")
    switch = next((detail[name] for name in _SWITCHES if name in detail), None)
    told = {
        "member": member.name if member else "",
        "account": account,
        "item": titles.get(row.id, ""),
        "switch": "" if switch is None else "on" if switch else "off",
    }
    return {name: value for name, value in {**told, **plain}.items() if value}


_TOLD = ("address", "role", "issuer", "by", "organization", "adapter", "company", "host", "provider")
_SWITCHES = ("auto_link", "may_join")
