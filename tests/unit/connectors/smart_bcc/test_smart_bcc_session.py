"""Goal S18: nothing is relayed, nothing smuggled, nothing acknowledged and lost, no bounce sent."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from app.errors import SettingsError
from connectors.mail import smart_bcc
from connectors.mail.smart_bcc import session
from connectors.mail.smart_bcc.server import SmartBccServer
from tests.integration.graph.certificates import write_certificate
from tests.unit.connectors.smart_bcc.mail_server import (
    ADA,
    AUTHOR,
    DOMAIN,
    TEAM,
    TOKEN,
    Running,
    TwoAddresses,
    running,
    serving,
)

pytestmark = [pytest.mark.smtp, pytest.mark.enable_socket]

MAIL = b"From: Ada <ada@northwind.test>\r\nTo: bea@acme.test\r\nSubject: Prices\r\n\r\nHere.\r\n"
OTHERS = "victim@elsewhere.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for the tests that leave nothing behind; it takes any number of guesses."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(session, "GUESSES", 10_000)
        with running(tmp_path_factory.mktemp("spool"), SMART_BCC_CONNECTIONS_PER_IP="100") as found:
            yield found


class Line:
    """A conversation by hand: what a client library would not send."""

    def __init__(self, port: int, greeting: bool = True) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._file = self._socket.makefile("rb")
        if greeting:
            assert self.answer().startswith(b"220")

    def say(self, *lines: bytes) -> bytes:
        """Send lines in one piece; return the last line of the first answer."""
        self._socket.sendall(b"\r\n".join(lines) + b"\r\n")
        return self.answer()

    def answer(self) -> bytes:
        while True:
            line = self._file.readline()
            if line[3:4] != b"-":
                return line.rstrip()

    def ready_for(self, *recipients: str) -> Line:
        """Get as far as DATA."""
        self.say(b"EHLO mx.northwind.test")
        self.say(b"MAIL FROM:<ada@northwind.test>")
        for recipient in recipients:
            assert self.say(f"RCPT TO:<{recipient}>".encode()).startswith(b"250")
        assert self.say(b"DATA").startswith(b"354")
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()


@pytest.fixture
def line(server: Running) -> Iterator[Line]:
    with Line(server.port) as found:
        yield found


# --- relaying ---------------------------------------------------------------------------------------------------------

RELAY_FORMS = [
    f"<{OTHERS}>",
    f"<victim%elsewhere.test@{DOMAIN}>",
    f"<victim%elsewhere.test%{DOMAIN}@{DOMAIN}>",
    f"<elsewhere.test!victim@{DOMAIN}>",
    f"<{DOMAIN}!elsewhere.test!victim>",
    "<elsewhere.test!victim>",
    f"<@{DOMAIN}:{OTHERS}>",
    f"<@a.test,@{DOMAIN}:{OTHERS}>",
    f"<@a.test,@b.test:{ADA}>",
    f"<@{DOMAIN}:{ADA}>",
    f'<"{OTHERS}"@{DOMAIN}>',
    f'<"victim"@{DOMAIN}>',
    f'<"{ADA}"@elsewhere.test>',
    f'<"northwind+{TOKEN}"@{DOMAIN}>',
    f"<{OTHERS}@{DOMAIN}>",
    f"<{ADA}@elsewhere.test>",
    f"<{ADA}.elsewhere.test>",
    f"<{ADA}:victim@elsewhere.test>",
    f"<victim@[{DOMAIN}]>",
    "<victim@[127.0.0.1]>",
    f"<northwind+{TOKEN}@[127.0.0.1]>",
    "<victim@127.0.0.1>",
    f"<{ADA},{OTHERS}>",
    f"<{ADA}> <{OTHERS}>",
    f"<{ADA}>,<{OTHERS}>",
    f"{OTHERS}",
    f"{ADA}",
    f"<northwind+{TOKEN}@sub.{DOMAIN}>",
    f"<northwind+{TOKEN}@{DOMAIN}.>",
    f"<northwind+{TOKEN}@x{DOMAIN}>",
    f"<northwind+{TOKEN}%elsewhere.test@{DOMAIN}>",
    f"<northwind+{TOKEN}+victim@{DOMAIN}>",
    f"<victim#elsewhere.test@{DOMAIN}>",
    f"<victim=elsewhere.test@{DOMAIN}>",
    f"<victim/elsewhere.test@{DOMAIN}>",
    f"<victim\\@elsewhere.test@{DOMAIN}>",
    f"<victim\x00@{DOMAIN}>",
    f"<|/bin/sh@{DOMAIN}>",
    f"<../../etc/passwd@{DOMAIN}>",
    f"<{ADA}\x0b{OTHERS}>",
    f"<(comment){ADA}>",
    f"<northwind+{TOKEN}(x)@{DOMAIN}>",
    "<postmaster>",
    f"<postmaster@{DOMAIN}>",
    "<>",
    f"<northwind+@{DOMAIN}>",
    f"<+{TOKEN}@{DOMAIN}>",
]


def test_forty_relay_forms_are_refused(line: Line) -> None:
    assert len(RELAY_FORMS) >= 40
    line.say(b"EHLO mx.northwind.test")
    line.say(b"MAIL FROM:<ada@northwind.test>")
    answers = {form: line.say(f"RCPT TO:{form}".encode()) for form in RELAY_FORMS}
    assert {form: answer for form, answer in answers.items() if answer[:1] != b"5"} == {}
    assert line.say(b"DATA").startswith(b"503")  # no recipient was taken


def test_what_no_mail_server_should_tell_or_do_is_refused(server: Running, line: Line) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo("mx.northwind.test")
        assert client.esmtp_features == {"size": "26214400", "8bitmime": "", "smtputf8": "", "help": ""}
    line.say(b"EHLO mx.northwind.test")
    for command in (
        b"VRFY ada",
        f"VRFY {ADA}".encode(),
        b"EXPN northwind",
        b"AUTH PLAIN AGFkYQBwdw==",
        b"TURN",
        b"ETRN x",
    ):
        assert line.say(command)[:1] == b"5", command


def test_unknown_and_changed_addresses_get_one_answer(line: Line) -> None:
    line.say(b"EHLO mx.northwind.test")
    line.say(b"MAIL FROM:<ada@northwind.test>")
    answers = {
        line.say(f"RCPT TO:<{local}@{DOMAIN}>".encode())
        for local in ("northwind+zzzzzzzzzzzzzzzz", "nobody", f"northwind+{TOKEN[:-1]}", "a" * 60)
    }
    assert answers == {b"550 5.1.1 No such recipient here"}
    assert line.say(f"RCPT TO:<NorthWind+{TOKEN.upper()}@{DOMAIN.upper()}>".encode()).startswith(b"250")


def test_parameters_that_ask_for_reports_are_refused(line: Line) -> None:
    line.say(b"EHLO mx.northwind.test")
    line.say(b"MAIL FROM:<ada@northwind.test>")
    assert line.say(f"RCPT TO:<{ADA}> NOTIFY=SUCCESS".encode()).startswith(b"555")
    line.say(b"RSET")
    assert line.say(b"MAIL FROM:<ada@northwind.test> RET=FULL ENVID=1").startswith(b"555")


# --- smuggling --------------------------------------------------------------------------------------------------------

SECOND = (
    b"MAIL FROM:<evil@evil.test>\r\nRCPT TO:<" + ADA.encode() + b">\r\nDATA\r\nFrom: evil@evil.test\r\n\r\nsmuggled"
)
ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r\n\x00.\r\n",
    b"\r\r\n.\r\r\n",
]


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_no_end_of_data_but_the_one_is_an_end(server: Running, end: bytes) -> None:
    with Line(server.port) as line:
        line.ready_for(ADA)
        answer = line.say(MAIL.rstrip() + end + SECOND, b".")
    if b"\x00" in end:  # a line like any other: one mail, which holds it all
        assert answer.startswith(b"250")
        assert server.bodies()[-1].endswith(b"smuggled\r\n")
    else:
        assert answer.startswith(b"550 5.6.11")
    assert not any(mail.mail_from == "evil@evil.test" for mail in server.reception.taken)


def test_a_dot_at_the_beginning_of_a_line_is_content(server: Running) -> None:
    with Line(server.port) as line:
        line.ready_for(ADA)
        assert line.say(MAIL + b"..\r\n...x", b".").startswith(b"250")
    assert server.bodies()[-1].endswith(b"\r\n.\r\n..x\r\n")


def test_commands_sent_ahead_are_read_in_their_order(server: Running) -> None:
    with Line(server.port) as line:
        line.say(b"EHLO mx.northwind.test")
        line.say(b"MAIL FROM:<ada@northwind.test>", f"RCPT TO:<{ADA}>".encode(), b"DATA")
        assert [line.answer()[:3] for _ in range(2)] == [b"250", b"354"]
        assert line.say(MAIL.rstrip(), b".", b"QUIT").startswith(b"250")
        assert line.answer().startswith(b"221")


# --- what is looked over ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mail", "status"),
    [
        (MAIL, b"250 2.0.0"),
        (MAIL.replace(b"From: Ada <ada@northwind.test>\r\n", b""), b"550 5.6.0"),
        (b"From: eve@evil.test\r\n" + MAIL, b"550 5.6.0"),
        (MAIL.replace(b"<ada@northwind.test>", b"<ada@northwind.test>, <eve@evil.test>"), b"550 5.6.0"),
        (b"Received: from x by y\r\n" * 30 + MAIL, b"250 2.0.0"),
        (b"Received: from x by y\r\n" * 31 + MAIL, b"554 5.4.6"),
        (b"X-Long: " + b"x\r\n " * 60_000 + b"\r\n" + MAIL, b"552 5.3.4"),
        (b"X: " + b"y" * 2_000 + b"\r\n" + MAIL, b"500"),
    ],
    ids=["usual", "no author", "two From", "two authors", "thirty hops", "loop", "long headers", "long line"],
)
def test_a_mail_is_refused_in_the_session_for_what_it_is(line: Line, mail: bytes, status: bytes) -> None:
    line.ready_for(ADA)
    assert line.say(mail.rstrip(), b".").startswith(status)


def test_the_teams_address_takes_no_mail_of_strangers(line: Line) -> None:
    line.ready_for(TEAM)
    assert line.say(MAIL.replace(b"ada@", b"eve@").rstrip(), b".").startswith(b"550 5.7.1")
    line.say(b"MAIL FROM:<x@y.test>", f"RCPT TO:<{TEAM}>".encode(), b"DATA")
    line.answer()
    line.answer()
    assert line.say(MAIL.rstrip(), b".").startswith(b"250")


def test_what_a_peer_says_of_itself_can_be_stored(server: Running, line: Line) -> None:
    line.say(b"EHLO mx\x00\xff.test")
    assert line.say("MAIL FROM:<jürgen\x00@exämple.test> BODY=8BITMIME SMTPUTF8".encode()).startswith(b"250")
    line.say(f"RCPT TO:<{ADA}>".encode())
    line.say(b"DATA")
    assert line.say(MAIL.replace(b"Prices", "Fiyatları".encode()).rstrip(), b".").startswith(b"250")
    assert server.bodies()
    taken = server.reception.taken[-1]
    assert (taken.mail_from, taken.helo) == ("jürgen\ufffd@exämple.test", "mx\ufffd\ufffd.test")


def test_one_connection_brings_a_hundred_mails(server: Running, line: Line) -> None:
    line.say(b"EHLO mx.northwind.test")
    taken = [line.say(b"MAIL FROM:<ada@northwind.test>")[:3] + line.say(b"RSET")[:3] for _ in range(100)]
    assert set(taken) == {b"250250"}
    assert line.say(b"MAIL FROM:<ada@northwind.test>").startswith(b"421")
    assert line.answer() == b""


def test_a_mail_that_says_it_is_too_large_is_refused_before_it_is_sent(line: Line) -> None:
    line.say(b"EHLO mx.northwind.test")
    assert line.say(b"MAIL FROM:<ada@northwind.test> SIZE=26214401").startswith(b"552")


def test_a_mail_that_is_too_large_is_read_away_and_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.mail.smart_bcc.server.MAX_BYTES", 10_000)
    with running(tmp_path) as server, Line(server.port) as line:
        line.ready_for(ADA)
        assert line.say(MAIL + (b"x" * 500 + b"\r\n") * 30, b".").startswith(b"552")
        assert server.bodies() == []


def test_the_envelope_names_at_most_twenty_recipients(line: Line) -> None:
    line.say(b"EHLO mx.northwind.test")
    line.say(b"MAIL FROM:<ada@northwind.test>")
    answers = [line.say(f"RCPT TO:<{ADA}>".encode())[:3] for _ in range(21)]
    assert answers == [b"250"] * 20 + [b"452"]


def test_a_database_that_is_away_asks_for_the_mail_again(server: Running, line: Line) -> None:
    line.say(b"EHLO mx.northwind.test")
    line.say(b"MAIL FROM:<ada@northwind.test>")
    server.reception.is_reachable = False
    try:
        assert line.say(f"RCPT TO:<{ADA}>".encode()).startswith(b"451")
    finally:
        server.reception.is_reachable = True
    assert line.say(f"RCPT TO:<{ADA}>".encode()).startswith(b"250")


# --- limits -----------------------------------------------------------------------------------------------------------


def test_who_guesses_addresses_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "GUESSES", 20)
    with running(tmp_path) as server:
        with Line(server.port) as line:
            line.say(b"EHLO evil.test")
            line.say(b"MAIL FROM:<x@evil.test>")
            for number in range(session.GUESSES):
                assert line.say(f"RCPT TO:<northwind+{number:a>16}@{DOMAIN}>".encode())[:3] == b"550"
            assert line.say(f"RCPT TO:<{ADA}>".encode()).startswith(b"421")
            assert line.answer() == b""
        with Line(server.port) as again:  # and is not asked again for a while
            again.say(b"EHLO evil.test")
            again.say(b"MAIL FROM:<x@evil.test>")
            assert again.say(f"RCPT TO:<{ADA}>".encode()).startswith(b"421")


def test_a_mail_server_of_ours_in_front_is_not_taken_for_a_guesser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "GUESSES", 3)
    limits = {"SMART_BCC_PROTOCOL": "lmtp", "SMART_BCC_CONNECTIONS_PER_IP": "1", "SMART_BCC_CONNECTIONS": "2"}
    with running(tmp_path, **limits) as server, Line(server.port), Line(server.port) as line:
        line.say(b"LHLO mx.northwind.test")
        line.say(b"MAIL FROM:<x@evil.test>")
        assert {line.say(f"RCPT TO:<nobody@{DOMAIN}>".encode())[:3] for _ in range(9)} == {b"550"}
        assert line.say(f"RCPT TO:<{ADA}>".encode()).startswith(b"250")


def test_no_module_of_the_server_can_send_mail() -> None:
    sources = [path.read_text("utf-8") for path in Path(smart_bcc.__file__).parent.glob("*.py")]
    assert len(sources) > 9
    assert not any(word in source for source in sources for word in ("smtplib", "app.smtp", "outgoing_mail"))


@pytest.mark.parametrize("limit", ["SMART_BCC_MAILS_PER_ADDRESS", "SMART_BCC_MAILS_PER_TEAM"])
def test_rates_and_connections_are_limited(tmp_path: Path, limit: str) -> None:
    limits = {limit: "1", "SMART_BCC_CONNECTIONS_PER_IP": "1"}
    with running(tmp_path, **limits) as server, Line(server.port) as line:
        with Line(server.port, greeting=False) as second:
            assert second.answer() == b"421 4.7.0 Too many connections"
        line.ready_for(ADA)
        assert line.say(MAIL.rstrip(), b".").startswith(b"250")
        line.say(b"MAIL FROM:<ada@northwind.test>")
        assert line.say(f"RCPT TO:<{ADA}>".encode()).startswith(b"451")


def test_a_sender_is_limited_whatever_the_address(tmp_path: Path) -> None:
    with running(tmp_path, SMART_BCC_MAILS_PER_SENDER="1") as server, Line(server.port) as line:
        line.ready_for(ADA)
        assert line.say(MAIL.rstrip(), b".").startswith(b"250")
        line.say(b"MAIL FROM:<ada@northwind.test>", f"RCPT TO:<{TEAM}>".encode(), b"DATA")
        line.answer()
        line.answer()
        assert line.say(MAIL.rstrip(), b".").startswith(b"451")


def test_who_is_silent_is_hung_up_on_in_the_middle_of_data_too(tmp_path: Path) -> None:
    with running(tmp_path, SMART_BCC_TIMEOUT_S="1") as server, Line(server.port) as line:
        line.ready_for(ADA)
        assert line.answer() == b""
        assert server.bodies() == []


def test_a_full_spool_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.mail.smart_bcc.spool.Spool.keep", _full)
    with running(tmp_path) as server, Line(server.port) as line:
        line.ready_for(ADA)
        assert line.say(MAIL.rstrip(), b".").startswith(b"452 4.3.1")
        assert server.bodies() == []


def _full(*_: object) -> None:
    raise session.SpoolFull


# --- fronts -----------------------------------------------------------------------------------------------------------


def test_starttls_forgets_what_came_before_it(tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path / "mx.pem")
    with running(tmp_path / "spool", SMART_BCC_CERTIFICATE=str(certificate)) as server:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("mx.northwind.test")
            assert client.has_extn("starttls")
            client.mail(AUTHOR)
            client.starttls(context=context)
            assert client.rcpt(ADA)[0] == 503  # neither EHLO nor MAIL of before counts
            client.ehlo("mx.northwind.test")
            assert not client.has_extn("auth")
            assert client.sendmail(AUTHOR, [ADA], MAIL) == {}
        assert server.bodies() == [MAIL]


def test_a_certificate_that_is_none_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    environ = {"SMART_BCC_CERTIFICATE": str(tmp_path / "no.pem")}
    with pytest.raises(SettingsError, match="SMART_BCC_CERTIFICATE"):
        SmartBccServer(serving(tmp_path, TwoAddresses(), environ, lambda _step: None))


def test_a_load_balancer_of_ours_says_for_whom_it_speaks_and_nobody_else_may(tmp_path: Path) -> None:
    with running(tmp_path / "one", SMART_BCC_PROXIES="127.0.0.0/8") as server:
        with Line(server.port, greeting=False) as line:
            assert line.say(b"PROXY TCP4 192.0.2.7 127.0.0.1 4321 25").startswith(b"220")
            line.ready_for(ADA)
            assert line.say(MAIL.rstrip(), b".").startswith(b"250")
        assert server.bodies() == [MAIL]
        assert server.reception.taken[0].peer == "192.0.2.7"
        with Line(server.port, greeting=False) as line:
            assert line.say(b"EHLO mx.northwind.test") == b""  # no PROXY, no greeting
    with running(tmp_path / "two", SMART_BCC_PROXIES="10.0.0.0/8") as server, Line(server.port, greeting=False) as line:
        assert line.say(b"PROXY TCP4 192.0.2.7 127.0.0.1 4321 25") == b""


def test_lmtp_answers_for_each_recipient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.mail.smart_bcc.server.MAX_BYTES", 100_000)
    with running(tmp_path, SMART_BCC_PROTOCOL="lmtp") as server, Line(server.port) as line:
        assert line.say(b"EHLO mx.northwind.test")[:1] == b"5"
        line.say(b"LHLO mx.northwind.test")
        line.say(b"MAIL FROM:<>")
        line.say(f"RCPT TO:<{ADA}>".encode(), f"RCPT TO:<{TEAM}>".encode(), b"DATA")
        line.answer()
        line.answer()
        assert line.say(MAIL.rstrip(), b".").startswith(b"250")
        assert line.answer().startswith(b"250")
        assert len(server.bodies()) == 2
        assert {mail.mail_from for mail in server.reception.taken} == {""}
        for refused, says in ((MAIL + b"x" * 20_000, b"500"), (b"\r\n".join([MAIL] * 2_000), b"552"), (MAIL, b"451")):
            line.say(b"MAIL FROM:<>", f"RCPT TO:<{ADA}>".encode(), f"RCPT TO:<{TEAM}>".encode(), b"DATA")
            assert [line.answer()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
            server.reception.is_reachable = False
            assert [line.say(refused, b".")[:3], line.answer()[:3]] == [says, says]
            server.reception.is_reachable = True


# --- killed -----------------------------------------------------------------------------------------------------------

STEPS = (
    "smtp.data_read", "smtp.spool_opened", "smtp.spool_written", "smtp.spool_synced", "smtp.spool_named",
    "smtp.spool_kept", "smtp.before_answer", "never",
)  # fmt: skip


def test_a_server_that_is_killed_at_any_step_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    """Whatever was acknowledged is in the spool of the next process; what was not, its sender sends again."""
    acknowledged = {}
    command = [sys.executable, "-m", "tests.unit.connectors.smart_bcc.mail_server", str(tmp_path), *STEPS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as servers:
        assert servers.stdout is not None
        for _ in STEPS:
            step, port, process = servers.stdout.readline().decode().split()
            with Line(int(port)) as line:
                line.ready_for(ADA)
                acknowledged[step] = line.say(MAIL.rstrip(), b".").startswith(b"250")
            if step == "never":
                os.kill(int(process), signal.SIGKILL)
    assert acknowledged == {step: step == "never" for step in STEPS}
    for step in STEPS:
        with running(tmp_path / step) as server:
            bodies = server.bodies()
        assert bodies in ([], [MAIL])
        assert bodies or not acknowledged[step]
        assert bool(bodies) == (step in STEPS[4:])
