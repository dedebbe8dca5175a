"""What makes two mails the same one, and which others a mail names: Message-ID, fingerprint, References (4.1, 4.2).

All of it is what the sender wrote: a claim (conversations.md). What a claim is worth is decided in threads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from app.linking.text import decode_base64

MAX_ID_CHARS = 998
MAX_REFERENCES = 50
SYNTHETIC_DOMAIN = "threadlink.invalid"
_MAX_DATE_CHARS = 200
_SYNTHETIC_TEXT_CHARS = 512

_BRACKETED = re.compile(r"<([^<>]+)>")
_REFERENCE = re.compile(r"<[^<>\s]+>")


def normalize_id(value: str) -> str | None:
    """Return the first id in a Message-ID header, `<local@domain>`, or None when there is none.

    The domain is lower-cased, the local part kept as it is; folds, quotes and missing brackets are tolerated.
    """
    bracketed = _BRACKETED.search(value)
    if bracketed:
        inner = "".join(bracketed[1].split())
    else:
        words = value.replace("<", " ").replace(">", " ").split()
        inner = words[0].strip("\"'") if words else ""
    if not inner:
        return None
    local, at, domain = inner[: MAX_ID_CHARS - 2].rpartition("@")
    return f"<{local}{at}{domain.lower()}>" if at else f"<{domain}>"


def ids_in(value: str) -> list[str]:
    """Return every id in a References or In-Reply-To header in normal form; text between them is ignored."""
    return [normal for normal in map(normalize_id, _REFERENCE.findall(value)) if normal is not None]


def references(chain: Sequence[str], in_reply_to: Sequence[str], own_id: str) -> tuple[str, ...]:
    """Return the ids a mail names, eldest first: References, then In-Reply-To, without itself and doubles.

    At most the first and the last 50: the root and what is near hold a conversation together.
    """
    ids = list(dict.fromkeys(each for each in (*chain, *in_reply_to) if each != own_id))
    if len(ids) > MAX_REFERENCES + 1:
        ids = [ids[0], *ids[-MAX_REFERENCES:]]
    return tuple(ids)


def hash_of(internet_id: str) -> bytes:
    return hashlib.sha256(internet_id.encode("utf-8", "replace")).digest()


def synthetic_id(
    senders: Iterable[str], recipients: Iterable[str], sent_at: datetime, subject: str, content: str
) -> str:
    """Make the id of a mail that has none, the same one whenever and wherever it is read (4.1)."""
    start = " ".join(content[: 4 * _SYNTHETIC_TEXT_CHARS].split())[:_SYNTHETIC_TEXT_CHARS]
    digest = _digest(_joined(senders), _joined(recipients), _to_the_second(sent_at), subject, start)
    return f"<{digest.hex()}@{SYNTHETIC_DOMAIN}>"


def fingerprint(
    senders: Iterable[str], sent_at: datetime | None, base_subject: str, recipients: Iterable[str]
) -> bytes:
    """Return what must agree, besides the Message-ID, for two copies to be of one message (conversations.md I).

    Only what the author wrote counts: without a readable Date there is none in it, since the time at which a provider
    got the mail differs from mailbox to mailbox.
    """
    date = "" if sent_at is None else _to_the_second(sent_at)
    return _digest(_joined(senders), date, base_subject, _joined(recipients))


def read_date(value: str) -> datetime | None:
    """Return a Date header in UTC, to the second, or None when it cannot be read. It is a claim."""
    try:
        date = parsedate_to_datetime(value[:_MAX_DATE_CHARS])
        if date.tzinfo is None:  # "-0000": UTC, from a place that is not told
            date = date.replace(tzinfo=UTC)
        return date.astimezone(UTC).replace(microsecond=0)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None  # what the standard library raises for the many ways to write a date wrongly


def thread_guid(thread_index: str) -> str | None:
    """Return the GUID in an Exchange Thread-Index as hex, or None ([MS-OXOMSG] 2.2.1.3: bytes 6 to 22)."""
    header = decode_base64(thread_index[:64].encode("ascii", "ignore"))[:22]
    return header[6:].hex() if len(header) == 22 else None


def _to_the_second(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _joined(addresses: Iterable[str]) -> str:
    return ",".join(sorted(set(addresses)))


def _digest(*fields: str) -> bytes:
    """Hash fields that may hold anything, so that no two lists of fields look alike."""
    whole = hashlib.sha256()
    for field in fields:
        encoded = field.encode("utf-8", "replace")
        whole.update(b"%d:" % len(encoded))
        whole.update(encoded)
    return whole.digest()
