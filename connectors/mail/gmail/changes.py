"""What changed in a mailbox, page by page: Gmail's history, and the snapshot that stands in for it.

The cursor is JSON that only this module reads. It names the phase (snapshot or history), the history id the phase
starts from, and the page reached; it is right again after every page. Rules: mail-connectors.md 1.4. Vendor page:
developers.google.com/gmail/api/guides/sync

Where labels are chosen a snapshot lists the mail of each, then all mail as left out: Gmail lists ids without labels,
and reading every message to see its labels would cost a hundred times as much. A history has no such filter (it takes
one label), so it is read whole and told apart by the labels it shows, or when the message is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from app.errors import CursorExpired, Rejected, Unavailable
from app.model import NOT_CHOSEN
from app.ports import Change, ChangePage, Mailbox
from connectors.mail.gmail.api import Access, GmailApi, list_of_objects, require_text
from connectors.mail.gmail.failures import PROVIDER
from connectors.mail.gmail.labels import list_labels
from connectors.mail.gmail.normalize import EPOCH, SENT, filter_rule

PAGE_SIZE = 500
MAX_PAGES = 200  # a run stops here and the next goes on, so that one mailbox never holds a worker for ever
HISTORY_TYPES = ["messageAdded", "messageDeleted", "labelAdded", "labelRemoved"]
KEPT_LABELS = frozenset({"INBOX", SENT})
ALL_MAIL = ""  # in place of a label
LEFT_OUT_LABELS = frozenset({"DRAFT", "SPAM", "TRASH"})


@dataclass(frozen=True, slots=True)
class _Cursor:
    start: str  # the history id this phase goes on from, the same for all its pages
    since: int | None = None  # set while a snapshot is read: epoch seconds
    page_token: str | None = None
    label: str = ALL_MAIL  # whose mail the snapshot has come to

    def __str__(self) -> str:
        read = {"v": 1, "start": self.start, "since": self.since, "page_token": self.page_token}
        read["label"] = self.label or None
        return json.dumps({key: value for key, value in read.items() if value is not None}, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> _Cursor:
        """Read a cursor. Raises CursorExpired when it is none of ours: a recovery puts it right."""
        try:
            read = json.loads(text)
            start, since, page_token = read["start"], read.get("since"), read.get("page_token")
            label = read.get("label")
        except (ValueError, TypeError, LookupError, AttributeError):
            raise CursorExpired(provider=PROVIDER, operation="history") from None
        if read.get("v") != 1 or not isinstance(start, str) or not re.fullmatch(r"[0-9]{1,20}", start):
            raise CursorExpired(provider=PROVIDER, operation="history")
        since = since if isinstance(since, int) else None
        return cls(start, since, str(page_token) if page_token else None, str(label or ALL_MAIL))


class MailboxChanges:
    """Lists changes with one Gmail API; `can_search` is False when the consent covers headers only."""

    def __init__(self, api: GmailApi, *, can_search: bool) -> None:
        self._api = api
        self._can_search = can_search

    def since_cursor(self, mailbox: Mailbox, cursor: str | None, until: str | None) -> Iterator[ChangePage]:
        """Yield the changes after a cursor, or, without one, the mail since the mailbox's history_from."""
        current = self._position(mailbox)
        if cursor is not None:
            yield from self._walk(mailbox, _Cursor.parse(cursor), until)
        elif mailbox.history_from is None:
            yield ChangePage((), str(_Cursor(current)))
        else:
            yield from self._snapshot(mailbox, current, mailbox.history_from, until)

    def recover(self, mailbox: Mailbox, since: datetime) -> Iterator[ChangePage]:
        """Yield the mail since a moment, then what changed while it was read: the position is pinned first."""
        yield from self._snapshot(mailbox, self._position(mailbox), since, None)

    def window(self, mailbox: Mailbox, since: datetime) -> Iterator[tuple[Change, ...]]:
        """Yield every message id since a moment; no cursor is involved."""
        for label in self._listed_labels(mailbox):
            cursor: _Cursor | None = _Cursor("", _epoch_s(since), label=label)
            while cursor is not None:
                changes, page_token = self._snapshot_page(mailbox, cursor)
                yield changes
                cursor = replace(cursor, page_token=page_token) if page_token else None

    def _snapshot(self, mailbox: Mailbox, start: str, since: datetime, until: str | None) -> Iterator[ChangePage]:
        first = self._listed_labels(mailbox)[0]
        yield from self._walk(mailbox, _Cursor(start, _epoch_s(since), label=first), until)

    def _listed_labels(self, mailbox: Mailbox) -> list[str]:
        """Return whose mail is listed, in this order: that of the chosen labels which are still there, then all."""
        chosen = mailbox.account.folders
        if not chosen:
            return [ALL_MAIL]
        there = {label.id for label in list_labels(self._api, mailbox)}
        return [*sorted({*chosen & there, SENT}), ALL_MAIL]

    def _walk(self, mailbox: Mailbox, cursor: _Cursor, until: str | None) -> Iterator[ChangePage]:
        for number in range(MAX_PAGES):
            page, following = self._page(mailbox, cursor, until)
            is_last = following is None
            yield replace(page, complete=page.complete and (is_last or number + 1 < MAX_PAGES))
            if following is None:
                return
            cursor = following

    def _page(self, mailbox: Mailbox, cursor: _Cursor, until: str | None) -> tuple[ChangePage, _Cursor | None]:
        """Read one page; return it, and the cursor to go on with at once (None: all is read)."""
        read = self._read_history if cursor.since is None else self._read_snapshot
        try:
            return read(mailbox, cursor, until)
        except Rejected:
            if cursor.page_token is None:
                raise
        # A page token does not last for ever; the phase starts again where it began.
        return read(mailbox, replace(cursor, page_token=None), until)

    def _read_snapshot(
        self,
        mailbox: Mailbox,
        cursor: _Cursor,
        until: str | None,  # noqa: ARG002  # a snapshot has no position
    ) -> tuple[ChangePage, _Cursor]:
        labels = self._listed_labels(mailbox)
        changes: tuple[Change, ...] = ()
        page_token = None
        if cursor.label in labels:  # else it is not chosen any more, or was deleted
            changes, page_token = self._snapshot_page(mailbox, cursor)
        if page_token:
            following = replace(cursor, page_token=page_token)
        elif cursor.label == ALL_MAIL:
            following = _Cursor(cursor.start)
        else:
            label = next((label for label in labels if label > cursor.label), ALL_MAIL)
            following = replace(cursor, page_token=None, label=label)
        return ChangePage(changes, str(following)), following

    def _snapshot_page(self, mailbox: Mailbox, cursor: _Cursor) -> tuple[tuple[Change, ...], str | None]:
        since, rule = cursor.since or 0, None
        if mailbox.account.folders and cursor.label == ALL_MAIL:
            rule = NOT_CHOSEN  # of those that are to be read the lists before this one said so
        query: dict[str, Any] = {"userId": "me", "maxResults": PAGE_SIZE}
        if cursor.label:
            query["labelIds"] = [cursor.label]
        if self._can_search:
            query["q"] = f"after:{since} -in:drafts"
        if cursor.page_token:
            query["pageToken"] = cursor.page_token
        answer = self._api.call(Access.of(mailbox), "list", lambda users: users.messages().list(**query))
        if "messages" not in answer and "resultSizeEstimate" not in answer:
            raise Unavailable("Gmail's list is no list", provider=PROVIDER, operation="list")
        entries = [entry for entry in list_of_objects(answer, "messages") if entry.get("id")]
        following = _page_token(answer)
        if not self._can_search:
            entries, following = self._cut(mailbox, since, entries, following)
        # Gmail lists the newest first.
        return tuple(replace(_change(entry), filtered_by=rule) for entry in reversed(entries)), following

    def _cut(
        self, mailbox: Mailbox, since: int, entries: list[Mapping[str, Any]], page_token: str | None
    ) -> tuple[list[Mapping[str, Any]], str | None]:
        """Cut a page at a moment where no search is allowed: the oldest message of the page tells whether to."""
        if not entries or self._is_since(mailbox, entries[-1], since):
            return entries, page_token
        low, high = 0, len(entries) - 1  # entries[high] is too old
        while low < high:
            middle = (low + high) // 2
            if self._is_since(mailbox, entries[middle], since):
                low = middle + 1
            else:
                high = middle
        return entries[:low], None

    def _is_since(self, mailbox: Mailbox, entry: Mapping[str, Any], since: int) -> bool:
        answer = self._api.call(
            Access.of(mailbox), "get", lambda users: users.messages().get(userId="me", id=entry["id"], format="minimal")
        )
        internal_date = require_text(answer, "internalDate", "get")
        return internal_date.isdecimal() and int(internal_date) >= since * 1000

    def _read_history(self, mailbox: Mailbox, cursor: _Cursor, until: str | None) -> tuple[ChangePage, _Cursor | None]:
        query: dict[str, Any] = {
            "userId": "me",
            "startHistoryId": cursor.start,
            "historyTypes": HISTORY_TYPES,
            "maxResults": PAGE_SIZE,
        }
        if cursor.page_token:
            query["pageToken"] = cursor.page_token
        answer = self._api.call(Access.of(mailbox), "history", lambda users: users.history().list(**query))
        records = list_of_objects(answer, "history")  # a page may have a next page and no records
        changes = _fold(records, mailbox.account.folders)
        page_token = _page_token(answer)
        if page_token:
            following = replace(cursor, page_token=page_token)
            return ChangePage(changes, str(following)), following
        reached = int(_history_id(answer, "history"))
        if until is not None and until.isdecimal() and reached < int(until):
            # The index lags its own push. What it has shown is passed, nothing else.
            shown = max([int(cursor.start), *(_record_id(record) for record in records)])
            return ChangePage(changes, str(_Cursor(str(shown))), complete=False), None
        return ChangePage(changes, str(_Cursor(str(max(reached, int(cursor.start)))))), None

    def _position(self, mailbox: Mailbox) -> str:
        """Return where the mailbox is now, after making sure that it is the mailbox we mean."""
        profile = self._api.call(Access.of(mailbox), "profile", lambda users: users.getProfile(userId="me"))
        address = require_text(profile, "emailAddress", "profile").lower()
        if address != mailbox.account.mailbox.lower():
            raise Unavailable("Gmail answered for another mailbox", provider=PROVIDER, operation="profile")
        return _history_id(profile, "profile")


