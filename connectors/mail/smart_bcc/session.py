"""One SMTP or LMTP session: what is taken, what is refused, and with which words (RFC 5321, RFC 3463, RFC 2033).

Nothing is relayed: a recipient is `slug+token` or `slug` at the one domain, spelled plainly. Unknown and changed
addresses get the same answer. Quoted local parts, source routes and percent signs are no addresses here.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, AnyStr

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from app.errors import DatabaseUnreachable
from app.linking.addresses import read_list
from app.linking.mime import headers_of
from app.linking.text import storable
from app.reception import ReceivedMail, Recipient, Serving
from connectors.mail.smart_bcc.limits import Connections, Rate
from connectors.mail.smart_bcc.settings import SmartBccSettings, is_within
from connectors.mail.smart_bcc.spool import Spool, SpoolFull

MAX_BYTES = 25 * 1024 * 1024
MAX_RECIPIENTS = 20
MAX_HEADER_BYTES = 200 * 1024
MAX_HOPS = 30
GUESSES = 20  # unknown recipients of one peer in ten minutes
HOUR_S, DAY_S = 3600.0, 86_400.0

UNKNOWN = "550 5.1.1 No such recipient here"
NO_RELAY = "550 5.7.1 Mail for other domains is not taken"
TOO_MUCH = "451 4.7.1 Too much mail, try again later"
TEMPORARY = "451 4.3.0 Temporary failure, try again later"

_PATH = re.compile(r"to:\s*<[^<>@\s\"()\\:,%!]{1,64}@[^<>@\s\"()\\:,%!]{1,255}>(\s.*)?", re.IGNORECASE)
_LOCAL_PART = re.compile(r"[a-z0-9-]{1,40}(?:\+[a-z2-7]{16})?")
_REFUSED_MAIL = ("552 Error: Too much mail data", "500 Line too long")  # aiosmtpd's, at the end of DATA
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_END_OF_HEADERS = re.compile(rb"\r\n\r\n")

log = structlog.get_logger(__name__)


class Taken(Envelope):
    """An envelope, with whose its recipients are."""

    def __init__(self) -> None:
        super().__init__()
        self.recipients: list[Recipient] = []


class Front:
    """The handler of every session: aiosmtpd calls its handle_* methods."""

    def __init__(
        self,
        serving: Serving,
        settings: SmartBccSettings,
        spool: Spool,
        kept: Callable[[], None],
        threads: Executor,
    ) -> None:
        self._serving = serving
        self._settings = settings
        self._spool = spool
        self._kept = kept
        self._threads = threads
        self._open: set[asyncio.BaseTransport] = set()
        # A mail server of our own in front brings everybody's mail: who guesses is for it to know.
        self._is_behind = settings.protocol == "lmtp"
        per_peer = settings.connections if self._is_behind else settings.connections_per_ip
        self.connections = Connections(settings.connections, per_peer)
        self._guesses = Rate(GUESSES, 600)
        self._by_address = Rate(settings.mails_per_address, HOUR_S)
        self._by_sender = Rate(settings.mails_per_sender, HOUR_S)
        self._by_team = Rate(settings.mails_per_team, DAY_S)

    # --- connections ---

    @property
    def is_proxied(self) -> bool:
        """Whether every connection comes through a load balancer that says for whom."""
        return bool(self._settings.proxies)

    def opened(self, transport: asyncio.BaseTransport) -> None:
        """Remember a connection, to end it when the server stops."""
        self._open.add(transport)

    def closed(self, transport: asyncio.BaseTransport | None) -> None:
        """Forget a connection."""
        if transport is not None:
            self._open.discard(transport)

    def hang_up(self) -> None:
        """End every connection: mail in the middle of DATA was not acknowledged and comes again."""
        for transport in list(self._open):
            transport.close()

    async def handle_PROXY(self, server: Smtp, session: Session, _envelope: Envelope, proxy: Any) -> bool:  # noqa: N802  # aiosmtpd's name
        """Take the peer from a load balancer of ours; anybody else would name whom they like."""
        balancer = session.peer[0] if session.peer else ""
        if not is_within(str(balancer), self._settings.proxies) or proxy.src_addr is None:
            return False
        session.peer = (str(proxy.src_addr), 0)  # type: ignore[assignment]  # a tuple, as a socket names its peer
        return server.count_peer(str(proxy.src_addr))

    async def handle_exception(self, error: Exception) -> str:
        """Ask for the mail again later; what went wrong is for our log, without its text."""
        if not isinstance(error, DatabaseUnreachable | ssl.SSLError):
            log.error("smtp_session_failed", error=type(error).__name__)
        return TEMPORARY

    # --- commands ---

    async def handle_VRFY(self, *_: object) -> str:  # noqa: N802  # aiosmtpd's name
        """Tell nobody who is here."""
        return "502 5.5.1 VRFY is not offered"

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Greet; nobody signs in here, so an empty AUTH is not offered."""
        session.host_name = hostname
        return [line for line in responses if not line[4:].startswith("AUTH")]

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: Smtp, session: Session, envelope: Taken, address: str, _options: list[str]
    ) -> str:
        """Take a recipient of ours."""
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        peer = _peer(session)
        if self._guesses.is_over(peer) and not self._is_behind:
            server.close_soon()
            return "421 4.7.0 Too many unknown recipients"
        local_part, _, domain = address.lower().rpartition("@")
        if domain != self._serving.domain:
            return NO_RELAY
        recipient = await self._find(local_part)
        if recipient is None:
            self._guesses.count(peer)
            return UNKNOWN
        if self._by_address.is_over(recipient.address_id) or self._by_team.is_over(recipient.team_id):
            return TOO_MUCH
        envelope.rcpt_tos.append(address)
        envelope.recipients.append(recipient)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Smtp, session: Session, envelope: Taken) -> str:  # noqa: N802  # aiosmtpd's name
        """Look at a whole mail, and acknowledge it once it is on the disk."""
        self._serving.step("smtp.data_read")
        raw = envelope.content
        assert isinstance(raw, bytes)  # noqa: S101 - decode_data is off
        try:
            answer = await self._answer(session, envelope, raw)
        except Exception as error:  # noqa: BLE001 - as aiosmtpd does, which would answer once whatever the protocol
            answer = await self.handle_exception(error)
        self._serving.step("smtp.before_answer")
        return server.after_data(answer)

    async def _answer(self, session: Session, envelope: Taken, raw: bytes) -> str:
        sender = storable((envelope.mail_from or "").strip("<>").lower())
        refusal, author = _looked_over(raw)
        if refusal:
            return refusal
        if self._by_sender.is_over(sender):
            return TOO_MUCH
        mails = []
        for recipient in envelope.recipients:
            member_id = await self._in_thread(self._serving.reception.member_who_sends, recipient, author)
            if member_id is None:
                return "550 5.7.1 This address takes mail from the members of its team alone"
            peer, helo = _peer(session), storable(str(session.host_name or "")[:255])
            mails.append(ReceivedMail(recipient, member_id, raw, sender, peer, helo, self._serving.now()))
        try:
            await self._in_thread(self._spool.keep, mails)
        except SpoolFull:
            log.warning("spool_full")
            return "452 4.3.1 Insufficient storage"
        self._by_sender.count(sender)
        for recipient in envelope.recipients:
            self._by_address.count(recipient.address_id)
            self._by_team.count(recipient.team_id)
        self._kept()
        return "250 2.0.0 Taken"

    async def _find(self, local_part: str) -> Recipient | None:
        if not _LOCAL_PART.fullmatch(local_part):
            return None
        found: Recipient | None = await self._in_thread(self._serving.reception.recipient, local_part)
        return found

    async def _in_thread(self, work: Callable[..., Any], *args: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)


