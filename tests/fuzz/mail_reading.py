"""What the product does with a mail that anybody may send, on any bytes, and what must hold whatever comes out."""

from __future__ import annotations

from datetime import UTC, datetime

from app.errors import ThreadlinkError
from app.linking import headers, original
from app.linking.addresses import MAX_ADDRESS_CHARS, MAX_LIST_MAILBOXES, make_ours, normalize, read_list
from app.linking.mime import MAX_PARTS, parse
from app.linking.text import is_storable
from connectors.mail.smart_bcc.authenticity import Checked
from connectors.mail.smart_bcc.forwarded import MAX_ORIGINALS, Original, in_text
from connectors.mail.smart_bcc.reading import Held, Known, Received, interpret
from connectors.mail.smart_bcc.session import _looked_over

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
OURS = make_ours(["ada@northwind.test"], ["northwind.test"])
KNOWN = Known({"ada@northwind.test": False}, "in.threadlink.test")


def read(raw: bytes) -> None:
    """Read bytes as a mail, as the text of a forward and as a list of addresses. Raises when anything does not hold."""
    _read_mail(raw)
    written = raw.decode("utf-8", "replace")
    _look_at(in_text(written))
    _read_addresses(written)


def _read_mail(raw: bytes) -> None:
    try:
        _looked_over(raw)
        mail = Received(1, "p", raw, "ada@northwind.test", "192.0.2.1", "mx", AT)
        found = interpret(mail, KNOWN, Checked("", is_proven=True), answers_known=bool(len(raw) % 2))
        if not isinstance(found, Held):
            assert len(found.quoted) <= MAX_ORIGINALS
            for each in (found, *found.quoted):
                message = headers.read(each, account_id=1, ours=OURS, authserv_id="in.threadlink.test")
                assert all(is_storable(person.name + person.address) for person in message.participants)
        whole = parse(raw, provider_id="p", at=AT, folder="inbox")
        assert len(whole.part_types) <= MAX_PARTS
        page = original.read(raw).html
        assert "<script" not in page.lower()
    except ThreadlinkError:
        pass  # it says what is wrong with the mail


def _look_at(found: Original | None) -> None:
    if found is not None:
        assert dict(found.headers)["From"]
        assert all("\n" not in value and "\r" not in value for _, value in found.headers)


def _read_addresses(written: str) -> None:
    mailboxes = read_list(written).mailboxes
    assert len(mailboxes) <= MAX_LIST_MAILBOXES
    for _, address in mailboxes:
        assert normalize(address) == address
        assert len(address) <= MAX_ADDRESS_CHARS
