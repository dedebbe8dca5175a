"""A web application on a real database, with a mail connector that does as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from app import api_keys, connecting
from app.errors import AccessRevoked, Gone, NotificationForged, NotificationMalformed, ProviderError
from app.installation import Installation
from app.model import Handshake, Member, Notification, ProviderMessage
from app.ports import (
    AddonCall,
    Authorization,
    ConnectedMailbox,
    CrmCapabilities,
    Mailbox,
    MailCapabilities,
    MailFolder,
    PaneSignIn,
    PushRequest,
)
from app.settings import Settings
from app.store import accounts, teams
from app.store.database import Database
from app.store.secrets import SecretBox
from app.web.application import application
from tests.integration.building import Office, northwind
from tests.integration.web.program import Program
from tests.integration.web.target import Target

ORIGIN = "https://threadlink.test"


@dataclass
class StoppedClock:
    """A clock that stands still until it is moved."""

    at: datetime = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


@dataclass
class ObedientMail:
    """A mail connector: pushes are `mailbox@position`, consent is for whatever mailbox the test says."""

    provider: str = "gmail"
    capabilities: MailCapabilities = field(default_factory=lambda: MailCapabilities(25, 3600, folders=True))
    folders: list[MailFolder] = field(
        default_factory=lambda: [
            MailFolder("I", "INBOX", "inbox"),
            MailFolder("c", "Customers"),
            MailFolder("n", "News"),
        ]
    )
    mailbox: ConnectedMailbox = field(
        default_factory=lambda: ConnectedMailbox(
            "ada@northwind.test", "user-1", "ada@northwind.test", {"refresh_token": "CANARY-refresh"}
        )
    )
    fails_with: Exception | None = None
    seen: list[PushRequest] = field(default_factory=list)
    connected_with: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)
    disconnected: list[tuple[str, dict[str, Any], bool]] = field(default_factory=list)
    originals: dict[tuple[str, str], bytes] = field(default_factory=dict)  # by mailbox and id
    asked: list[tuple[str, str]] = field(default_factory=list)
    pane_sign_in: PaneSignIn = field(
        default_factory=lambda: PaneSignIn(
            "client", "https://login.test/x", "api://client/x", "https://office.test/o.js"
        )
    )

    def read_push(self, request: PushRequest) -> list[Notification] | Handshake:
        self.seen.append(request)
        if self.fails_with is not None:
            raise self.fails_with
        if "validationToken" in request.args:
            return Handshake(request.args["validationToken"])
        if request.headers.get("authorization") != "Bearer good":
            raise NotificationForged
        try:
            mailbox, position = request.body.decode().split(" ")
        except ValueError:
            raise NotificationMalformed from None
        return [Notification(self.provider, mailbox, position)]

    def read_addon_call(self, request: PushRequest, url: str) -> AddonCall:
        if request.headers.get("authorization") != "Bearer good":
            raise NotificationForged
        return AddonCall(**json.loads(request.body))

    def read_pane_token(self, token: str) -> AddonCall:
        if self.fails_with is not None:
            raise self.fails_with
        raise NotificationForged

    def read_open_message(self, call: AddonCall) -> ProviderMessage | None:
        return None

    def authorize(self, redirect_uri: str, state: str, login_hint: str | None) -> Authorization:
        return Authorization(
            f"https://provider.test/consent?state={state}&hint={login_hint}&to={redirect_uri}",
            {"verifier": "CANARY-pkce"},
        )

    def connect(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> ConnectedMailbox:
        self.connected_with.append((dict(args), dict(kept)))
        if "error" in args:
            raise AccessRevoked(provider=self.provider, operation="connect")
        if self.fails_with is not None:
            raise self.fails_with
        return self.mailbox

    def disconnect(self, mailbox: Mailbox, *, last: bool) -> None:
        self.disconnected.append((mailbox.account.mailbox, mailbox.credentials.read(), last))
        if isinstance(self.fails_with, ProviderError):
            raise self.fails_with

    def list_folders(self, mailbox: Mailbox) -> Sequence[MailFolder]:
        self.asked.append((mailbox.account.mailbox, "folders"))
        if self.fails_with is not None:
            raise self.fails_with
        return self.folders

    def fetch_original(self, mailbox: Mailbox, provider_id: str) -> bytes:
        self.asked.append((mailbox.account.mailbox, provider_id))
        if self.fails_with is not None:
            raise self.fails_with
        try:
            return self.originals[mailbox.account.mailbox, provider_id]
        except KeyError:
            raise Gone(provider=self.provider, operation="get") from None

    def web_url(self, mailbox: Mailbox, provider_id: str) -> str:
        return f"https://mail.test/{mailbox.account.mailbox}/{provider_id}"


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def mail() -> ObedientMail:
    return ObedientMail()


@pytest.fixture
def open_crm() -> Callable[[object], Any]:
    """Open a CRM that says what it can and may not be asked: only what makes records asks one."""

    class Unasked:
        capabilities = CrmCapabilities(frozenset({"deal", "lead"}))

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"nothing here asks a CRM for {name}")

    return lambda _connection: Unasked()


@pytest.fixture
def installation(
    database: Database, clock: StoppedClock, mail: ObedientMail, open_crm: Callable[[object], Any]
) -> Installation:
    settings = Settings(public_base_url=ORIGIN, _env_file=None)  # type: ignore[call-arg]  # pydantic's own argument
    box = SecretBox([Fernet.generate_key().decode()])
    return Installation(settings, database, box, clock, {"gmail": mail}, open_crm, webhooks=Target())  # type: ignore[dict-item]  # a part of it


class CompiledTemplates(BytecodeCache):
    """Keeps templates compiled from one test's application to the next."""

    _compiled: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


