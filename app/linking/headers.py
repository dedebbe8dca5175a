"""From what a connector delivers to a message: each header bounded, decoded and put where it belongs.

Nothing raises: what cannot be read is left out, what is too long is cut, and `Message.flags` says so. The mail is
always stored (reliability-and-security.md, promise 1). Every value is still a claim of whoever sent it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.linking import authenticity, automated, message_ids, text
from app.linking.addresses import MAX_LIST_CHARS, MAX_LIST_MAILBOXES, is_ours, read_list
from app.linking.subjects import BaseSubject, base_subject
from app.model import Attachment, Copy, Message, Ours, Participant, ProviderMessage, Role, Verdict

MAX_HEADERS = 2_000
MAX_LINE_CHARS = 16 * 1024
MAX_STRUCTURED_CHARS = 4 * 1024
MAX_SUBJECT_CHARS = 1_000
MAX_TEXT_BYTES = 64 * 1024
MAX_SNIPPET_CHARS = 200
MAX_PARTS = 200
_MAX_NAME_CHARS = 255
_MAX_SIZE_BYTES = 2**40

_FOLD = re.compile(r"[\r\n]+")

# The headers that are read, and how many characters of each, all its instances together (threats.md P1).
_LISTS = ("to", "cc", "bcc")
_LINES = ("subject", "references", "list-unsubscribe")
_STRUCTURED = (
    "auto-submitted", "content-class", "content-type", "date", "feedback-id", "from", "in-reply-to", "list-id",
    "message-id", "precedence", "reply-to", "return-path", "sender", "thread-index", "x-autoreply", "x-autorespond",
    "x-autoresponder", "x-failed-recipients", "x-google-group-id", "x-google-original-message-id",
    "x-ms-exchange-message-is-ndr", "x-original-from",
)  # fmt: skip
_LIMITS = (
    dict.fromkeys(_LISTS, MAX_LIST_CHARS)
    | dict.fromkeys(_LINES, MAX_LINE_CHARS)
    | dict.fromkeys(_STRUCTURED, MAX_STRUCTURED_CHARS)
    | {"authentication-results": authenticity.MAX_RESULTS_CHARS + 1}  # one more, so that it sees what was too long
)


def limit_of(name: str) -> int:
    """Return how many characters of a header are read, 0 when it is not read at all; `name` in lower case."""
    return _LIMITS.get(name, 0)


def read(delivered: ProviderMessage, *, account_id: int, ours: Ours, authserv_id: str | None) -> Message:
    """Make a message with one copy of what one mailbox delivered.

    `authserv_id` as in `authenticity.verdict`. The ids of message and copy are 0, their `joined` is for threads to say.
    """
    headers = _Headers.collect(delivered.headers)
    participants, rest = _participants(headers)
    verdict = authenticity.verdict(
        headers.all("authentication-results"),
        _addresses(participants, "from"),
        in_sent=delivered.folder == "sent",
        authserv_id=authserv_id,
    )
    participants = _with_original_author(participants, headers, verdict, ours)
    subject = _subject(headers)
    identity = _identity(headers, participants, subject, delivered)
    kind = automated.classify(_signs(headers, participants, subject, verdict, delivered.part_types, ours))
    content = text.storable(delivered.text[:MAX_TEXT_BYTES])
    return Message(
        id=0,
        internet_id=identity.internet_id,
        mid_hash=message_ids.hash_of(identity.internet_id),
        fingerprint=identity.fingerprint,
        at=delivered.at,
        subject=subject,
        base_subject=identity.subject.base,
        participants=participants,
        copies=(_copy(delivered, headers, content, verdict, account_id),),
        references=identity.references,
        in_reply_to=identity.in_reply_to,
        other_ids=identity.other_ids,
        bounce_of=_bounce_of(delivered.related_ids, identity.internet_id) if kind == "bounce" else None,
        automated=kind,
        is_reply=identity.subject.is_reply,
        is_forward=identity.subject.is_forward,
        thread_index=message_ids.thread_guid(headers.first("thread-index")),
        date_header=identity.date,
        flags=_flags(headers, delivered, identity.is_synthetic, rest),
        namespace=delivered.namespace,
    )


# --- headers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Headers:
    """The headers that are read, by name in lower case, each within its limit, topmost first."""

    values: dict[str, list[str]]
    is_cut: bool
    is_replaced: bool

    @classmethod
    def collect(cls, pairs: Sequence[tuple[str, str]]) -> _Headers:
        values: dict[str, list[str]] = {}
        room = _LIMITS.copy()
        is_cut = len(pairs) > MAX_HEADERS
        is_replaced = False
        for written_name, whole in pairs[:MAX_HEADERS]:
            name = written_name.lower()
            if name not in room:
                continue
            value = whole
            if len(value) > room[name]:
                is_cut = True
                value = _cut(name, value, room[name])
            room[name] -= len(value)
            if not value.isprintable():
                is_replaced = is_replaced or not text.is_storable(value)
                value = _FOLD.sub(" ", text.storable(value))
            values.setdefault(name, []).append(value)
        return cls(values, is_cut, is_replaced)

    def all(self, name: str) -> Sequence[str]:
        return self.values.get(name, ())

    def first(self, name: str) -> str:
        values = self.values.get(name)
        return values[0] if values else ""

    def joined(self, name: str, separator: str) -> str:
        """Return every instance as one value: a second To is a mistake, yet its people got the mail."""
        return separator.join(self.values.get(name, ()))


def _cut(name: str, value: str, room: int) -> str:
    """Cut a header; of a chain of references the root and the end count, not the middle."""
    if name == "references" and room > 2 * message_ids.MAX_ID_CHARS:
        head = value[: message_ids.MAX_ID_CHARS]
        return f"{head} {value[len(head) + 1 - room :]}"
    return value[:room]


# --- people -----------------------------------------------------------------------------------------------------------

_ROLES: tuple[tuple[str, Role], ...] = (
    ("from", "from"),
    ("sender", "sender"),
    ("reply-to", "reply_to"),
    ("to", "to"),
    ("cc", "cc"),
)


def _participants(headers: _Headers) -> tuple[tuple[Participant, ...], int]:
    """Return everybody but Bcc, at most 2,000, each once in a role, and how many more there are."""
    people: list[Participant] = []
    rest = 0
    for name, role in _ROLES:
        mailboxes, more = _mailboxes(headers, name, role)
        people += mailboxes
        rest += more
    return tuple(people[:MAX_LIST_MAILBOXES]), rest + max(len(people) - MAX_LIST_MAILBOXES, 0)


def _mailboxes(headers: _Headers, name: str, role: Role) -> tuple[Iterable[Participant], int]:
    value = headers.joined(name, ", ")
    if not value:
        return (), 0
    read = read_list(value)
    by_address: dict[str, Participant] = {}
    for written_name, address in read.mailboxes:
        by_address.setdefault(address, Participant(address, role, written_name))
    return by_address.values(), read.rest


def _with_original_author(
    participants: tuple[Participant, ...], headers: _Headers, verdict: Verdict, ours: Ours
) -> tuple[Participant, ...]:
    """Put back the author whom a Google group of ours replaced by itself in From.

    Only when the provider proved that the mail comes from a domain of ours and the group's number is there
    (conversations.md A): anybody can write X-Original-From.
    """
    if verdict != "pass" or not headers.first("x-google-group-id") or not headers.first("x-original-from"):
        return participants
    original = read_list(headers.first("x-original-from")).mailboxes
    if len(original) != 1 or not all(is_ours(address, ours) for address in _addresses(participants, "from")):
        return participants
    name, address = original[0]
    others = (person for person in participants if person.role != "from")
    return (Participant(address, "from", name), *others)


def _addresses(participants: Iterable[Participant], *roles: Role) -> list[str]:
    return [person.address for person in participants if person.role in roles]


# --- identity -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Identity:
    internet_id: str
    is_synthetic: bool
    fingerprint: bytes
    subject: BaseSubject
    date: datetime | None
    references: tuple[str, ...]
    in_reply_to: str | None
    other_ids: tuple[str, ...]


def _identity(
    headers: _Headers, participants: Sequence[Participant], subject: str, delivered: ProviderMessage
) -> _Identity:
    date = message_ids.read_date(headers.first("date"))
    senders = _addresses(participants, "from")
    recipients = _addresses(participants, "to", "cc")
    written_id = message_ids.normalize_id(headers.first("message-id"))
    # Without a Date the provider's time keeps apart what would else be one mail: two reports of the same machine.
    internet_id = written_id or message_ids.synthetic_id(
        senders, recipients, date or delivered.at, subject, delivered.text
    )
    answered = [each for each in message_ids.ids_in(headers.joined("in-reply-to", " ")) if each != internet_id]
    references = message_ids.references(message_ids.ids_in(headers.joined("references", " ")), answered, internet_id)
    taken_apart = base_subject(subject, headers.all("list-id"), bool(references))
    # A copy in Sent may lack References: what is compared between copies must not depend on them.
    comparable = taken_apart if references else base_subject(subject, headers.all("list-id"), True)
    original_id = message_ids.normalize_id(headers.first("x-google-original-message-id"))
    return _Identity(
        internet_id=internet_id,
        is_synthetic=written_id is None,
        fingerprint=message_ids.fingerprint(senders, date, comparable.base, recipients),
        subject=taken_apart,
        date=date,
        references=references,
        in_reply_to=answered[0] if answered else None,
        other_ids=(original_id,) if original_id and original_id != internet_id else (),
    )


def _bounce_of(related_ids: Sequence[str], own_id: str) -> str | None:
    """Return the id of the mail that a bounce brings back."""
    found = (message_ids.normalize_id(text.storable(each[:MAX_STRUCTURED_CHARS])) for each in related_ids[:10])
    return next((each for each in found if each and each != own_id), None)


# --- content --------------------------------------------------------------------------------------------------------


def _subject(headers: _Headers) -> str:
    return text.one_line(text.decode_words(headers.first("subject")), MAX_SUBJECT_CHARS)


def _signs(
    headers: _Headers,
    participants: Sequence[Participant],
    subject: str,
    verdict: Verdict,
    part_types: Sequence[str],
    ours: Ours,
) -> automated.Signs:
    senders = _addresses(participants, "from")
    is_proved = verdict == "own" or (verdict == "pass" and bool(senders) and is_ours(senders[0], ours))
    return automated.Signs(
        headers=headers.values,
        part_types=[part[:MAX_LINE_CHARS].lower() for part in part_types[:MAX_PARTS]],
        subject=subject,
        senders=senders,
        recipients=_addresses(participants, "to", "cc"),
        is_own_mail=is_proved,
        ours=ours,
    )


def _copy(delivered: ProviderMessage, headers: _Headers, content: str, verdict: Verdict, account_id: int) -> Copy:
    in_sent = delivered.folder == "sent"
    # Only the sender's own copy has a true Bcc; on a received mail it is one more claim, and of use to nobody.
    bcc, _ = _mailboxes(headers, "bcc", "bcc") if in_sent else ((), 0)
    return Copy(
        id=0,
        account_id=account_id,
        provider_id=delivered.provider_id,
        provider_thread_id=delivered.provider_thread_id,
        at=delivered.at,
        in_sent=in_sent,
        verdict=verdict,
        joined="founded",
        bcc=tuple(bcc),
        snippet=text.one_line(delivered.snippet[:MAX_LINE_CHARS], MAX_SNIPPET_CHARS)
        or text.excerpt(content, MAX_SNIPPET_CHARS),
        text=_within_bytes(content, MAX_TEXT_BYTES),
        attachments=tuple(_attachment(each) for each in delivered.attachments[:MAX_PARTS]),
    )


def _attachment(delivered: Attachment) -> Attachment:
    name = text.decode_words(delivered.name[:MAX_STRUCTURED_CHARS])
    return Attachment(
        name=text.one_line(name, _MAX_NAME_CHARS),
        size_bytes=min(max(delivered.size_bytes, 0), _MAX_SIZE_BYTES),
        content_type=text.one_line(delivered.content_type[:MAX_STRUCTURED_CHARS], _MAX_NAME_CHARS),
    )


def _within_bytes(content: str, limit: int) -> str:
    if len(content) * 4 <= limit:
        return content
    return content.encode()[:limit].decode("utf-8", "ignore")


def _flags(headers: _Headers, delivered: ProviderMessage, is_synthetic: bool, rest: int) -> tuple[str, ...]:
    """Say what was not taken over as it came."""
    is_replaced = headers.is_replaced or not text.is_storable(delivered.text[:MAX_TEXT_BYTES])
    flags = {
        "synthetic_id": is_synthetic,
        "header_cut": headers.is_cut,
        f"participants_cut:{rest}": rest > 0,
        "characters_replaced": is_replaced,
        "parked": delivered.parked is not None,
    }
    return (*(flag for flag, is_set in flags.items() if is_set), *delivered.flags)
