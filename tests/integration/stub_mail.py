"""StubMail: a mail provider in memory that implements the port and does as it is told.

Its cursor is a position in the log of a mailbox, or, while a snapshot is read, `pinned|since|offset`. As with a
provider, every page's cursor may be kept and gone on from.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from app.errors import CursorExpired, ProviderError
from app.model import NOT_CHOSEN, Handshake, Notification, ProviderMessage
from app.ports import (
    Authorization,
    Change,
    ChangePage,
    Clock,
    ConnectedMailbox,
    FailedMessage,
    Fetched,
    FetchOutcome,
    FilteredMessage,
    GoneMessage,
    Mailbox,
    MailCapabilities,
    MailFolder,
    PushRequest,
    Subscription,
)

AUTHSERV_ID = "mx.stub.test"


@dataclass
class Box:
    """One mailbox: what lies in it, and the log of what happened to it."""

    messages: dict[str, ProviderMessage] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    filtered: dict[str, str] = field(default_factory=dict)  # id -> rule that only shows when it is read
    hidden: int = 0  # the newest entries of the log that are not shown yet
    forgotten: int = 0  # cursors before this position have expired


class StubMail:
    """A MailConnector; `calls` counts what was asked of it, `fetched` are the ids in the order they were read."""

    provider = "stub"

    def __init__(self, clock: Clock, *, batch_size: int = 3, page_size: int = 2) -> None:
        self.capabilities = MailCapabilities(batch_size, 6 * 86_400, authserv_id=AUTHSERV_ID)
        self.boxes: dict[str, Box] = defaultdict(Box)
        self.calls: Counter[str] = Counter()
        self.fetched: list[str] = []
        self.recovered_since: datetime | None = None
        self.page_size = page_size
        self._clock = clock
        self._failures: dict[str, deque[ProviderError | None]] = defaultdict(deque)
        self._failing_parts: dict[str, ProviderError] = {}

    # --- what a test does ---

    def deliver(
        self,
        mailbox: str,
        number: int,
        *,
        folder: Any = "inbox",
        filtered_by: str | None = None,
        is_logged: bool = True,
        at: datetime | None = None,
        changed: Mapping[str, Any] | None = None,
        **headers: str,
    ) -> str:
        """Put message `number` into a mailbox and return its id; what is not logged only a window shows."""
        box, provider_id = self.boxes[mailbox], f"{mailbox.partition('@')[0]}-{number}"
        box.messages[provider_id] = replace(
            message(provider_id, number, at or self._clock.now(), **headers), folder=folder, **(changed or {})
        )
        if is_logged:
            box.log.append(Change(provider_id, f"t{number}", filtered_by=filtered_by))
        return provider_id

    def delete(self, mailbox: str, provider_id: str, *, is_logged: bool = True) -> None:
        """Delete a message; what is not logged shows when it is read."""
        box = self.boxes[mailbox]
        del box.messages[provider_id]
        if is_logged:
            box.log.append(Change(provider_id, deleted=True))

    def fail(self, operation: str, *errors: ProviderError | None) -> None:
        """Let the next calls of an operation fail, one error a call; None lets that call work.

        The operations are the port's methods, and `page`: the making of one page of changes.
        """
        self._failures[operation].extend(errors)

    def fail_part(self, provider_id: str, error: ProviderError | None) -> None:
        """Let reading one message fail until this is called with None."""
        if error is None:
            self._failing_parts.pop(provider_id)
        else:
            self._failing_parts[provider_id] = error

    # --- the port ---

    def list_changes(self, mailbox: Mailbox, cursor: str | None, until: str | None = None) -> Iterator[ChangePage]:
        box = self._asked("list_changes", mailbox)
        if cursor is None:
            if mailbox.history_from is None:
                yield ChangePage((), str(len(box.log)))
                return
            cursor = _snapshot(len(box.log), mailbox.history_from, 0)
        yield from self._walk(box, cursor, until)

    def recover(self, mailbox: Mailbox, since: datetime) -> Iterator[ChangePage]:
        box = self._asked("recover", mailbox)
        self.recovered_since = since
        yield from self._walk(box, _snapshot(len(box.log), since, 0), None)

    def list_window(self, mailbox: Mailbox, since: datetime) -> Iterator[tuple[Change, ...]]:
        box = self._asked("list_window", mailbox)
        for provider_id in _since(box, since):
            yield (Change(provider_id, filtered_by=_rule(mailbox, box.messages[provider_id])),)

    def list_folders(self, mailbox: Mailbox) -> Sequence[MailFolder]:
        raise NotImplementedError

    def fetch(self, mailbox: Mailbox, provider_ids: Sequence[str]) -> list[FetchOutcome]:
        box = self._asked("fetch", mailbox)
        assert 0 < len(provider_ids) <= self.capabilities.batch_size
        self.fetched += provider_ids
        return [self._outcome(mailbox, box, provider_id) for provider_id in reversed(provider_ids)]

    def subscribe(self, mailbox: Mailbox) -> Subscription:
        self._asked("subscribe", mailbox)
        return Subscription(f"watch-{self.calls['subscribe']}", self._clock.now() + timedelta(days=7))

    def own_addresses(self, mailbox: Mailbox) -> frozenset[str]:
        self._asked("own_addresses", mailbox)
        return frozenset({mailbox.account.address, f"alias.{mailbox.account.address}"})

    def read_push(self, request: PushRequest) -> list[Notification] | Handshake:
        raise NotImplementedError

    def authorize(self, redirect_uri: str, state: str, login_hint: str | None) -> Authorization:
        raise NotImplementedError

    def connect(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> ConnectedMailbox:
        raise NotImplementedError

    def disconnect(self, mailbox: Mailbox, *, last: bool) -> None:
        raise NotImplementedError

    # --- pieces ---

    def _asked(self, operation: str, mailbox: Mailbox) -> Box:
        self._meet(operation)
        return self.boxes[mailbox.account.mailbox]

    def _walk(self, box: Box, cursor: str, until: str | None) -> Iterator[ChangePage]:
        if "|" in cursor:
            pinned, since, offset = cursor.split("|")
            found = _since(box, datetime.fromisoformat(since))
            for start in range(int(offset), len(found), self.page_size):
                self._meet("page")
                ids = found[start : start + self.page_size]
                reached = _snapshot(int(pinned), datetime.fromisoformat(since), start + len(ids))
                yield ChangePage(tuple(map(Change, ids)), reached)
            cursor = pinned
        if int(cursor) < box.forgotten:
            raise CursorExpired(provider=self.provider, operation="list_changes")
        shown = box.log[: len(box.log) - box.hidden]
        position = min(int(cursor), len(shown))
        while True:
            self._meet("page")
            page = tuple(shown[position : position + self.page_size])
            position += len(page)
            is_last = position >= len(shown)
            yield ChangePage(page, str(position), complete=not is_last or until is None or position >= int(until))
            if is_last:
                return

    def _meet(self, operation: str) -> None:
        self.calls[operation] += 1
        error = self._failures[operation].popleft() if self._failures[operation] else None
        if error is not None:
            raise error

    def _outcome(self, mailbox: Mailbox, box: Box, provider_id: str) -> FetchOutcome:
        if provider_id in self._failing_parts:
            return FailedMessage(provider_id, self._failing_parts[provider_id])
        if provider_id in box.filtered:
            return FilteredMessage(provider_id, box.filtered[provider_id])
        if provider_id not in box.messages:
            return GoneMessage(provider_id)
        rule = _rule(mailbox, box.messages[provider_id])
        if rule is not None:
            return FilteredMessage(provider_id, rule)
        return Fetched(provider_id, box.messages[provider_id])


def message(provider_id: str, number: int, at: datetime, **headers: str) -> ProviderMessage:
    """Return a mail from a customer; `headers` replace or add, with _ for -."""
    named = {
        "From": "Bea <bea@acme.test>",
        "To": "Ada <ada@northwind.test>",
        "Subject": f"Offer {number}",
        "Message_ID": f"<m{number}@acme.test>",
        **headers,
    }
    return ProviderMessage(
        provider_id=provider_id,
        provider_thread_id=f"t{number}",
        at=at,
        folder="inbox",
        headers=tuple((name.replace("_", "-"), value) for name, value in named.items()),
        text=f"Text {number}",
        snippet=f"Snippet {number}",
    )


def _rule(mailbox: Mailbox, message: ProviderMessage) -> str | None:
    chosen = mailbox.account.folders
    return NOT_CHOSEN if chosen and message.folder not in {*chosen, "sent"} else None


def _snapshot(pinned: int, since: datetime, offset: int) -> str:
    return f"{pinned}|{since.isoformat()}|{offset}"


def _since(box: Box, since: datetime) -> list[str]:
    return [provider_id for provider_id, message in box.messages.items() if message.at >= since]