def _fold(records: Sequence[Mapping[str, Any]], chosen: Collection[str]) -> tuple[Change, ...]:
    """Return one change for each message: its deletion, else a reason to read it, else the rule that leaves it out."""
    changes: dict[str, Change] = {}
    for record in records:
        for kind in ("messagesAdded", "labelsAdded", "labelsRemoved", "messagesDeleted"):
            for event in list_of_objects(record, kind):
                change = _change_of(kind, event, chosen)
                if change is not None and _weight(change) >= _weight(changes.get(change.provider_id)):
                    changes[change.provider_id] = change
    return tuple(changes.values())


def _change_of(kind: str, event: Mapping[str, Any], chosen: Collection[str]) -> Change | None:
    message, labels = event.get("message"), event.get("labelIds")
    if not isinstance(message, dict) or not isinstance(message.get("id"), str):
        return None
    if kind == "messagesDeleted":
        return replace(_change(message), deleted=True, filtered_by=None)
    named = {label for label in labels if isinstance(label, str)} if isinstance(labels, list) else set()
    # Labels matter only where a message comes into a place we read: a spam is rescued, a draft becomes sent mail, a
    # mail gets a label that is chosen.
    read = KEPT_LABELS.union(chosen)
    if (kind == "labelsAdded" and not named & read) or (kind == "labelsRemoved" and not named & LEFT_OUT_LABELS):
        return None
    return _change(message, chosen)


