"""One simulated mailbox: its folders, its messages, what changed in each folder. Part of the simulator."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.mail.graph.simulator_message import ParsedMail

# Well-known name, name shown, and the folder of a scenario that lies there.
WELL_KNOWN: Mapping[str, tuple[str, str]] = {
    "inbox": ("Inbox", "inbox"),
    "sentitems": ("Sent Items", "sent"),
    "drafts": ("Drafts", "draft"),
    "deleteditems": ("Deleted Items", "trash"),
    "junkemail": ("Junk Email", "spam"),
    "archive": ("Archive", "other"),
    "outbox": ("Outbox", "outbox"),
}
ROOT = "msgfolderroot"


@dataclass(slots=True)
class Entry:
    """What last happened to a message in a folder, as positions in the mailbox' changes."""

    added: int = 0
    changed: int = 0
    removed: int = 0


@dataclass(slots=True)
class SimulatedFolder:
    """A folder; `entries` also remembers the messages that left it."""

    id: str
    name: str
    parent_id: str
    well_known: str | None
    changed: int
    removed: bool = False
    count: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)
    log: list[tuple[int, str]] = field(default_factory=list)  # (position, message id) of every change, oldest first


@dataclass(slots=True)
class SimulatedMessage:
    """A message as the mailbox holds it. Its default id changes with its folder, the immutable one never."""

    id: str
    number: int
    raw: bytes
    at: datetime
    folder_id: str
    mail: ParsedMail
    conversation: int
    changed: int
    moves: int = 0
    is_read: bool = False

    @property
    def default_id(self) -> str:
        """The id shown to whoever does not ask for immutable ones."""
        return _id("RESTID", self.number, self.moves)


