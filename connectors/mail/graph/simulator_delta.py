"""Positions in a mailbox' changes: delta rounds of a folder's messages and of the folders. Part of the simulator.

A position is opaque to whoever follows it. One that was given out before `forget_positions` has expired.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from connectors.mail.graph.simulator_mailbox import Entry, SimulatedFolder, SimulatedMailbox, SimulatedMessage
from connectors.mail.graph.simulator_view import View
from connectors.simulated_faults import Faults
from connectors.simulated_http import Call

FILTER_CAP = 5_000  # a filtered delta shows no more than this, the newest first
USUAL_PAGE = 10
LARGEST_PAGE = 1_000
_FLOOR = re.compile(r"receivedDateTime (ge|gt) (\S+)")


class PositionExpiredError(Exception):
    """The position is too old."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a delta stands: `since` is the round before (0: none), `after` within this one, `upto` its end."""

    folder: str
    generation: int
    since: int
    after: int
    upto: int
    floor: str = ""
    select: str = ""

    def written(self) -> str:
        """Return it as an opaque word."""
        return base64.urlsafe_b64encode(json.dumps(list(asdict(self).values())).encode()).rstrip(b"=").decode()

    @classmethod
    def read(cls, word: str) -> Position:
        """Read one that was given out. Raises ValueError for anything else."""
        try:
            return cls(*json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))))
        except (binascii.Error, TypeError, ValueError, UnicodeDecodeError) as error:
            raise ValueError("Badly formed token.") from error


@dataclass(frozen=True, slots=True)
class Page:
    """One page, and where the next one or the next round begins."""

    entries: list[dict[str, Any]]
    next: Position
    is_last: bool


def position_of(call: Call, mailbox: SimulatedMailbox, folder: str) -> Position:
    """Return where a call's delta stands. Raises ValueError for what Graph refuses, PositionExpiredError."""
    word = call.one("$skiptoken") or call.one("$deltatoken")
    if not word:
        floor = call.one("$filter")
        if floor and not _FLOOR.fullmatch(floor):
            raise ValueError("The only supported filter for this query is on receivedDateTime.")
        if call.one("$expand") or call.one("$search"):
            raise ValueError("This query option is not supported by delta.")
        return Position(folder, mailbox.generation, 0, 0, mailbox.position, floor, call.one("$select"))
    if word == "latest":
        raise ValueError("$deltatoken=latest is not supported for messages.")
    if call.one("$filter") or call.one("$select"):
        raise ValueError("Query options may stand only in the first request of a round.")
    position = Position.read(word)
    if position.folder != folder:
        raise ValueError("The token belongs to another folder.")
    if position.generation < mailbox.generation:
        raise PositionExpiredError
    return position if position.after or position.upto else replace(position, upto=mailbox.position)


def messages_page(
    mailbox: SimulatedMailbox, folder: SimulatedFolder, position: Position, view: View, faults: Faults
) -> Page:
    """Return a page of the changes of a folder's messages."""
    if fault := faults.take("delta_replayed", mailbox.address):
        position = replace(
            position, after=0, since=position.since and max(1, position.since - fault.params.get("by", 9))
        )
    upto = position.upto
    if faults.take("delta_lag", mailbox.address):
        upto = max(position.since, position.after, min(upto, _newest_change(folder) - 1))
    found = _of_round(mailbox, folder, position, upto, faults)
    size = max(1, min(view.preferences.page_size or USUAL_PAGE, LARGEST_PAGE))
    page = found[:size]
    if faults.take("empty_page_with_next_link", mailbox.address):
        return Page([], replace(position, upto=upto), is_last=False)
    shown = [_entry(mailbox, message_id, is_removed, view) for _, message_id, is_removed in page]
    mailbox.listed.update(message_id for _, message_id, _ in page)
    if len(page) < len(found):
        return Page(shown, replace(position, after=page[-1][0], upto=upto), is_last=False)
    return Page(shown, replace(position, since=max(upto, 1), after=0, upto=0), is_last=True)


def folders_page(mailbox: SimulatedMailbox, position: Position, size: int) -> Page:
    """Return a page of the changes of a mailbox' folders."""
    changed = sorted(
        (
            folder
            for folder in mailbox.folders.values()
            if max(position.since, position.after) < folder.changed <= position.upto
            and folder.id != mailbox.root_id
            and not (folder.removed and not position.since)
        ),
        key=lambda folder: folder.changed,
    )
    page = changed[:size]
    shown = [_folder_entry(mailbox, folder) for folder in page]
    if len(page) < len(changed):
        return Page(shown, replace(position, after=page[-1].changed), is_last=False)
    return Page(shown, replace(position, since=max(position.upto, 1), after=0, upto=0), is_last=True)


