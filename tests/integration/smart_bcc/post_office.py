"""A team whose members send mail to a real Smart BCC server; the DNS is a dictionary."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app import jobs, smart_bcc, sync
from app.intake import Intake
from app.model import Conversation, ItemRef, Member, Message
from app.reception import Serving
from app.store import conversations
from connectors.mail.smart_bcc.connector import SmartBccConnector
from connectors.mail.smart_bcc.dns_lookup import LookupFailed
from connectors.mail.smart_bcc.server import SmartBccServer
from connectors.mail.smart_bcc.settings import load
from tests.integration.office import Office

DOMAIN = "in.threadlink.test"
ADA, BOB, BEA = "ada@northwind.test", "bob@northwind.test", "bea@acme.test"


@dataclass
class FakeDns:
    """Answers from a dictionary of (name, kind); names in `failing` cannot be asked."""

    known: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)

    def records(self, name: str, kind: str) -> list[Any]:
        if name in self.failing:
            raise LookupFailed
        return list(self.known.get((name, kind), ()))


def of_northwind() -> FakeDns:
    """Say that this machine sends for northwind.test, and nobody else."""
    return FakeDns(
        {
            ("northwind.test", "TXT"): ["v=spf1 ip4:127.0.0.1 -all"],
            ("_dmarc.northwind.test", "TXT"): ["v=DMARC1; p=reject"],
            ("acme.test", "TXT"): ["v=spf1 -all"],
            ("_dmarc.acme.test", "TXT"): ["v=DMARC1; p=reject"],
        }
    )


@dataclass
class PostOffice:
    """The office with its mail server."""

    office: Office
    dns: FakeDns
    server: SmartBccServer
    port: int
    spool: Path

    def member(self, name: str = "ada") -> Member:
        return self.office.members[name]

    def address(self, name: str = "ada", item: ItemRef | None = None) -> str:
        """Return a member's own address."""
        with self.office.team() as connection:
            return smart_bcc.addresses(self.office.installation, connection, self.member(name), item).own

    def team_address(self, item: ItemRef | None = None) -> str:
        with self.office.team() as connection:
            return smart_bcc.addresses(self.office.installation, connection, self.member(), item).team

    def deal(self, external_id: str = "d1") -> ItemRef:
        return ItemRef("deal", external_id, self.office.crm_id)

    def send(self, to: str | Sequence[str], mail: bytes, *, mail_from: str = ADA) -> None:
        """Hand a mail over as a mail server does, and wait until it is in the database."""
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="mx.northwind.test") as client:
            refused = client.sendmail(mail_from, to, mail)
        assert refused == {}
        self.wait_for_carrier()

    def wait_for_carrier(self) -> None:
        deadline = time.monotonic() + 10
        while any(self.spool.glob("*.mail")):
            assert time.monotonic() < deadline, "the spool was not carried"
            time.sleep(0.01)

    def read(self) -> None:
        """Do what the queue does with the waiting jobs of accounts."""
        for _ in range(5):
            waiting = self.office.jobs("sync_account")
            if not waiting:
                return
            with self.office.installation.database.without_team() as connection:
                connection.execute(
                    sa.text("DELETE FROM procrastinate_jobs WHERE id = ANY(:ids)"), {"ids": [j.id for j in waiting]}
                )
            for job in waiting:
                self.office.clock.step(seconds=2)
                jobs.sync_account(self.office.installation, job.args["team_id"], job.args["account_id"])

    def receive(self, to: str | Sequence[str], mail: bytes, *, mail_from: str = ADA) -> None:
        """Send a mail and have it read."""
        self.send(to, mail, mail_from=mail_from)
        self.read()

    def sync(self) -> sync.Synced:
        """Read Ada's connected mailbox."""
        return self.office.sync()

    def conversations(self) -> list[Conversation]:
        """Return every conversation, in the order in which they were made."""
        with self.office.team() as connection:
            ids = connection.execute(sa.text("SELECT id FROM conversation WHERE merged_into IS NULL")).scalars().all()
            return sorted(conversations.load(connection, ids), key=lambda each: each.id)

    def only(self) -> Conversation:
        """Return the one conversation there is."""
        (found,) = self.conversations()
        return found

    def text_of(self, message: Message) -> str:
        """Return the text of a message's one copy."""
        (copy,) = message.copies
        return str(self.office.value("SELECT text FROM message_body WHERE copy_id = :id", id=copy.id))

    def held(self, name: str = "ada") -> list[smart_bcc.HeldMail]:
        with self.office.team() as connection:
            return smart_bcc.held_for(connection, self.member(name))


def quoted(conversation: Conversation) -> list[Message]:
    """Return the originals in a conversation."""
    return [message for message in conversation.messages if "quoted" in message.flags]


def letter(
    text: str = "Here they are.",
    *,
    sender: str = f"Ada <{ADA}>",
    to: str = f"Bea <{BEA}>",
    subject: str = "Prices",
    number: int = 1,
    **headers: str,
) -> bytes:
    """Return a mail; `headers` replace or add, with _ for -, and "" leaves one out."""
    named = {
        "From": sender,
        "To": to,
        "Subject": subject,
        "Message-ID": f"<m{number}@northwind.test>",
        "Date": "Mon, 02 Mar 2026 08:00:00 +0000",
        "Content-Type": "text/plain; charset=utf-8",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)
    return f"{head}\r\n{text}\r\n".replace("\r\n", "\n").replace("\n", "\r\n").encode()


@contextmanager
def opened(
    office: Office, spool: Path, environ: Mapping[str, str] | None = None, dns: FakeDns | None = None
) -> Iterator[PostOffice]:
    """Run the mail server of an office whose settings name DOMAIN."""
    chosen = {"SMART_BCC_LISTEN": "127.0.0.1:0", **(environ or {})}
    answers = dns or of_northwind()
    installation = office.installation
    connector = SmartBccConnector(installation.database, office.clock, load(chosen), DOMAIN, answers)
    office.installation = replace(installation, mail={**installation.mail, "smart_bcc": connector})
    serving = Serving(
        reception=Intake(office.installation),
        environ=chosen,
        domain=DOMAIN,
        now=office.clock.now,
        spool=str(spool),
        step=lambda _step: None,
    )
    server = SmartBccServer(serving)
    port = server.start()
    try:
        yield PostOffice(office, answers, server, port, spool)
    finally:
        server.stop()
