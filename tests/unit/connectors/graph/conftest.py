"""A connector whose Graph is a script: each test says what is answered to which path, and sees what was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import responses

from app.model import Account
from app.ports import Mailbox, MailConnector, Services
from app.testing.fakes import MemoryCredentials, SteppedClock
from connectors.mail import graph as package

API = "https://graph.microsoft.com/v1.0"
TENANT = "5d3c1f0e-0000-4000-8000-000000000001"
USER = "6e4d2f1e-0000-4000-8000-000000000002"
NEVER_S = "9999999999"
_ANY = re.compile(re.escape(API))

Reply = tuple[int, Any]


def cached_token() -> str:
    """Return msal's cache as it is kept, with an access token in it."""
    entry = {"credential_type": "AccessToken", "secret": "token", "expires_on": NEVER_S}
    return json.dumps({"AccessToken": {"key": entry}})


def mailbox_with(**secrets: Any) -> Mailbox:
    account = Account(
        id=1,
        public_id="a1",
        team_id=1,
        provider="graph",
        kind="personal",
        address="ada@northwind.test",
        mailbox=f"{TENANT}/{USER}",
        own_addresses=frozenset({"ada@northwind.test"}),
        auto_link=True,
        visibility="full",
        owner_id=1,
    )
    return Mailbox(account, MemoryCredentials({"kind": "delegated", "cache": cached_token(), **secrets}))


@dataclass
class Script:
    """What Graph answers, in the order it is asked; `asked` keeps method, path, headers and body of each request."""

    replies: dict[tuple[str, str], list[Reply]] = field(default_factory=dict)
    asked: list[tuple[str, str, Mapping[str, str], Any]] = field(default_factory=list)
    parts: list[Mapping[str, Any]] = field(default_factory=list)

    def on(self, method: str, path: str, *replies: Reply) -> None:
        """Answer requests to paths that begin so, one reply after the other; the last one stays."""
        self.replies[method, path] = list(replies)

    def methods(self) -> list[str]:
        return [method for method, _, _, _ in self.asked]

    def reply(self, method: str, path: str) -> Reply:
        known = [key for key in self.replies if key[0] == method and path.startswith(key[1])]
        assert known, f"nobody expects {method} {path}"
        left = self.replies[max(known, key=lambda key: len(key[1]))]
        return left.pop(0) if len(left) > 1 else left[0]

    def answer(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        path = str(request.url).removeprefix(API)
        body = json.loads(request.body or "null")
        self.asked.append((str(request.method), path, dict(request.headers), body))
        if path != "/$batch":
            status, content = self.reply(str(request.method), path)
            return status, {"Content-Type": "application/json"}, json.dumps(content) if content is not None else ""
        self.parts += body["requests"]
        answered = [(part["id"], *self.reply("GET", part["url"])) for part in body["requests"]]
        parts = [
            {"id": number, "status": status, "headers": {}, "body": content} for number, status, content in answered
        ]
        return 200, {}, json.dumps({"responses": parts[::-1]})  # Graph keeps no order


@pytest.fixture
def script() -> Iterator[Script]:
    """Graph's side; the well-known folders are there and named after themselves."""
    written = Script()
    names = ("inbox", "sentitems", "archive", "drafts", "outbox", "junkemail", "deleteditems")
    for name in names:
        written.on("GET", f"/users/{USER}/mailFolders/{name}?", (200, {"id": f"f-{name}"}))
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        for method in ("GET", "POST", "PATCH", "DELETE"):
            mocked.add_callback(method, _ANY, callback=written.answer)
        yield written


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def new_connector(clock: SteppedClock) -> Callable[..., MailConnector]:
    def build(**settings: str) -> MailConnector:
        environ = {"GRAPH_CLIENT_ID": "client", "GRAPH_CLIENT_SECRET": "secret", **settings}
        return package.create(Services(clock, "https://threadlink.test", environ, secret=b"s" * 32))

    return build


@pytest.fixture
def connector(new_connector: Callable[..., MailConnector]) -> MailConnector:
    return new_connector()


@pytest.fixture
def mailbox() -> Mailbox:
    return mailbox_with()
