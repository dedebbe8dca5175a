"""Mail that threadlink writes, through a real SMTP server."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.errors import ApplicationMisconfigured, Rejected, SettingsError, Unavailable
from app.outgoing_mail import Letter, send
from app.settings import Settings, load_settings

pytestmark = [pytest.mark.integration, pytest.mark.enable_socket]

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LETTER = Letter("Ada Örnek", "ada@northwind.test", "tr", "Işık bağlandı", "Merhaba Ada,\n\nşimdi iyi.\n", "notice/1")


@dataclass
class Taken:
    """What an SMTP server took; `refusal` is what it answers instead."""

    port: int = 0
    refusal: str = ""
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    passwords: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        if self.refusal:
            return self.refusal
        assert isinstance(envelope.content, bytes)
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 taken"

    def signs_in(self, _server: Any, _session: Any, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
        self.passwords.append(given.password)
        return AuthResult(success=given.password == b"p@ss", handled=False)


@pytest.fixture
def serve() -> Iterator[Callable[..., Taken]]:
    """Start SMTP servers; with a certificate they ask for encryption and a password."""
    with ExitStack() as stack:

        def start(tls: ssl.SSLContext | None = None) -> Taken:
            taken = Taken()
            with socket.socket() as probe:  # the controller calls its own port, so that must be known
                probe.bind(("127.0.0.1", 0))
                taken.port = probe.getsockname()[1]
            asks = {"tls_context": tls, "require_starttls": True, "authenticator": taken.signs_in} if tls else {}
            controller = Controller(taken, hostname="127.0.0.1", port=taken.port, **asks)
            controller.start()
            stack.callback(controller.stop)
            return taken

        yield start


def settings(url: str) -> Settings:
    return load_settings(THREADLINK_SMTP_SERVER=url, THREADLINK_MAIL_FROM="notices@threadlink.test", _env_file=None)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a server's own certificate; return what serves with it, and the file a client would trust it by."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    at = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    trusted, whole = tmp_path / "trusted.pem", tmp_path / "whole.pem"
    trusted.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    whole.write_bytes(
        trusted.read_bytes()
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(whole)
    return context, trusted


def test_a_letter_arrives_as_it_was_written_and_says_that_a_machine_wrote_it(serve: Callable[..., Taken]) -> None:
    server = serve()
    chosen = settings(f"smtp://127.0.0.1:{server.port}")
    assert send(chosen, LETTER, NOW)
    assert send(chosen, LETTER, NOW)  # its answer was lost, say
    ((to, mail), (_, again)) = server.mails
    assert to == ["ada@northwind.test"]
    assert (mail["Subject"], mail.get_content().split()) == ("Işık bağlandı", LETTER.text.split())
    assert (str(mail["From"]), str(mail["To"])) == (
        "threadlink <notices@threadlink.test>",
        "Ada Örnek <ada@northwind.test>",
    )
    assert (mail["Auto-Submitted"], mail["Content-Language"]) == ("auto-generated", "tr")
    assert mail["Date"].datetime == NOW
    assert mail["Message-ID"] == again["Message-ID"]


def test_nothing_of_a_letter_makes_headers_of_its_own(serve: Callable[..., Taken]) -> None:
    server = serve()
    chosen = settings(f"smtp://127.0.0.1:{server.port}")
    send(chosen, replace(LETTER, to_name="Ada\r\nBcc: x@evil.test", subject="Hi\r\nBcc: x@evil.test"), NOW)
    ((to, mail),) = server.mails
    assert (to, mail["Bcc"], mail["Subject"]) == (["ada@northwind.test"], None, "Hi Bcc: x@evil.test")
    for address in ("ada@northwind.test\r\nBcc: x@evil.test", "ada@northwind.test, x@evil.test", "", "ada"):
        with pytest.raises(Rejected):
            send(chosen, replace(LETTER, to_address=address), NOW)
    assert len(server.mails) == 1


def test_a_refusal_is_for_good_or_for_now(serve: Callable[..., Taken]) -> None:
    server = serve()
    chosen = settings(f"smtp://127.0.0.1:{server.port}")
    for server.refusal, kind in (("550 no", Rejected), ("451 later", Unavailable)):
        with pytest.raises(kind):
            send(chosen, LETTER, NOW)
    with pytest.raises(Unavailable):
        send(settings("smtp://127.0.0.1:9"), LETTER, NOW)


def test_a_password_goes_only_to_a_server_that_is_verified_and_encrypts(
    serve: Callable[..., Taken], certificate: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = certificate
    clear, encrypting = serve(), serve(context)
    with pytest.raises(ApplicationMisconfigured, match="encryption"):
        send(settings(f"smtp://name:p%40ss@127.0.0.1:{clear.port}"), LETTER, NOW)
    with pytest.raises(Unavailable):  # nobody vouches for its certificate
        send(settings(f"smtp://name:p%40ss@127.0.0.1:{encrypting.port}"), LETTER, NOW)
    assert (clear.passwords, encrypting.passwords) == ([], [])
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    assert send(settings(f"smtp://name:p%40ss@127.0.0.1:{encrypting.port}"), LETTER, NOW)
    assert encrypting.passwords == [b"p@ss"]
    with pytest.raises(ApplicationMisconfigured, match="THREADLINK_SMTP_SERVER") as raised:
        send(settings(f"smtp://name:wrong@127.0.0.1:{encrypting.port}"), LETTER, NOW)
    assert "wrong" not in str(raised.value)
    assert len(encrypting.mails) == 1


def test_without_a_server_nothing_is_sent() -> None:
    assert not send(settings(""), LETTER, NOW)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THREADLINK_SMTP_SERVER", "https://secret.test"),
        ("THREADLINK_SMTP_SERVER", "smtp://"),
        ("THREADLINK_MAIL_FROM", "secret"),
        ("THREADLINK_MAIL_FROM", "a@b.test, secret@b.test"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        load_settings(**{name: value}, _env_file=None)
    assert "secret" not in str(raised.value)