@pytest.fixture
def app(installation: Installation) -> Flask:
    made = application(installation)
    made.jinja_env.bytecode_cache = CompiledTemplates()
    return made


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(autouse=True)
def public_address(app: Flask) -> None:
    """Let every test request come to the public address, as it does behind a proxy."""

    class AtPublicAddress(FlaskClient):
        def open(self, *args: Any, **kwargs: Any) -> Any:
            kwargs.setdefault("base_url", ORIGIN)
            return super().open(*args, **kwargs)

    app.test_client_class = AtPublicAddress


@pytest.fixture
def team_id(database: Database, team: Callable[..., int]) -> int:
    made = team("Northwind")
    with database.for_team(made) as connection:
        teams.configure(connection, domains=["northwind.test"])
    return made


@pytest.fixture
def member(database: Database, team_id: int) -> Callable[[str], Member]:
    """Make members of the team by address, or find them."""

    def make(email: str = "ada@northwind.test") -> Member:
        with database.for_team(team_id) as connection:
            teams.add_member(connection, team_id, email.partition("@")[0].title(), email)
            return next(member for member in teams.members(connection) if member.email == email)

    return make


@pytest.fixture
def connect(
    installation: Installation, mail: ObedientMail, team_id: int, member: Callable[[str], Member]
) -> Callable[..., int]:
    """Connect a mailbox of the team; returns the account's id."""

    def run(address: str = "ada@northwind.test", *, kind: Any = "personal", collaborators: Sequence[int] = ()) -> int:
        mail.mailbox = ConnectedMailbox(address, f"user of {address}", address, {"refresh_token": "CANARY-refresh"})
        invitation = connecting.invite(
            installation, team_id, member(address), "gmail", kind=kind, collaborators=collaborators
        )
        url = connecting.start_consent(installation, invitation.url.rpartition("/")[2], "browser", auto_link=True)
        state = url.partition("state=")[2].partition("&")[0]
        done = connecting.finish_consent(installation, "gmail", {"state": state, "code": "c"}, "browser")
        assert isinstance(done, connecting.Connected)
        with installation.database.for_team(team_id) as connection:
            account = accounts.account_by_address(connection, address)
        assert account is not None
        return account.id

    return run


# --- for the API ---


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    return northwind(database, team)


@pytest.fixture
def program(installation: Installation, app: Flask, office: Office) -> Callable[..., Program]:
    """Make programs of members."""

    def make(email: str, *, may_write: bool = True) -> Program:
        with office.database.for_team(office.team_id) as connection:
            key, text = api_keys.make(connection, office.acting(email), "test", may_write=may_write)
        return Program(app.test_client(), text, key.public_id)

    return make
