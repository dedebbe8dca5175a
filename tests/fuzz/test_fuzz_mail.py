"""Bounded fuzzing of what reads a mail that anybody may send: short by default, longer with THREADLINK_FUZZ_S seconds.

Mails are made of the pieces that parsers trip over, cut and doubled at random from a seed that a failure names.
"""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime

import pytest

from app.errors import ThreadlinkError
from app.linking import headers
from app.linking.addresses import make_ours
from app.linking.mime import parse
from connectors.mail.smart_bcc.authenticity import Checked
from connectors.mail.smart_bcc.reading import Held, Known, Received, interpret
from connectors.mail.smart_bcc.session import _looked_over

pytestmark = pytest.mark.smtp

SECONDS = float(os.environ.get("THREADLINK_FUZZ_S", "2"))
SLOWEST_S = 2.0  # on a loaded machine; the slowest in a quiet one is below 0.25
AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
OURS = make_ours(["ada@northwind.test"], ["northwind.test"])

PIECES = [
    b"From: Ada <ada@northwind.test>\r\n", b"To: bea@acme.test\r\n",
    b"To: n+abcdefgh234567ab@in.threadlink.test\r\n", b"Subject: =?utf-8?B?w4fDtg==?=\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n", b"\r\n", b"--b\r\n", b"--b--\r\n",
    b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Type: text/html\r\n", b"<" * 50, b"---------- Forwarded message ---------\r\n",
    b"________________________________\r\n", b"Von: ", b"> " * 40, b"=" * 70, b"References: " + b"<a@b> " * 20,
    b"X-Forwarded-For: ada@northwind.test x\r\n", b";" * 200, b'"' * 99, b"(" * 99, b"\x00\xff\xfe",
    b"\xf0\x9f\x92\xa9", b"Received: x\r\n" * 9, b"<div style='x'>" * 20, b"&#x41;" * 30,
    b"On x a@b wrote:\r\n",
]  # fmt: skip


def made(chance: random.Random) -> bytes:
    raw = b"".join(chance.choice(PIECES) for _ in range(chance.randint(1, 60)))
    if chance.random() < 0.3:
        raw *= chance.randint(2, 30)
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(raw))
        raw = raw[:at] + chance.randbytes(chance.randint(0, 8)) + raw[at + chance.randint(0, 20) :]
    return raw or b"\r\n"


def test_no_mail_breaks_or_holds_up_the_reading() -> None:
    known = Known({"ada@northwind.test": False}, "in.threadlink.test")
    ends, seed = time.monotonic() + SECONDS, int(os.environ.get("THREADLINK_FUZZ_SEED", "0"))
    while time.monotonic() < ends:
        raw, began = made(random.Random(seed)), time.process_time()
        try:
            _looked_over(raw)
            mail = Received(1, "p", raw, "ada@northwind.test", "192.0.2.1", "mx", AT)
            read = interpret(mail, known, Checked("", is_proven=True), answers_known=bool(seed % 2))
            if not isinstance(read, Held):
                for each in (read, *read.quoted):
                    headers.read(each, account_id=1, ours=OURS, authserv_id="in.threadlink.test")
            parse(raw, provider_id="p", at=AT, folder="inbox")
        except ThreadlinkError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}")
        took = time.process_time() - began
        assert took < SLOWEST_S, f"seed {seed} took {took:.1f} s"
        seed += 1
    assert seed > 20
