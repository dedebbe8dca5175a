"""What a received mail is: one's own mail (a copy, or a forward), one that was forwarded by itself, or to be held back.

The table of mail-connectors.md 5.4. Pure: what the DNS and the database said is given.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.linking import text
from app.linking.addresses import domain_of, normalize, read_list
from app.linking.message_ids import SYNTHETIC_DOMAIN, ids_in
from app.linking.mime import parse
from app.model import ItemRef, ProviderMessage
from connectors.mail.smart_bcc.authenticity import Checked
from connectors.mail.smart_bcc.forwarded import Original, is_outlook_file, originals

# Who seals what it forwards for its users, and may be believed about it.
SEALERS = frozenset({"google.com", "microsoft.com", "outlook.com"})

_CAF = re.compile(r"(.+)\+caf_=[^@]+@(.+)")  # Gmail: user+caf_=recipient=domain@gmail.com
_SRS = re.compile(r"(.+?)\+srs=[^@]+@(.+)")  # Microsoft 365: user+SRS=hash=tt=domain=author@tenant

NOT_PROVEN, UNKNOWN_SENDER = "not_proven", "unknown_sender"


@dataclass(frozen=True, slots=True)
class Received:
    """A mail as the server took it, for one account."""

    account_id: int
    provider_id: str
    raw: bytes
    mail_from: str
    peer: str
    helo: str
    received_at: datetime
    item: ItemRef | None = None
    is_released: bool = False  # a member said that it may be read as it is
    needs_proof: bool = False  # it came to an address that is no secret: who knows it proves nothing


@dataclass(frozen=True, slots=True)
class Known:
    """What the database says: the member's addresses, with whether they need no proof, and our own domain."""

    addresses: Mapping[str, bool]
    domain: str


@dataclass(frozen=True, slots=True)
class Held:
    """A mail that waits for a person: why, and what the person sees of it."""

    why: str
    author: str
    subject: str


def author_of(headers: Iterable[tuple[str, str]]) -> str:
    """Return the one address in From; the server took no mail without."""
    return next((address for _, address in read_list(_first(headers, "from")).mailboxes), "")


def references_of(headers: Iterable[tuple[str, str]]) -> list[str]:
    """Return the Message-IDs a mail refers to."""
    named = [value for name, value in headers if name.lower() in {"in-reply-to", "references"}]
    return list(dict.fromkeys(each for value in named for each in ids_in(value)))


def interpret(mail: Received, known: Known, checked: Checked, *, answers_known: bool) -> ProviderMessage | Held:
    """Say what a mail is. `answers_known`: it refers to a mail that the member's accounts hold.

    Raises MailUnreadable.
    """
    read = parse(mail.raw, provider_id=mail.provider_id, at=mail.received_at, folder="inbox")
    read = replace(read, headers=_with_results(read.headers, checked.results), item=mail.item)
    author = author_of(read.headers)
    if author in known.addresses:
        if checked.is_proven or mail.is_released or (known.addresses[author] and not mail.needs_proof):
            return _own(mail, read, author, known)
        return Held(NOT_PROVEN, author, _subject(read))
    if mail.is_released or answers_known or _is_forwarded_by_itself(mail, read, known, checked):
        return read
    return Held(UNKNOWN_SENDER, author, _subject(read))


def _with_results(headers: Iterable[tuple[str, str]], results: str) -> tuple[tuple[str, str], ...]:
    """Put our own verdict on top, and take out everybody else's: whoever sends may have written them."""
    theirs = (header for header in headers if header[0].lower() != "authentication-results")
    return (("Authentication-Results", results), *theirs) if results else tuple(theirs)


# --- one's own mail ---------------------------------------------------------------------------------------------------


def _own(mail: Received, read: ProviderMessage, author: str, known: Known) -> ProviderMessage:
    """Read a mail by the member: to somebody else, a copy of it; to our addresses alone, a forward (S16)."""
    people = [address for role in ("to", "cc") for address in _people(read, role)]
    is_shown = any("+" in address and domain_of(address) == known.domain for address in people)
    if any(domain_of(address) != known.domain for address in people):
        # The others see a secret address: the member should take another one.
        return replace(read, folder="sent", flags=("address_shown",) if is_shown else ())
    namespace = f"smart_bcc:{mail.account_id}:{mail.provider_id}"
    found = originals(mail.raw, read.text)
    quoted = [_quoted(mail, namespace, author, number, each, known) for number, each in enumerate(found, start=1)]
    flags = [] if found else ["no_original"]
    if any(is_outlook_file(each) for each in read.attachments):
        flags.append("msg_file")
    return replace(read, folder="sent", namespace=namespace, quoted=tuple(quoted), flags=tuple(flags))


def _quoted(
    mail: Received, namespace: str, author: str, number: int, original: Original, known: Known
) -> ProviderMessage:
    """Make a message of an original: with an id of our own, for what a forward shows may name any.

    It stands right before the forward, the first one last: the topmost is the newest. The member may say "I sent this".
    """
    digest = hashlib.sha256(f"{namespace}/{number}".encode()).hexdigest()
    undated = () if original.is_dated else ("date_estimated",)
    writer = author_of(original.headers)
    named = () if writer else (f"named:{text.one_line(text.decode_words(_first(original.headers, 'from')), 100)}",)
    return ProviderMessage(
        provider_id=f"{mail.provider_id}/{number}",
        provider_thread_id="",
        at=mail.received_at - timedelta(microseconds=number),
        folder="sent" if writer in known.addresses else "inbox",
        headers=(("Message-ID", f"<{digest}@{SYNTHETIC_DOMAIN}>"), *original.headers),
        text=original.text,
        attachments=original.attachments,
        size_bytes=len(original.text),
        namespace=namespace,
        flags=("quoted", f"forwarded_by:{author}", *undated, *named),
        item=mail.item,
    )


# --- somebody else's --------------------------------------------------------------------------------------------------


def _is_forwarded_by_itself(mail: Received, read: ProviderMessage, known: Known, checked: Checked) -> bool:
    """Say whether a filter or redirection of the member's sent this mail on."""
    envelope = mail.mail_from.lower()
    rewritten = _CAF.fullmatch(envelope) or _SRS.fullmatch(envelope)
    if rewritten and f"{rewritten[1]}@{rewritten[2]}" in known.addresses:
        return True
    if envelope in known.addresses and checked.sealed_by in SEALERS:
        return True
    named = {address for role in ("x-forwarded-for", "resent-from") for address in _spaced(read, role)}
    return not named.isdisjoint(known.addresses)


def _people(read: ProviderMessage, role: str) -> list[str]:
    values = (value for name, value in read.headers if name.lower() == role)
    return [address for value in values for _, address in read_list(value).mailboxes]


def _spaced(read: ProviderMessage, role: str) -> list[str]:
    """Return the addresses of a header that some write with commas and some with blanks between them."""
    values = (value for name, value in read.headers if name.lower() == role)
    found = (normalize(word.strip("<>,")) for value in values for word in value[:2_000].split())
    return [address for address in found if address]


def _subject(read: ProviderMessage) -> str:
    return _first(read.headers, "subject")


def _first(headers: Iterable[tuple[str, str]], wanted: str) -> str:
    return next((value for name, value in headers if name.lower() == wanted), "")