def _change(message: Mapping[str, Any], chosen: Collection[str] = ()) -> Change:
    # labelIds is often missing here; then reading the message tells whether a rule leaves it out.
    labels, thread_id = message.get("labelIds"), message.get("threadId")
    rule = filter_rule(labels, chosen) if isinstance(labels, list) else None
    return Change(str(message["id"]), str(thread_id or ""), filtered_by=rule)


def _weight(change: Change | None) -> int:
    if change is None:
        return 0
    return 3 if change.deleted else 2 if change.filtered_by is None else 1


def _page_token(answer: Mapping[str, Any]) -> str | None:
    token = answer.get("nextPageToken")
    return token if isinstance(token, str) and token else None


def _history_id(answer: Mapping[str, Any], operation: str) -> str:
    history_id = require_text(answer, "historyId", operation)
    if not re.fullmatch(r"[0-9]{1,20}", history_id):  # an unsigned 64-bit number
        raise Unavailable("Gmail's answer has no history id", provider=PROVIDER, operation=operation)
    return history_id


def _record_id(record: Mapping[str, Any]) -> int:
    record_id = str(record.get("id", ""))
    return int(record_id) if re.fullmatch(r"[0-9]{1,20}", record_id) else 0


def _epoch_s(moment: datetime) -> int:
    """Return a moment for Gmail's `after:`, which leaves out the very second it names."""
    return max(0, (moment - EPOCH) // timedelta(seconds=1) - 1)
