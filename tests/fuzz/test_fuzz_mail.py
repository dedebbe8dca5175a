"""Bounded fuzzing of what reads a mail that anybody may send: short by default, longer with THREADLINK_FUZZ_S seconds.

Once with mails made of the pieces that parsers trip over, cut and doubled at random from a seed that a failure names,
and with a watch on how long each takes; once led by which lines the bytes reach (Atheris: libFuzzer for Python).
"""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.mail_reading import read
from tests.unit.connectors.smart_bcc.test_smart_bcc_forwarded import FORWARDS, attached, mail

SECONDS = float(os.environ.get("THREADLINK_FUZZ_S", "2"))
pytestmark = [pytest.mark.smtp, pytest.mark.timeout(120 + SECONDS)]

RUNS = 2_000  # what Atheris reads when nobody asks for more
SLOWEST_S = 2.0  # on a loaded machine; the slowest in a quiet one is below 0.25

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
    ends, seed = time.monotonic() + SECONDS, int(os.environ.get("THREADLINK_FUZZ_SEED", "0"))
    while time.monotonic() < ends:
        raw, began = made(random.Random(seed)), time.process_time()
        try:
            read(raw)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}")
        took = time.process_time() - began
        assert took < SLOWEST_S, f"seed {seed} took {took:.1f} s"
        seed += 1
    assert seed > 20


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris has no wheel for this Python and machine: mail is made up at random alone",
)
def test_no_bytes_that_reach_further_lines_break_the_reading(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for number, seed in enumerate(beginnings()):
        (seeds / f"{number}.eml").write_bytes(seed)
    words = tmp_path / "words"
    spelled = ("".join(map(r"\x{:02x}".format, piece[:60])) for piece in PIECES)
    words.write_text("".join(f'"{word}"\n' for word in spelled))
    bound = [f"-max_total_time={SECONDS:.0f}"] if "THREADLINK_FUZZ_S" in os.environ else ["-seed=1", f"-runs={RUNS}"]
    options = [*bound, "-max_len=4000", "-timeout=20", f"-dict={words}", f"-artifact_prefix={tmp_path}/", str(seeds)]
    command = [sys.executable, "-m", "tests.fuzz.guided", *options]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    assert ended.returncode == 0, f"{ended.stdout[-3_000:]}\n{ended.stderr[-2_000:]}"
    assert "Done" in ended.stderr  # it read, and did not only start


def beginnings() -> Iterator[bytes]:
    """Yield what the bytes are made from: forwards as every program writes them, mails in mails, one of each piece."""
    head = b"From: ada@northwind.test\r\nTo: n+abcdefgh234567ab@in.threadlink.test\r\nSubject: Fwd: Rollout\r\n"
    for text in FORWARDS.values():
        yield text.encode()
        yield head + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.replace("\n", "\r\n").encode()
    yield attached(mail("one"), attached(mail("two")))
    yield attached(mail("one"), media_type="application/octet-stream", name="x.eml")
    yield head + b"Content-Type: text/html\r\n\r\n<p>From: <a href='mailto:bea@acme.test'>Bea</a><br>To: Ada<script>"
    yield b'Bea <bea@acme.test>, "A, B" <ada@northwind.test>, Team: x@y.test, (c) z@y.test;'
    yield b"".join(PIECES)
