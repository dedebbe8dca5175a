"""What changed in a mailbox, page by page: Graph's delta for each folder, and the list that stands in for it.

The cursor is JSON that only this module reads; it is right again after every page. Positions are made with a round that
holds next to nothing (mail from now on) and older mail is listed apart: a round over all mail would end after 5,000
messages, and every one costs the mailbox storage. For the same reason positions are not built again twice in an hour:
in the meantime the last day is listed instead. `@removed` is a hint, for Graph reports a message that went away and
came back as removed. Vendor pages: learn.microsoft.com/graph/delta-query-messages, mail-connectors.md 2.6
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.errors import CursorExpired, Gone, Unavailable
from app.ports import Change, ChangePage, Clock, Mailbox
from connectors.mail.graph.api import BATCH_PARTS, Access, GraphApi, Part, expired, list_of_objects, query, quoted
from connectors.mail.graph.failures import PROVIDER, is_storage_full
from connectors.mail.graph.folders import WELL_KNOWN, FolderNames, WellKnown
from connectors.mail.graph.settings import GraphSettings

MAX_ROUNDS = 500  # a run stops here and the next goes on, so that one mailbox never holds a worker for ever
MAX_FOLDERS = 1_000
LIST_MARGIN = timedelta(days=1)
NEW_FOLDER_MARGIN = timedelta(hours=1)
TREE = ""  # the key of the folder tree among the folders
_SELECT = "id,conversationId,parentFolderId,isDraft,receivedDateTime"


@dataclass(frozen=True, slots=True)
class _Cursor:
    good_s: int  # when the last round began that read everything
    links: dict[str, str]  # where to go on: of each folder, and of the folder tree under TREE
    parents: dict[str, str]
    recovered_s: int = 0  # when positions were last built again
    since: str = ""  # set while older mail is listed: since when
    page: str = ""
    listing: bool = False  # no positions: the last day is listed each time

    def __str__(self) -> str:
        return json.dumps({"v": 1, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> _Cursor:
        """Read a cursor. Raises CursorExpired when it is none of ours: a recovery puts it right."""
        try:
            read = json.loads(text)
            if read.pop("v") != 1:
                raise expired("delta")
            cursor = cls(**read)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise expired("delta") from None
        if not isinstance(cursor.good_s, int) or not isinstance(cursor.links, dict):
            raise expired("delta")
        return cursor


class MailboxChanges:
    """Lists changes with one Graph API."""

    def __init__(self, api: GraphApi, names: FolderNames, settings: GraphSettings, clock: Clock) -> None:
        self._api = api
        self._names = names
        self._clock = clock
        self._page_size = settings.page_size
        self._interval_s = settings.initial_round_interval_s

    def since_cursor(self, mailbox: Mailbox, cursor: str | None) -> Iterator[ChangePage]:
        """Yield the changes after a cursor, or, without one, the mail since the mailbox's history_from."""
        access = Access.of(mailbox)
        if cursor is None:
            yield from self._begin(access, mailbox.history_from)
        else:
            yield from self._walk(access, _Cursor.parse(cursor))

    def recover(self, mailbox: Mailbox, since: datetime) -> Iterator[ChangePage]:
        """Yield the mail since a moment, then what changed while it was read: the positions are made first."""
        yield from self._begin(Access.of(mailbox), since, recovered_s=self._now_s())

    def window(self, mailbox: Mailbox, since: datetime) -> Iterator[tuple[Change, ...]]:
        """Yield every message id since a moment; no cursor is involved."""
        access = Access.of(mailbox)
        cursor = _Cursor(0, {}, {}, since=_written(since))
        while cursor.since:
            changes, cursor = self._listed(access, cursor)
            yield changes

    # --- the beginning ---

    def _begin(self, access: Access, since: datetime | None, recovered_s: int = 0) -> Iterator[ChangePage]:
        start = self._clock.now()
        cursor = _Cursor(int(start.timestamp()), {TREE: _tree(access)}, {}, recovered_s)
        found: dict[str, Change] = {}
        for changes, reached in self._rounds(access, cursor, from_moment=start):
            cursor = reached
            found |= {change.provider_id: change for change in changes}
        if since is not None:
            cursor = replace(cursor, since=_written(since))
        yield ChangePage(tuple(found.values()), str(cursor))
        if since is not None:
            yield from self._walk(access, cursor)

    # --- going on ---

    def _walk(self, access: Access, cursor: _Cursor) -> Iterator[ChangePage]:
        while cursor.since:
            changes, cursor = self._listed(access, cursor)
            yield ChangePage(changes, str(cursor), complete=not cursor.since)
        if cursor.listing:
            if self._may_build(cursor):
                raise expired("delta")
            yield from self._list_last_days(access, cursor)
            return
        began_s = self._now_s()
        try:
            for number, (changes, reached) in enumerate(self._rounds(access, cursor), 1):
                cursor = reached
                yield ChangePage(changes, str(cursor), complete=number < MAX_ROUNDS)
        except CursorExpired:
            if self._may_build(cursor):
                raise
            yield from self._list_last_days(access, replace(cursor, listing=True))
            return
        except _StorageFullError:
            yield from self._list_last_days(access, replace(cursor, listing=True, recovered_s=began_s))
            return
        yield ChangePage((), str(replace(cursor, good_s=began_s)))

    def _may_build(self, cursor: _Cursor) -> bool:
        return self._now_s() - cursor.recovered_s >= self._interval_s

    def _list_last_days(self, access: Access, cursor: _Cursor) -> Iterator[ChangePage]:
        """List instead of asking for changes; the cursor moves at the end, for listing again is harmless."""
        began_s = self._now_s()
        since = datetime.fromtimestamp(cursor.good_s, UTC) - LIST_MARGIN
        listed = replace(cursor, since=_written(since), page="")
        while listed.since:
            changes, listed = self._listed(access, listed)
            reached = replace(cursor, good_s=cursor.good_s if listed.since else began_s)
            yield ChangePage(changes, str(reached), complete=not listed.since)

    def _listed(self, access: Access, cursor: _Cursor) -> tuple[tuple[Change, ...], _Cursor]:
        """Read one page of the list since cursor.since, oldest first; the cursor's `since` is empty after the last."""
        path = cursor.page or f"{access.user}/messages?" + query(
            select=_SELECT,
            filter=f"receivedDateTime ge {cursor.since}",
            orderby="receivedDateTime asc",
            top=str(self._page_size),
        )
        answer = self._api.call(access, "list", "GET", path)
        entries = list_of_objects(answer)
        known = self._names.of(access)
        changes = tuple(
            _change(entry, _rule(known, cursor.parents, entry.get("parentFolderId")))
            for entry in entries
            if isinstance(entry.get("id"), str)
        )
        last = str(entries[-1].get("receivedDateTime", ""))[:40] if entries else ""
        if "@odata.nextLink" in answer:
            return changes, replace(cursor, page=self._api.relative(answer["@odata.nextLink"], "list"))
        if len(entries) >= self._page_size and last > cursor.since:  # at times Graph forgets the link to the next page
            return changes, replace(cursor, since=last, page="")
        return changes, replace(cursor, since="", page="")

    # --- rounds ---

    def _rounds(
        self, access: Access, cursor: _Cursor, from_moment: datetime | None = None
    ) -> Iterator[tuple[tuple[Change, ...], _Cursor]]:
        """Ask every folder, and the tree, for what changed, as many at once as a $batch takes, until all is told.

        `from_moment` is set for the first round: then only what came after it counts. Raises CursorExpired.
        """
        known = self._names.of(access)
        waiting = list(cursor.links)
        for _ in range(MAX_ROUNDS):
            asked = waiting[:BATCH_PARTS]
            waiting = waiting[BATCH_PARTS:]
            paths = {key: cursor.links[key] for key in asked}
            parts = self._api.batch(access, "delta", paths, prefer=[f"odata.maxpagesize={self._page_size}"])
            links, parents, found = dict(cursor.links), dict(cursor.parents), dict[str, Change]()
            removed: list[str] = []
            for key in asked:
                body = self._body(parts.get(key), key)
                if body is None:
                    links.pop(key, None)  # the tree, asked at the same time, may have said so already
                    continue
                link, goes_on = self._link(body)
                if key in links:  # else the tree dropped it; what it still told counts
                    links[key] = link
                if goes_on:
                    waiting.append(key)
                if key == TREE:
                    waiting += self._plant(access, known, body, links, parents, from_moment, cursor.good_s)
                else:
                    rule = _rule(known, parents, key)
                    _sort(list_of_objects(body), rule, from_moment, found, removed)
            missing = [each for each in dict.fromkeys(removed) if each not in found]
            found |= self._probed(access, known, parents, missing)
            waiting = [key for key in waiting if key in links]
            cursor = replace(cursor, links=links, parents=parents)
            yield tuple(found.values()), cursor
            if not waiting:
                return

    def _body(self, part: Part | None, key: str) -> Mapping[str, Any] | None:
        """Return what a folder answered, or None for a folder that was deleted."""
        if part is None:
            raise self._api.unanswered("delta")
        if part.status == 200 and isinstance(part.content, dict):
            return part.body
        if is_storage_full(part.answer):
            raise _StorageFullError
        error = self._api.error(part, "delta")
        if isinstance(error, Gone) and key != TREE:
            return None
        raise error

    def _link(self, body: Mapping[str, Any]) -> tuple[str, bool]:
        if "@odata.nextLink" in body:
            return self._api.relative(body["@odata.nextLink"], "delta"), True
        if "@odata.deltaLink" not in body:
            raise Unavailable("Graph's changes have no end", provider=PROVIDER, operation="delta")
        return self._api.relative(body["@odata.deltaLink"], "delta"), False

    def _plant(
        self,
        access: Access,
        known: WellKnown,
        body: Mapping[str, Any],
        links: dict[str, str],
        parents: dict[str, str],
        from_moment: datetime | None,
        good_s: int,
    ) -> list[str]:
        """Take up new folders and drop deleted ones; return the new ones, which are asked next."""
        fresh = []
        since = from_moment or datetime.fromtimestamp(good_s, UTC) - NEW_FOLDER_MARGIN
        for entry in list_of_objects(body):
            folder_id = entry.get("id")
            if not isinstance(folder_id, str) or not folder_id:
                continue
            if "@removed" in entry:
                links.pop(folder_id, None)
                parents.pop(folder_id, None)
                continue
            parents[folder_id] = str(entry.get("parentFolderId", ""))
            if folder_id not in links and known.rule(folder_id) != "draft" and len(links) <= MAX_FOLDERS:
                links[folder_id] = f"{access.user}/mailFolders/{quoted(folder_id)}/messages/delta?" + query(
                    select=_SELECT, filter=f"receivedDateTime ge {_written(since)}"
                )
                fresh.append(folder_id)
        return fresh

    def _probed(
        self, access: Access, known: WellKnown, parents: Mapping[str, str], message_ids: Sequence[str]
    ) -> dict[str, Change]:
        """Look whether removed messages are gone or only lie elsewhere."""
        paths = {each: f"{access.user}/messages/{quoted(each)}?$select={_SELECT}" for each in message_ids}
        probed: dict[str, Change] = {}
        for message_id, part in self._api.batch(access, "probe", paths).items() if paths else ():
            if part.status == 200 and part.body.get("id") == message_id:
                probed[message_id] = _change(part.body, _rule(known, parents, part.body.get("parentFolderId")))
                continue
            error = self._api.error(part, "probe")
            if not isinstance(error, Gone):
                raise error
            probed[message_id] = Change(message_id, deleted=True)
        if set(probed) != set(message_ids):
            raise self._api.unanswered("probe")
        return probed

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())


