"""Holds the simulator to the discovery document that Google's client library carries, so that it cannot drift.

Every answer is validated against the document's schema with nothing extra allowed; every method and parameter the
connector uses must stand in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import pytest
import requests

from app.model import Account
from app.ports import Mailbox
from app.testing.fakes import MemoryCredentials, SteppedClock
from connectors.mail.gmail import connector, simulator_api
from connectors.mail.gmail.settings import load
from connectors.mail.gmail.simulator import GmailSimulator
from connectors.simulated_http import Call, Reply
from tests.contract.gmail_discovery import DISCOVERY, METHODS, check, method

ADDRESS = "ada@northwind.test"


def mail() -> bytes:
    inner = EmailMessage()
    inner["Message-ID"] = "<inner@acme.test>"
    inner.set_content("Inner")
    message = EmailMessage()
    message["Subject"] = "Quote"
    message["Message-ID"] = "<m1@acme.test>"
    message.set_content("Hello & welcome")
    message.add_alternative("<p>Hello</p>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="quote.pdf")
    message.add_attachment(inner)
    return message.as_bytes()


class Session:
    """A signed-in caller that speaks plain HTTP."""

    def __init__(self, simulator: GmailSimulator, environ: Mapping[str, str], clock: SteppedClock) -> None:
        self.simulator = simulator
        self.environ = environ
        self.url = environ["GMAIL_API_URL"]
        self.topic = environ["GMAIL_TOPIC"]
        gmail = connector.GmailConnector(load(environ), "https://threadlink.test", clock)
        authorization = gmail.authorize("https://threadlink.test/back", "state", None)
        back = dict(parse_qsl(urlsplit(simulator.consent(authorization.url, ADDRESS)).query))
        secrets = gmail.connect("https://threadlink.test/back", back, authorization.kept).secrets
        self._headers = {"Authorization": f"Bearer {secrets['access_token']}"}

    def ask(self, operation: str, path: Mapping[str, str] | None = None, **query: Any) -> Any:
        """Call an operation the way the document says, check the answer, and return it."""
        described = method(operation)
        unknown = set(query) - set(described["parameters"]) - {"body"}
        assert not unknown
        named = described["path"].replace("{userId}", "me")
        for name, value in (path or {}).items():
            named = named.replace(f"{{{name}}}", value)
        assert "{" not in named
        response = requests.request(
            described["httpMethod"],
            f"{self.url}/{named}",
            params={name: value for name, value in query.items() if name != "body"},
            json=query.get("body"),
            headers=self._headers,
            timeout=5,
        )
        assert response.ok, response.text
        if "response" not in described:
            assert response.status_code == 204
            return None
        check(operation, response.json())
        return response.json()


@pytest.fixture
def session() -> Iterator[Session]:
    clock, simulator = SteppedClock(), GmailSimulator()
    environ = simulator.start(clock)
    simulator.add_mailbox(ADDRESS, ["alias@northwind.test"])
    for folder in ("inbox", "sent", "other", "draft", "spam"):
        simulator.deliver(ADDRESS, mail(), at=clock.now() - timedelta(hours=1), folder=folder)
    yield Session(simulator, environ, clock)
    simulator.stop()


def test_the_schemas_refuse_what_the_document_does_not_name() -> None:
    check("profile", {"emailAddress": ADDRESS, "historyId": "1"})
    for wrong in ({"email": ADDRESS}, {"historyId": 1}, {"messagesTotal": "1"}, []):
        with pytest.raises(jsonschema.ValidationError):
            check("profile", wrong)


def test_every_operation_of_the_simulator_stands_in_the_document() -> None:
    assert set(METHODS) == set(simulator_api.UNITS)
    assert all(method(operation) for operation in METHODS)


def test_profile_watch_stop_labels_and_aliases(session: Session) -> None:
    assert session.ask("profile")["emailAddress"] == ADDRESS
    assert session.ask("watch", body={"topicName": session.topic})["expiration"]
    session.ask("stop")
    assert session.ask("labels")["labels"]
    assert len(session.ask("send_as")["sendAs"]) == 2


@pytest.mark.parametrize("form", ["full", "metadata", "minimal", "raw"])
def test_messages_in_every_format(session: Session, form: str) -> None:
    for entry in session.ask("list", includeSpamTrash="true")["messages"]:
        shown = session.ask("get", {"id": entry["id"]}, format=form)
        assert shown["id"] == entry["id"]
        assert ("payload" in shown) == (form in {"full", "metadata"})


def test_metadata_shows_the_headers_asked_for(session: Session) -> None:
    (entry, *_) = session.ask("list")["messages"]
    shown = session.ask("get", {"id": entry["id"]}, format="metadata", metadataHeaders=["subject"])
    assert shown["payload"]["headers"] == [{"name": "Subject", "value": "Quote"}]


def test_threads_and_attachments(session: Session) -> None:
    (entry, *_) = session.ask("list")["messages"]
    thread = session.ask("thread", {"id": entry["threadId"]})
    assert len(thread["messages"]) == 5
    parts = thread["messages"][0]["payload"]["parts"]
    attachment_id = next(part["body"]["attachmentId"] for part in parts if part["filename"])
    assert session.ask("attachment", {"messageId": entry["id"], "id": attachment_id})["size"] == 4


def test_lists_and_searches_page_by_page(session: Session) -> None:
    first = session.ask("list", maxResults=2)
    second = session.ask("list", maxResults=2, pageToken=first["nextPageToken"])
    assert not {m["id"] for m in first["messages"]} & {m["id"] for m in second["messages"]}
    assert "messages" not in session.ask("list", q="after:9999999999 -in:drafts")
    assert len(session.ask("list", labelIds=["SENT"])["messages"]) == 1


def test_history_of_every_kind(session: Session) -> None:
    start = "1000"
    simulator = session.simulator
    (newest, other, *_) = [entry["id"] for entry in session.ask("list")["messages"]]
    simulator.relabel(ADDRESS, newest, add=["STARRED"], remove=["UNREAD"])
    simulator.delete(ADDRESS, other)
    seen: set[str] = set()
    page_token: dict[str, str] = {}
    while True:
        page = session.ask("history", startHistoryId=start, maxResults=3, **page_token)
        seen |= {kind for record in page["history"] for kind in record} - {"id", "messages"}
        if "nextPageToken" not in page:
            break
        page_token = {"pageToken": page["nextPageToken"]}
    assert seen == {"messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved"}
    only = session.ask("history", startHistoryId=start, historyTypes=["messageDeleted"])["history"]
    assert [set(record) for record in only] == [{"id", "messages", "messagesDeleted"}]


@pytest.mark.parametrize("fault", ["history_lag", "empty_page_with_token", "history_without_labels", "wrong_profile"])
def test_an_answer_with_a_fault_still_fits(session: Session, fault: str) -> None:
    session.simulator.fault(fault)
    session.ask("profile")
    session.ask("history", startHistoryId="1000")


def test_what_the_connector_asks_stands_in_the_document(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Call] = []
    answer = simulator_api.SimulatedApi._answer

    def note(api: simulator_api.SimulatedApi, call: Call, *, is_part: bool) -> Reply:
        asked.append(call)
        return answer(api, call, is_part=is_part)

    monkeypatch.setattr(simulator_api.SimulatedApi, "_answer", note)
    for scopes in ("readonly", "metadata"):
        read_everything(session, scopes)
    everywhere = set(DISCOVERY["parameters"])
    for call in asked:
        operation = next(
            name for name in METHODS if call.method == method(name)["httpMethod"] and fits(call.path, method(name))
        )
        assert set(call.query) - everywhere <= set(method(operation)["parameters"])
    assert len(asked) > 10


def fits(path: str, described: Mapping[str, Any]) -> bool:
    steps, wanted = path.strip("/").split("/"), described["path"].split("/")
    return len(steps) == len(wanted) and all(w.startswith("{") or w == s for s, w in zip(steps, wanted, strict=True))


def read_everything(session: Session, scopes: str) -> None:
    clock = SteppedClock()
    environ = {**session.environ, "GMAIL_SCOPES": scopes}
    gmail = connector.GmailConnector(load(environ), "https://threadlink.test", clock)
    authorization = gmail.authorize("https://threadlink.test/back", "state", None)
    back = dict(parse_qsl(urlsplit(session.simulator.consent(authorization.url, ADDRESS)).query))
    connected = gmail.connect("https://threadlink.test/back", back, authorization.kept)
    account = Account(1, "x", 1, "gmail", "personal", ADDRESS, connected.mailbox, frozenset(), True, "full", None)
    mailbox = Mailbox(account, MemoryCredentials(connected.secrets), clock.now() - timedelta(days=1))
    gmail.subscribe(mailbox)
    gmail.own_addresses(mailbox)
    pages = list(gmail.list_changes(mailbox, None))
    gmail.fetch(mailbox, [change.provider_id for page in pages for change in page.changes])
    list(gmail.list_changes(replace(mailbox, history_from=None), pages[-1].cursor))
    inbox = frozenset(each.id for each in gmail.list_folders(mailbox) if each.well_known == "inbox")
    limited = replace(mailbox, account=replace(account, folders=inbox))
    list(gmail.list_window(limited, clock.now() - timedelta(days=1)))
    gmail.disconnect(mailbox, last=True)
