"""One simulated mailbox: its messages, its history, its watch, and what reading it cost. Part of the simulator."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.parser import BytesHeaderParser
from typing import Any

from connectors.mail.gmail.simulator_payload import base64url, metadata_of, payload_of, snippet_of

FOLDER_LABELS: Mapping[str, tuple[str, ...]] = {
    "inbox": ("INBOX", "UNREAD"),
    "sent": ("SENT",),
    "self": ("INBOX", "SENT", "UNREAD"),  # a mail to oneself
    "other": (),
    "draft": ("DRAFT",),
    "spam": ("SPAM", "UNREAD"),
    "trash": ("TRASH",),
    "chat": ("CHAT",),
}
HISTORY_KINDS = {
    "messageAdded": "messagesAdded",
    "messageDeleted": "messagesDeleted",
    "labelAdded": "labelsAdded",
    "labelRemoved": "labelsRemoved",
}
THREAD_WINDOW = timedelta(days=7)
THREAD_CAP = 100
_REPLY_PREFIX = re.compile(r"(?i)^(?:\s*(?:re|fwd?)\s*:)+\s*")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")


@dataclass(slots=True)
class SimulatedMessage:
    """A message as the mailbox holds it."""

    id: str
    thread_id: str
    raw: bytes
    at: datetime
    labels: list[str]
    history_id: int
    subject: str
    ids: frozenset[str]

    def show(self, form: str, metadata_headers: Collection[str] = ()) -> dict[str, Any]:
        """Return the message in a format: full, metadata, minimal or raw."""
        shown: dict[str, Any] = {
            "id": self.id,
            "threadId": self.thread_id,
            "snippet": snippet_of(self.raw),
            "historyId": str(self.history_id),
            "internalDate": str(int(self.at.timestamp() * 1000)),
            "sizeEstimate": len(self.raw),
        }
        if self.labels:  # Gmail leaves the list out when there are none
            shown["labelIds"] = list(self.labels)
        if form == "full":
            shown["payload"] = payload_of(self.raw)
        elif form == "metadata":
            shown["payload"] = metadata_of(self.raw, metadata_headers)
        elif form == "raw":
            shown["raw"] = base64url(self.raw)
        return shown


@dataclass(slots=True)
class Record:
    """One line of the history."""

    id: int
    kind: str  # a key of HISTORY_KINDS
    message_id: str
    thread_id: str
    labels: tuple[str, ...] = ()  # those added or removed


@dataclass
class SimulatedMailbox:
    """A mailbox; the simulator's lock is held by whoever calls."""

    address: str
    user_id: str
    aliases: tuple[str, ...]
    number: int
    history_id: int = 1_000
    oldest_history_id: int = 0  # a cursor before it has expired
    messages: dict[str, SimulatedMessage] = field(default_factory=dict)
    history: list[Record] = field(default_factory=list)
    own_labels: dict[str, str] = field(default_factory=dict)  # the owner's, ids by name
    watch: Mapping[str, Any] | None = None
    watch_expires_at: datetime | None = None
    has_foreign_watch: bool = False
    usage: Counter[str] = field(default_factory=Counter)
    listed: set[str] = field(default_factory=set)
    _made: int = 0
    _labels_made: int = 0
    _by_reference: dict[tuple[str, str], SimulatedMessage] = field(default_factory=dict)  # (subject, Message-ID)
    _thread_sizes: Counter[str] = field(default_factory=Counter)

    def add(self, raw: bytes, at: datetime, labels: Sequence[str]) -> SimulatedMessage:
        """Put a message in, in the thread Gmail would choose."""
        self._made += 1
        message_id = f"{0x18C0_0000_0000_0000 + (self.number << 32) + self._made:016x}"
        headers = BytesHeaderParser().parsebytes(raw[:1_000_000])
        subject = _REPLY_PREFIX.sub("", str(headers.get("Subject", ""))[:1_000]).strip().lower()
        named = " ".join(str(headers.get(name, "")) for name in ("Message-ID", "In-Reply-To", "References"))
        ids = frozenset(_MESSAGE_ID.findall(named[:20_000]))
        thread_id = self._thread_for(subject, ids, at) or message_id
        message = SimulatedMessage(message_id, thread_id, raw, at, list(labels), 0, subject, ids)
        self.messages[message_id] = message
        self._by_reference.update({(subject, referenced): message for referenced in ids})
        self._thread_sizes[thread_id] += 1
        message.history_id = self._record("messageAdded", message)
        return message

    def labels_for(self, folder: str) -> Sequence[str]:
        """Return the labels of a scenario's word, or a label of the owner's, which comes into being now."""
        if folder in FOLDER_LABELS:
            return FOLDER_LABELS[folder]
        if folder not in self.own_labels:
            self._labels_made += 1
            self.own_labels[folder] = f"Label_{self._labels_made}"
        return (self.own_labels[folder],)

    def delete(self, message_id: str) -> SimulatedMessage:
        """Take a message away for good. Raises KeyError when it is not there."""
        message = self.messages.pop(message_id)
        self._record("messageDeleted", message)
        return message

    def relabel(self, message_id: str, add: Sequence[str], remove: Sequence[str]) -> SimulatedMessage:
        """Change a message's labels. Raises KeyError when it is not there."""
        message = self.messages[message_id]
        if remove:
            message.labels = [label for label in message.labels if label not in remove]
            message.history_id = self._record("labelRemoved", message, remove)
        if add:
            message.labels += [label for label in add if label not in message.labels]
            message.history_id = self._record("labelAdded", message, add)
        return message

    def forget_history(self) -> None:
        """Let every cursor given out so far expire."""
        self.history_id += 7
        self.oldest_history_id = self.history_id
        self.history.clear()

    def shows_to_watch(self, labels: Sequence[str]) -> bool:
        """Whether a change to a message with these labels is pushed."""
        if self.watch is None:
            return False
        named = set(self.watch.get("labelIds") or ())
        if not named:
            return True
        is_excluded = str(self.watch.get("labelFilterBehavior", "include")).lower() == "exclude"
        return named.isdisjoint(labels) if is_excluded else not named.isdisjoint(labels)

    def find(self, query: str, label_ids: Sequence[str], *, with_spam_and_trash: bool) -> list[SimulatedMessage]:
        """Return the messages a search finds, newest first; of the operators, after:, before: and -in: are known."""
        hidden = set() if with_spam_and_trash else {"SPAM", "TRASH"}
        after, before = float("-inf"), float("inf")
        for word in query.split():
            name, _, value = word.partition(":")
            if name == "after":
                after = float(value)
            elif name == "before":
                before = float(value)
            elif name == "-in":
                hidden.add(value.upper().removesuffix("S"))
            else:
                raise ValueError(word)
        found = [
            message
            for message in self.messages.values()
            if after < message.at.timestamp() < before
            and hidden.isdisjoint(message.labels)
            and set(label_ids) <= set(message.labels)
        ]
        return sorted(found, key=lambda message: (message.at, message.id), reverse=True)

    def changes(self, start: int, kinds: Collection[str], up_to: int, label: str | None) -> list[Record]:
        """Return the records after a history id."""
        first = bisect_right(self.history, start, key=lambda record: record.id)
        return [
            record
            for record in self.history[first:]
            if record.id <= up_to
            and (not kinds or record.kind in kinds)
            and (label is None or label in self._labels_of(record))
        ]

    def show_record(self, record: Record, *, with_labels: bool) -> dict[str, Any]:
        """Return a record as history.list shows it."""
        plain: dict[str, Any] = {"id": record.message_id, "threadId": record.thread_id}
        labels = self._labels_of(record)
        message = {**plain, "labelIds": labels} if with_labels and labels else plain
        event: dict[str, Any] = {"message": message}
        if record.labels:
            event["labelIds"] = list(record.labels)
        return {"id": str(record.id), "messages": [plain], HISTORY_KINDS[record.kind]: [event]}

    def _labels_of(self, record: Record) -> list[str]:
        message = self.messages.get(record.message_id)
        return list(message.labels) if message else []

    def _record(self, kind: str, message: SimulatedMessage, labels: Sequence[str] = ()) -> int:
        self.history_id += 3 + self._made % 11  # Gmail's ids rise, but not one by one
        self.history.append(Record(self.history_id, kind, message.id, message.thread_id, tuple(labels)))
        return self.history_id

    def _thread_for(self, subject: str, ids: frozenset[str], at: datetime) -> str | None:
        """Gmail's rule: the same subject, a shared reference, each within a week of the last, 100 at most."""
        near = [
            message
            for message in (self._by_reference.get((subject, message_id)) for message_id in ids)
            if message is not None and abs(at - message.at) <= THREAD_WINDOW
        ]
        if not near:
            return None
        thread_id = max(near, key=lambda message: message.at).thread_id
        return thread_id if self._thread_sizes[thread_id] < THREAD_CAP else None