def show_folder(mailbox: SimulatedMailbox, folder: SimulatedFolder) -> dict[str, Any]:
    """Return a folder as Graph shows it."""
    children = [f for f in mailbox.folders.values() if f.parent_id == folder.id and not f.removed]
    return {
        "id": folder.id,
        "displayName": folder.name,
        "parentFolderId": folder.parent_id,
        "childFolderCount": len(children),
        "unreadItemCount": 0,
        "totalItemCount": folder.count,
        "sizeInBytes": 0,
        "isHidden": False,
    }


def _of_round(
    mailbox: SimulatedMailbox, folder: SimulatedFolder, position: Position, upto: int, faults: Faults
) -> Sequence[tuple[int, str, bool]]:
    """Return (position, message id, whether it left) of a round's changes after `after`, oldest first."""
    floor = _FLOOR.fullmatch(position.floor)
    within = _capped(mailbox, folder, floor, faults) if floor is not None and not position.since else None
    first = bisect_right(folder.log, max(position.since, position.after), key=lambda change: change[0])
    found = []
    for at, name in folder.log[first:]:
        if at > upto:
            break
        shown_at, is_removed = _seen(folder.entries[name], position.since)
        if shown_at != at or (within is not None and name not in within):  # overtaken by a later change of the same
            continue
        if is_removed or _matches(mailbox, folder, name, floor, position.since):
            found.append((at, name, is_removed))
    return found


def _capped(
    mailbox: SimulatedMailbox, folder: SimulatedFolder, floor: re.Match[str], faults: Faults
) -> frozenset[str] | None:
    """Return the messages a filtered first round shows; None while they are not too many."""
    fault = faults.take("delta_cap", mailbox.address)
    cap = fault.params.get("messages", 10) if fault else FILTER_CAP
    if len(folder.entries) <= cap:
        return None
    matching = [name for name in folder.entries if _matches(mailbox, folder, name, floor, 0)]
    return frozenset(sorted(matching, key=lambda name: _received(mailbox, name), reverse=True)[:cap])


def _seen(entry: Entry, since: int) -> tuple[int, bool]:
    """Return where a round shows an entry (0: nowhere) and whether as removed.

    A message that left the folder and came back since the round before is shown as removed only: with immutable ids
    Graph never shows it again (microsoft-graph-docs #21752).
    """
    if since and entry.removed > since:
        return entry.removed, True
    is_present = entry.added > entry.removed
    return (entry.changed, False) if is_present and entry.changed > since else (0, False)


def _matches(
    mailbox: SimulatedMailbox, folder: SimulatedFolder, name: str, floor: re.Match[str] | None, since: int
) -> bool:
    """Whether the filter lets a message through; one that was there before is shown whatever its time."""
    if floor is None or (since and folder.entries[name].added <= since):
        return True
    message = mailbox.messages.get(name)
    wanted = read_time(floor[2])
    received = _whole_second(message) if message else wanted
    return received >= wanted if floor[1] == "ge" else received > wanted


def _entry(mailbox: SimulatedMailbox, name: str, is_removed: bool, view: View) -> dict[str, Any]:
    message = mailbox.messages.get(name)
    if is_removed or message is None:
        return {
            "@odata.type": "#microsoft.graph.message",
            "id": view.id_of(message) if message else name,
            "@removed": {"reason": "deleted"},
        }
    return {"@odata.type": "#microsoft.graph.message", **view.show(mailbox, message)}


def _folder_entry(mailbox: SimulatedMailbox, folder: SimulatedFolder) -> dict[str, Any]:
    if folder.removed:
        return {"id": folder.id, "@removed": {"reason": "deleted"}}
    return show_folder(mailbox, folder)


def _newest_change(folder: SimulatedFolder) -> int:
    return max((max(entry.changed, entry.removed) for entry in folder.entries.values()), default=1)


def _received(mailbox: SimulatedMailbox, name: str) -> float:
    message = mailbox.messages.get(name)
    return message.at.timestamp() if message else 0.0


def _whole_second(message: SimulatedMessage) -> datetime:
    return message.at.replace(microsecond=0)


def read_time(word: str) -> datetime:
    """Read a time of a filter. Raises ValueError."""
    read = datetime.fromisoformat(word)
    if read.tzinfo is None:
        raise ValueError(f"A time needs an offset: {word!r}")
    return read