class _StorageFullError(Exception):
    """Graph's hidden positions have filled the mailbox."""


def _sort(
    entries: Sequence[Mapping[str, Any]],
    rule: str | None,
    from_moment: datetime | None,
    found: dict[str, Change],
    removed: list[str],
) -> None:
    """Put the entries of a folder where they belong: the last word about a message counts."""
    for entry in entries:
        message_id = entry.get("id")
        if not isinstance(message_id, str) or not message_id:
            continue
        if "@removed" in entry:
            removed.append(message_id)
            continue
        received = str(entry.get("receivedDateTime", ""))
        if from_moment is not None and received <= _written(from_moment):
            continue  # it was there when the position was made
        change = _change(entry, rule)
        if change.filtered_by is None or message_id not in found:
            found[message_id] = change


def _change(entry: Mapping[str, Any], rule: str | None) -> Change:
    filtered_by = "draft" if entry.get("isDraft") is True else rule
    return Change(str(entry["id"]), str(entry.get("conversationId") or ""), filtered_by=filtered_by)


def _rule(known: WellKnown, parents: Mapping[str, str], folder_id: object) -> str | None:
    """Return the rule of a folder: that of a well-known one it is or lies in, else whether it was chosen itself."""
    key = str(folder_id)
    for _ in range(50):
        if key in known.names or key not in parents:
            break
        key = parents[key]
    return WELL_KNOWN.get(known.names.get(key, "")) or known.unchosen(folder_id)


def _tree(access: Access) -> str:
    return f"{access.user}/mailFolders/delta?$select=id,parentFolderId"


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
