"""The history of a conversation: every decision on it and everything people did, with who and when, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.acting import Seen
from app.model import ItemRef
from app.store import links as rows
from app.store import mirror
from app.undoing import OVERTAKEN_BY, may_undo

# What people do that is told; the rest of the audit trail is no matter of the conversation's page.
ACTIONS = ("link", "unlink", "dismiss", "set_visibility", "undo", "undo_merge", "trust_sender")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened: a decision (`sentence`), or what somebody did (`action`, `who`, `item`, `level`).

    `undo` is the action to take back, "" where the member may not or somebody chose otherwise since.
    """

    at: datetime
    sentence: str = ""
    action: str = ""
    who: str = ""
    item: str | None = None  # its title; None when there is none, or the CRM hides it from the member
    level: str = ""
    undo: str = ""


def entries(connection: sa.Connection, seen: Seen, decided: Sequence[Mapping[str, Any]]) -> tuple[Entry, ...]:
    """Return what happened to a conversation; `decided` is the history that explain() tells."""
    trail = [row for row in rows.trail(connection, seen.conversation.id) if row.action in ACTIONS]
    undone = {row.detail.get("batch_id") for row in trail if row.action == "undo"}
    named = {row.id: ref for row in trail if (ref := _named(row)) is not None}
    titles = {ref: item.title for ref, item in mirror.items(connection, set(named.values())).items()}
    hidden = mirror.hidden(connection, seen.member, set(named.values()))
    told = [Entry(datetime.fromisoformat(each["at"]), sentence=each["sentence"]) for each in decided]
    for place, row in enumerate(trail):
        ref = named.get(row.id)
        batch = str(row.batch_id)
        later = (other for other in trail[place + 1 :] if str(other.batch_id) not in undone)
        stands = batch not in undone and not any(each.action in OVERTAKEN_BY.get(row.action, ()) for each in later)
        may = row.action in OVERTAKEN_BY and may_undo(seen, row.action)
        told.append(
            Entry(
                at=row.at,
                action="move" if row.action == "link" and row.detail.get("moved") else row.action,
                who=row.member_name or "",
                item=titles.get(ref, str(ref)) if ref is not None and ref not in hidden else None,
                level=row.detail.get("level") or "",
                undo=batch if may and stands else "",
            )
        )
    return tuple(sorted(told, key=lambda entry: entry.at, reverse=True))


def _named(row: sa.Row[Any]) -> ItemRef | None:
    """Return the item that an action was about."""
    about = next((ref for ref in row.detail.get("items", ()) if _is(ref, row.detail.get("item"))), None)
    return ItemRef(**about) if about else None


def _is(ref: Mapping[str, Any], written: object) -> bool:
    return f"{ref['kind']}/{ref['external_id']}" == written