@dataclass
class SimulatedMailbox:
    """A mailbox; the simulator's lock is held by whoever calls."""

    address: str
    number: int
    aliases: tuple[str, ...] = ()
    is_shared: bool = False
    shared_with: set[str] = field(default_factory=set)  # addresses of those who may read it with their own access
    position: int = 0  # of the newest change
    generation: int = 0  # positions given out in an earlier one have expired
    refusal: tuple[int, str] = (410, "syncStateNotFound")  # how an expired position is refused
    folders: dict[str, SimulatedFolder] = field(default_factory=dict)
    messages: dict[str, SimulatedMessage] = field(default_factory=dict)
    usage: Counter[str] = field(default_factory=Counter)
    listed: set[str] = field(default_factory=set)
    running: int = 0
    _made: int = 0
    _by_default_id: dict[str, str] = field(default_factory=dict)
    _conversations: dict[tuple[str, str], int] = field(default_factory=dict)  # (subject, Message-ID)

    def __post_init__(self) -> None:
        self.user_id = str(uuid.UUID(hashlib.md5(self.address.encode(), usedforsecurity=False).hexdigest()))
        self.root_id = self._new_folder(ROOT, "Top of Information Store", "").id
        for name, (shown, _) in WELL_KNOWN.items():
            self._new_folder(name, shown, self.root_id)

    # --- folders ---

    def folder(self, name: str) -> SimulatedFolder | None:
        """Find a folder by id or well-known name."""
        found = self.folders.get(name) or next((f for f in self.folders.values() if f.well_known == name.lower()), None)
        return found if found is not None and not found.removed else None

    def folder_for(self, folder: str) -> SimulatedFolder:
        """Return the folder of a scenario's word, or one the owner made, which comes into being now."""
        for name, (_, word) in WELL_KNOWN.items():
            if folder in {word, name}:
                return self._known(name)
        made = next((f for f in self.folders.values() if f.name == folder and not f.removed), None)
        return made or self.make_folder(folder)

    def make_folder(self, name: str, parent_id: str | None = None) -> SimulatedFolder:
        """Make a folder as the owner would."""
        return self._new_folder(None, name, parent_id or self.root_id)

    def remove_folder(self, name: str) -> list[SimulatedMessage]:
        """Delete a folder with everything in it; return the messages that went."""
        folder = self.folder_for(name)
        gone = [message for message in self.messages.values() if message.folder_id == folder.id]
        for message in gone:
            self.delete(message.id)
        folder.removed, folder.changed = True, self._next()
        return gone

    # --- messages ---

    def add(self, raw: bytes, at: datetime, folder: SimulatedFolder) -> SimulatedMessage:
        """Put a message in."""
        self._made += 1
        mail = ParsedMail(raw)
        message = SimulatedMessage(
            id=_id("IMMUTABLE", self.number, self._made),
            number=self.number * 1_000_000 + self._made,
            raw=raw,
            at=at,
            folder_id=folder.id,
            mail=mail,
            conversation=self._conversation_of(mail),
            changed=0,
        )
        self.messages[message.id] = message
        self._by_default_id[message.default_id] = message.id
        self._enter(folder, message)
        return message

    def message(self, name: str) -> SimulatedMessage | None:
        """Find a message by its immutable or its default id; both are case-sensitive."""
        return self.messages.get(self._by_default_id.get(name, name))

    def change(self, message_id: str, *, is_read: bool) -> SimulatedMessage:
        """Mark a message as read or not. Raises KeyError when it is not there."""
        message = self.messages[message_id]
        message.is_read = is_read
        folder = self.folders[message.folder_id]
        message.changed = folder.entries[message_id].changed = self._record(folder, message_id)
        return message

    def move(self, message_id: str, to: SimulatedFolder) -> SimulatedMessage:
        """Move a message to another folder. Raises KeyError when it is not there."""
        message = self.messages[message_id]
        self._leave(message)
        del self._by_default_id[message.default_id]
        message.moves += 1
        self._by_default_id[message.default_id] = message_id
        message.folder_id = to.id
        self._enter(to, message)
        return message

    def delete(self, message_id: str) -> SimulatedMessage:
        """Take a message away for good. Raises KeyError when it is not there."""
        message = self.messages.pop(message_id)
        self._leave(message)
        del self._by_default_id[message.default_id]
        return message

    def forget_positions(self, status: int, code: str) -> None:
        """Let every position of a delta given out so far expire."""
        self.generation += 1
        self.refusal = (status, code)

    def user(self) -> dict[str, Any]:
        """Return the mailbox' owner as the directory shows it."""
        return {
            "id": self.user_id,
            "displayName": self.address.partition("@")[0].title(),
            "mail": self.address,
            "userPrincipalName": self.address,
            "otherMails": [],
            "proxyAddresses": [f"SMTP:{self.address}", *(f"smtp:{alias}" for alias in self.aliases)],
        }

    def _known(self, name: str) -> SimulatedFolder:
        return next(folder for folder in self.folders.values() if folder.well_known == name)

    def _new_folder(self, well_known: str | None, name: str, parent_id: str) -> SimulatedFolder:
        folder = SimulatedFolder(
            _id("FOLDER", self.number, len(self.folders)), name, parent_id, well_known, self._next()
        )
        self.folders[folder.id] = folder
        return folder

    def _enter(self, folder: SimulatedFolder, message: SimulatedMessage) -> None:
        entry = folder.entries.setdefault(message.id, Entry())
        entry.added = entry.changed = message.changed = self._record(folder, message.id)
        folder.count += 1

    def _leave(self, message: SimulatedMessage) -> None:
        folder = self.folders[message.folder_id]
        folder.entries[message.id].removed = self._record(folder, message.id)
        folder.count -= 1

    def _record(self, folder: SimulatedFolder, message_id: str) -> int:
        folder.log.append((self._next(), message_id))
        return self.position

    def _next(self) -> int:
        self.position += 1
        return self.position

    def _conversation_of(self, mail: ParsedMail) -> int:
        """Exchange's rule, roughly: the same subject and a common reference."""
        keys = [(mail.base_subject, name) for name in mail.ids]
        known = next((self._conversations[key] for key in keys if key in self._conversations), self._made)
        self._conversations.update(dict.fromkeys(keys, known))
        return known


def _id(kind: str, *numbers: int) -> str:
    """Make an id in the manner of Graph's: long, base64 of the URL-safe alphabet, upper and lower case."""
    digest = hashlib.sha256(f"{kind}{numbers}".encode()).digest()
    return f"AAMk{kind[0]}{base64.urlsafe_b64encode(digest * 2).decode()}"


def newest(messages: Sequence[SimulatedMessage]) -> SimulatedMessage | None:
    """Return the message that came last."""
    return max(messages, key=lambda message: (message.at, message.number), default=None)
