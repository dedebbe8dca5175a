"""No address, subject, text or secret leaks: canaries in mail, CRM and consent, then a search of all that was said."""

from __future__ import annotations

import base64
import io
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
import structlog

from app import log
from app.demo.stage import Stage
from app.demo.world import DemoWorld
from app.scenario.read import parse
from app.scenario.run import run
from app.store import accounts
from tests.conftest import FAST

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

MORNING = """
now: 2026-03-02T08:00:00Z
team: {domains: [canary-team.test]}
members: [{name: Canaryname Ada, email: canary-ada@canary-team.test, role: admin}]
accounts: [{address: canary-ada@canary-team.test, provider: gmail, kind: personal}]
crm:
  organizations: [{id: o1, name: Canaryorg}]
  persons: [{id: p1, name: Canaryname Bea, emails: [canary-bea@canary-customer.test], organization: o1}]
  items: [{kind: deal, id: d1, title: Canarydeal, person: p1, created_at: 2026-02-01T10:00:00Z}]
events:
  - {at: 2026-03-02T09:00:00Z, message: {key: m1, in: [canary-ada@canary-team.test],
     from: "Canaryname Bea <canary-bea@canary-customer.test>", to: [canary-ada@canary-team.test],
     subject: Canarysubject of prices, text: Canarytext of the mail, attachments: [canaryfile.pdf]}}
  - {at: 2026-03-02T09:05:00Z, fault: {provider: gmail, kind: FAULT}}
  - {at: 2026-03-02T09:10:00Z, message: {key: m2, in: [canary-ada@canary-team.test],
     from: "Canaryname Bea <canary-bea@canary-customer.test>", to: [canary-ada@canary-team.test],
     subject: Canarysubject of terms, text: Canarytext of the other mail}}
expect:
  - {conversation: m1, link: deal/d1}
"""


@dataclass
class Heard:
    """Everything a process says, gathered while it works."""

    stream: io.StringIO = field(default_factory=io.StringIO)
    parts: dict[str, str] = field(default_factory=dict)

    def everything(self) -> dict[str, str]:
        return {**self.parts, "log": self.stream.getvalue()}


@pytest.fixture
def heard(capfd: pytest.CaptureFixture[str]) -> Iterator[Heard]:
    """Log at INFO into memory, and keep what is written to standard output and error."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    before = root.handlers[:], root.level
    gathered = Heard()
    log.configure("INFO", gathered.stream)
    yield gathered
    root.handlers[:], root.level = before
    sys.excepthook, threading.excepthook = hooks
    structlog.reset_defaults()


def canaries_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if "canary" in line.lower()]


@pytest.mark.parametrize("fault", ["history_expired"])
@pytest.mark.enable_socket
def test_nothing_private_is_said_while_mail_is_linked(
    heard: Heard, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    scenario = parse(MORNING.replace("FAULT", fault), Path("morning.yaml"))
    with Stage(scenario, server_settings=FAST) as stage:
        report = run(scenario, DemoWorld(stage))
        installation = stage.installation
        with stage.team() as connection:
            (account,) = accounts.accounts(connection)
        secrets = [str(value) for value in installation.credentials_of(account).read().values() if len(str(value)) > 8]
        with installation.database.without_team() as connection:
            jobs = connection.execute(sa.text("SELECT row_to_json(j)::text FROM procrastinate_jobs j")).scalars()
            heard.parts["jobs"] = "\n".join(jobs)
        for path in ("/metrics", "/connect/canary-token", "/webhooks/gmail", "/canary"):
            answer = requests.post(f"{stage.url}{path}", data="canary body", timeout=10)
            heard.parts[f"POST {path}"] = answer.text
            heard.parts[f"GET {path}"] = requests.get(f"{stage.url}{path}", timeout=10).text
        server_log = installation.settings.data_dir / "postgres" / "cluster" / "server.log"
        heard.parts["PostgreSQL"] = server_log.read_text("utf-8", "replace")
    said = capfd.readouterr()
    heard.parts |= {"standard output": said.out, "standard error": said.err}
    assert report.ok
    assert secrets
    for where, text in heard.everything().items():
        assert canaries_in(text) == [], where
        for secret in secrets:
            assert secret not in text, where
            assert base64.b64encode(secret.encode()).decode() not in text, where


def test_the_search_would_find_a_canary(heard: Heard) -> None:
    heard.parts["jobs"] = '{"args": {"address": "canary-ada@canary-team.test"}}'
    assert [where for where, text in heard.everything().items() if canaries_in(text)] == ["jobs"]
