"""The mode smart_bcc: a conversation as real mail on a deal or lead, through a real SMTP server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from app.errors import ApplicationMisconfigured, Gone, Rejected, SettingsError, Unavailable, Unsupported
from app.model import ConversationNote, ItemRef, NoteMessage
from app.ports import CrmConnection, LinkWrite, WrittenLink
from app.testing.fakes import BEGINNING, MemoryCredentials, SteppedClock
from connectors.crm.pipedrive.adapter import PipedriveCrm
from connectors.crm.pipedrive.settings import load
from connectors.crm.pipedrive.simulator import PipedriveSimulator
from connectors.crm.pipedrive.smart_bcc import message_id

pytestmark = [pytest.mark.integration, pytest.mark.enable_socket]

MARKER = str(uuid4())
BEA = ("Bea Örnek", "bea@acme.test")


@dataclass
class MailServer:
    """Hands what it takes to Pipedrive; `refusal` is what it answers instead."""

    pipedrive: PipedriveSimulator
    refusal: str = ""
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        if self.refusal:
            return self.refusal
        assert isinstance(envelope.content, bytes)
        for address in envelope.rcpt_tos:
            self.taken.append((address, message_from_bytes(envelope.content, policy=policy.default)))
            self.pipedrive.receive_mail(address, envelope.content)
        return "250 taken"


@pytest.fixture
def server(pipedrive: PipedriveSimulator) -> Iterator[MailServer]:
    mail_server = MailServer(pipedrive)
    controller = Controller(mail_server, hostname="127.0.0.1", port=0)
    with socket.socket() as probe:  # the controller calls its own port, so that must be known
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
    controller.start()
    pipedrive.environ["PIPEDRIVE_SMTP_SERVER"] = f"smtp://127.0.0.1:{controller.port}"
    yield mail_server
    controller.stop()


@pytest.fixture
def adapter(pipedrive: PipedriveSimulator, clock: SteppedClock, server: MailServer) -> PipedriveCrm:
    pipedrive.put_person("p1", BEA[0], [BEA[1]])
    pipedrive.put_item("deal", "d1", "Rollout", person="p1", created_at=BEGINNING)
    pipedrive.put_item("lead", "l1", "Question", person="p1", created_at=BEGINNING)
    pipedrive.put_item("project", "j1", "Fitting", person="p1", created_at=BEGINNING)
    return opened(pipedrive, clock)


def opened(pipedrive: PipedriveSimulator, clock: SteppedClock, **changed: str) -> PipedriveCrm:
    sender = next(iter(pipedrive.records.users.values())).email
    settings = load({**pipedrive.environ, "PIPEDRIVE_MAIL_FROM": sender, **changed})
    credentials = MemoryCredentials(dict(pipedrive.secrets))
    connection = CrmConnection(1, 1, str(uuid4()), "pipedrive", pipedrive.company, credentials, {"mode": "smart_bcc"})
    return PipedriveCrm(settings, clock, connection, "https://threadlink.test")


def ref(pipedrive: PipedriveSimulator, kind: Any, external_id: str) -> ItemRef:
    return ItemRef(kind, pipedrive.crm_id(kind, external_id), 1)


def message(number: int, **changed: Any) -> NoteMessage:
    made = NoteMessage(
        at=BEGINNING + timedelta(minutes=number),
        from_name=BEA[0],
        from_address=BEA[1],
        direction="inbound",
        subject=f"Prices {number}",
        snippet=f"Number {number}: ışık\r\nBcc: evil@evil.test",
        internet_id=f"<m{number}@acme.test>",
    )
    return replace(made, **changed)


def write(item: ItemRef, *messages: NoteMessage) -> LinkWrite:
    return LinkWrite(item, (), (), ConversationNote(MARKER, "Prices", (BEA,), messages, "https://threadlink.test/c/1"))


def test_each_message_is_mailed_once_and_stands_on_the_deal(
    adapter: PipedriveCrm, pipedrive: PipedriveSimulator, server: MailServer
) -> None:
    deal = ref(pipedrive, "deal", "d1")
    written = adapter.write_link(write(deal, message(1), message(2)))
    again = adapter.update_link(written, write(deal, message(1), message(2), message(3)))
    assert adapter.update_link(again, write(deal, message(1), message(2), message(3))) == again
    assert [mail["Subject"] for _, mail in server.taken] == ["Prices 1", "Prices 2", "Prices 3"]
    assert {address for address, _ in server.taken} == {
        f"{pipedrive.records.domain}+deal{deal.external_id}@pipedrivemail.com"
    }
    found = adapter.find_link(write(deal, message(1), message(2), message(3)))
    assert found is not None
    assert adapter.update_link(found, write(deal, message(1), message(2), message(3))).external_id
    assert len(server.taken) == 3


def test_what_a_mail_says_cannot_make_headers_of_its_own(
    adapter: PipedriveCrm, pipedrive: PipedriveSimulator, server: MailServer
) -> None:
    evil = message(1, subject="Hello\r\nBcc: evil@evil.test", internet_id="<x>\r\nBcc: evil@evil.test")
    adapter.write_link(write(ref(pipedrive, "deal", "d1"), evil))
    ((_, mail),) = server.taken
    assert mail["Bcc"] is None
    assert mail["Message-ID"] == message_id(MARKER, evil)
    assert "ışık" in mail.get_content()
    assert [address.addr_spec for address in mail["To"].addresses] == [BEA[1]]


def test_a_lead_is_mailed_to_and_a_project_gets_a_note(
    adapter: PipedriveCrm, pipedrive: PipedriveSimulator, server: MailServer
) -> None:
    adapter.write_link(write(ref(pipedrive, "lead", "l1"), message(1)))
    assert len(server.taken) == 1
    written = adapter.write_link(write(ref(pipedrive, "project", "j1"), message(1)))
    assert written.external_id.startswith("note/")
    assert len(pipedrive.notes("project", "j1")) == 1
    assert len(server.taken) == 1


def test_mail_cannot_be_taken_off_and_the_capabilities_say_so(
    adapter: PipedriveCrm, pipedrive: PipedriveSimulator
) -> None:
    deal = ref(pipedrive, "deal", "d1")
    written = adapter.write_link(write(deal, message(1)))
    with pytest.raises(Unsupported) as raised:
        adapter.remove_link(written, deal)
    assert str(raised.value) == adapter.capabilities.missing["unlink"]
    assert adapter.capabilities.missing["once"].endswith(".")


@pytest.mark.parametrize(("answer", "kind"), [("550 no", Rejected), ("451 later", Unavailable)])
def test_a_refusal_is_for_good_or_for_now(
    adapter: PipedriveCrm, pipedrive: PipedriveSimulator, server: MailServer, answer: str, kind: type[Exception]
) -> None:
    server.refusal = answer
    with pytest.raises(kind):
        adapter.write_link(write(ref(pipedrive, "deal", "d1"), message(1)))


def test_a_server_that_is_not_there_is_asked_again(
    adapter: PipedriveCrm, pipedrive: PipedriveSimulator, clock: SteppedClock
) -> None:
    nobody = opened(pipedrive, clock, PIPEDRIVE_SMTP_SERVER="smtp://127.0.0.1:9")
    with pytest.raises(Unavailable):
        nobody.write_link(write(ref(pipedrive, "deal", "d1"), message(1)))


def test_no_password_is_sent_in_the_clear(
    adapter: PipedriveCrm, pipedrive: PipedriveSimulator, clock: SteppedClock, server: MailServer
) -> None:
    with_password = pipedrive.environ["PIPEDRIVE_SMTP_SERVER"].replace("smtp://", "smtp://name:password@")
    unencrypted = opened(pipedrive, clock, PIPEDRIVE_SMTP_SERVER=with_password)
    with pytest.raises(ApplicationMisconfigured, match="encryption"):
        unencrypted.write_link(write(ref(pipedrive, "deal", "d1"), message(1)))
    assert server.taken == []


def test_without_a_server_the_operator_is_told(
    adapter: PipedriveCrm, pipedrive: PipedriveSimulator, clock: SteppedClock
) -> None:
    unset = opened(pipedrive, clock, PIPEDRIVE_SMTP_SERVER="")
    with pytest.raises(ApplicationMisconfigured, match="PIPEDRIVE_SMTP_SERVER"):
        unset.write_link(write(ref(pipedrive, "deal", "d1"), message(1)))


def test_a_deleted_deal_is_gone(adapter: PipedriveCrm, pipedrive: PipedriveSimulator) -> None:
    deal = ref(pipedrive, "deal", "d1")
    written = adapter.write_link(write(deal, message(1)))
    with pytest.raises(Gone):
        adapter.write_link(write(ItemRef("deal", "999999", 1), message(1)))
    with pytest.raises(Gone):
        adapter.update_link(WrittenLink("mail/notahexkey"), write(deal, message(1)))
    assert written.external_id.startswith("mail/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIPEDRIVE_SMTP_SERVER", "https://secret.test"),
        ("PIPEDRIVE_SMTP_SERVER", "smtp://"),
        ("PIPEDRIVE_MAIL_FROM", "secret"),
        ("PIPEDRIVE_MAIL_FROM", "a@b.test, secret@b.test"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        load({name: value})
    assert "secret" not in str(raised.value)
