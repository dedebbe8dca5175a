"""The mail server (aiosmtpd): takes mail for our own addresses and nothing else, decided by the envelope.

What is refused is refused in the session, so no bounce is ever sent. What is acknowledged lies in the spool; a thread
carries it to the database, whether that answers now or in an hour.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from app.errors import DatabaseUnreachable, SettingsError
from app.reception import ReceivedMail, Serving
from connectors.mail.smart_bcc.session import MAX_BYTES, Front, Lmtp, Smtp
from connectors.mail.smart_bcc.settings import load
from connectors.mail.smart_bcc.spool import Spool

COMMANDS = {"*": 20, "RCPT": 200, "MAIL": 100, "DATA": 100, "RSET": 100, "NOOP": 5}  # of one connection
LONGEST_WAIT_S = 30.0
DRAIN_S = 10.0

log = structlog.get_logger(__name__)


class SmartBccServer:
    """Serves in the foreground, or from a thread of its own (demo, tests). Raises SettingsError when set up wrong."""

    def __init__(self, serving: Serving) -> None:
        if not serving.domain:
            raise SettingsError("THREADLINK_MAIL_DOMAIN is empty: there is no address to take mail for.")
        self._settings = load(serving.environ)
        self._serving = serving
        self._tls = _tls(self._settings.certificate)
        self._spool = Spool(serving.spool, self._settings.spool_mb * 1024 * 1024, serving.step)
        self._carrier = Carrier(self._spool, serving.reception.take)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told: asyncio.Event | None = None
        self._port = 0
        self._failed: BaseException | None = None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; what was taken is handed over first, as far as the database answers."""
        log.info("smtp starting", port=int(self._settings.listen.rpartition(":")[2]))
        asyncio.run(self._serve(until_signal=True, ready=lambda: None))

    def start(self) -> int:
        """Serve from a thread of its own, and return the port."""
        ready = threading.Event()

        def main() -> None:
            try:
                asyncio.run(self._serve(until_signal=False, ready=ready.set))
            except BaseException as error:  # noqa: BLE001 - start() raises it where somebody waits for it
                self._failed = error
                ready.set()

        self._thread = threading.Thread(target=main, name="smtp", daemon=True)
        self._thread.start()
        ready.wait()
        if self._failed is not None:
            raise self._failed
        return self._port

    def stop(self) -> None:
        """Stop what start() began."""
        if self._thread is None or self._loop is None or self._told is None:
            return
        self._loop.call_soon_threadsafe(self._told.set)
        self._thread.join(DRAIN_S + 5)
        self._thread = None

    async def _serve(self, *, until_signal: bool, ready: Callable[[], None]) -> None:
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        if until_signal:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._told.set)
        host, _, port = self._settings.listen.rpartition(":")
        with ThreadPoolExecutor(8, thread_name_prefix="smtp") as threads:
            front = Front(self._serving, self._settings, self._spool, self._carrier.wake, threads)
            try:
                server = await self._loop.create_server(lambda: self._protocol(front), host.strip("[]"), int(port))
            except OSError as error:
                raise SettingsError(f"SMART_BCC_LISTEN cannot be listened on: {error.strerror}.") from None
            self._port = server.sockets[0].getsockname()[1]
            self._carrier.start()
            ready()
            try:
                await self._told.wait()
            finally:
                server.close()
                front.hang_up()
                await self._loop.run_in_executor(threads, self._carrier.stop)

    def _protocol(self, front: Front) -> Smtp | Lmtp:
        make: Any = Lmtp if self._settings.protocol == "lmtp" else Smtp
        protocol: Smtp | Lmtp = make(
            front,
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,  # a mail to somebody with such an address comes with it
            hostname=self._settings.hostname or self._serving.domain,
            ident="threadlink",
            tls_context=self._tls,
            timeout=self._settings.timeout_s,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],  # nobody signs in here
            command_call_limit=COMMANDS,
            proxy_protocol_timeout=5 if self._settings.proxies else None,
            loop=self._loop,
        )
        return protocol


class Carrier:
    """Carries mail from the spool to the core, on a thread of its own; what fails for the moment is tried again."""

    def __init__(self, spool: Spool, take: Callable[[ReceivedMail], None]) -> None:
        self._spool = spool
        self._take = take
        self._more = threading.Event()
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with what an earlier process left."""
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is more."""
        self._more.set()

    def stop(self) -> None:
        """End when what waits was carried, or could not be."""
        self._ends.set()
        self._more.set()
        if self._thread is not None:
            self._thread.join(DRAIN_S)

    def _run(self) -> None:
        wait_s = 1.0
        while True:
            self._more.clear()
            is_done = self.carry()
            if self._ends.is_set():
                return
            wait_s = LONGEST_WAIT_S if is_done else min(2 * wait_s, LONGEST_WAIT_S)
            self._more.wait(wait_s)
            wait_s = 1.0 if is_done else wait_s

    def carry(self) -> bool:
        """Carry all that waits; False when the database did not take it, or the spool could not be listed."""
        try:
            waiting = list(self._spool.waiting())
        except OSError as error:
            log.error("spool_unreadable", error=type(error).__name__)  # noqa: TRY400 - the same, in one line
            return False
        for path in waiting:
            try:
                self._carry(path)
            except DatabaseUnreachable:
                log.warning("spool_waits_for_database")
                return False
            except Exception as error:  # noqa: BLE001 - this mail stays, the next one may be taken
                log.error("spooled_mail_not_taken", error=type(error).__name__)  # noqa: TRY400 - its text may be mail
        return True

    def _carry(self, path: Path) -> None:
        try:
            mails = self._spool.read(path)
        except (ValueError, KeyError, TypeError) as error:
            log.error("spooled_mail_unreadable", error=type(error).__name__)  # noqa: TRY400 - its text may be mail
            self._spool.set_aside(path)
            return
        for mail in mails:
            self._take(mail)
        self._spool.forget(path)


def _tls(certificate: str) -> ssl.SSLContext | None:
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with suppress(OSError, ssl.SSLError):
        context.load_cert_chain(certificate)
        return context
    raise SettingsError("SMART_BCC_CERTIFICATE is no PEM file with a certificate chain and its key.")