class _Counted:
    """What both protocols do besides: count connections, and take no recipient that is not spelled plainly."""

    event_handler: Front
    envelope: Taken
    transport: asyncio.Transport | None
    loop: asyncio.AbstractEventLoop
    session: Any
    _original_transport: asyncio.BaseTransport | None
    _peer: str | None = None
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin a session, unless there are too many."""
        front = self.event_handler
        is_upgrade = self._peer is not None  # STARTTLS makes a connection on the connection
        peer = str((transport.get_extra_info("peername") or ("",))[0])
        if not is_upgrade and not front.is_proxied and not self.count_peer(peer):
            self._is_refused = True
            transport.write(b"421 4.7.0 Too many connections\r\n")
            transport.close()
            return
        front.opened(transport)
        super().connection_made(transport)  # type: ignore[misc]  # the protocol it is mixed into
        if is_upgrade and front.is_proxied:
            self.session.peer = (self._peer, 0)

    def connection_lost(self, error: Exception | None) -> None:
        """End a session."""
        if self._is_refused:
            return
        self.event_handler.closed(self.transport)
        self.event_handler.closed(self._original_transport)
        if self._peer is not None:
            self.event_handler.connections.leave(self._peer)
            self._peer = None
        super().connection_lost(error)  # type: ignore[misc]  # the protocol it is mixed into

    def _create_envelope(self) -> Taken:
        return Taken()

    def count_peer(self, peer: str) -> bool:
        """Count this connection for who made it; False when there are too many."""
        if not self.event_handler.connections.enter(peer):
            return False
        self._peer = peer
        return True

    def after_data(self, answer: str) -> str:
        """Return what is answered to a mail."""
        return answer

    def close_soon(self) -> None:
        """End the connection once what is being answered is on its way."""
        if self.transport is not None:
            self.loop.call_soon(self.transport.close)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802  # aiosmtpd's name
        """Refuse source routes, quoted local parts and whatever else could be read in two ways."""
        if arg is not None and not _PATH.fullmatch(arg):
            await self.push("553 5.1.3 Malformed address")  # type: ignore[attr-defined]  # the protocol's
            return
        await super().smtp_RCPT(arg)  # type: ignore[misc]  # the protocol it is mixed into


class Smtp(_Counted, SMTP):  # type: ignore[misc]  # the mix narrows what the protocol declares
    """SMTP, for the world."""


class Lmtp(_Counted, LMTP):  # type: ignore[misc]  # the same
    """LMTP, for a mail server of one's own in front."""

    def after_data(self, answer: str) -> str:
        """Answer once for each recipient (RFC 2033 4.2)."""
        return "\r\n".join([answer] * len(self.envelope.recipients))

    async def push(self, status: AnyStr) -> None:
        """Answer; what aiosmtpd refuses by itself at the end of DATA, once for each recipient, too."""
        if isinstance(status, str) and status.startswith(_REFUSED_MAIL):
            await super().push(self.after_data(status))
        else:
            await super().push(status)


def _looked_over(raw: bytes) -> tuple[str, str]:
    """Return (why a mail is refused, "") or ("", its one author)."""
    if _BARE.search(raw):  # what two servers read as two different mails (CVE-2023-51764 and its kind)
        return "550 5.6.11 Lines must end with CR LF", ""
    end = _END_OF_HEADERS.search(raw)
    if (end.start() if end else len(raw)) > MAX_HEADER_BYTES:
        return "552 5.3.4 Headers too long", ""
    headers = headers_of(raw)
    if sum(name.lower() == "received" for name, _ in headers) > MAX_HOPS:
        return "554 5.4.6 Too many hops: this is a loop", ""
    authors = [value for name, value in headers if name.lower() == "from"]
    mailboxes = read_list(authors[0]).mailboxes if len(authors) == 1 else ()
    if len(mailboxes) != 1:
        return "550 5.6.0 From must name one author", ""
    return "", mailboxes[0][1]


def _peer(session: Session) -> str:
    return str(session.peer[0]) if session.peer else ""
