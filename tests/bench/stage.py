"""A small world for benchmarks: one team, one simulated Gmail mailbox, the embedded CRM."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from app.demo.stage import Stage
from app.scenario.read import parse

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
MAILBOX = "ada@northwind.test"
SCENARIO = f"""
now: {START:%Y-%m-%dT%H:%M:%SZ}
team: {{domains: [northwind.test]}}
members: [{{name: Ada, email: {MAILBOX}, role: admin}}]
accounts:
  - {{address: {MAILBOX}, provider: gmail, kind: personal}}
crm:
  persons: [{{id: p1, name: Bea, emails: [bea@acme.test]}}]
  items: [{{kind: deal, id: d1, title: Rollout, person: p1, status: open, created_at: 2026-02-01T10:00:00Z}}]
"""


OUTLOOK_MAILBOX = "ada.outlook@northwind.test"


def stage(*, with_outlook: bool = False) -> Stage:
    """Return the world, not opened yet; with a mailbox of Ada's at Microsoft besides."""
    gmail = f"  - {{address: {MAILBOX}, provider: gmail, kind: personal}}\n"
    outlook = f"  - {{address: {OUTLOOK_MAILBOX}, provider: graph, kind: personal, owner: {MAILBOX}}}\n"
    scenario = SCENARIO.replace(gmail, gmail + outlook) if with_outlook else SCENARIO
    return Stage(parse(scenario, Path("bench.yaml")), port=None)


def mail(number: int, at: datetime | None = None) -> bytes:
    """Return a message from Bea to Ada; each begins a conversation."""
    message = EmailMessage()
    message["From"] = "Bea <bea@acme.test>"
    message["To"] = MAILBOX
    message["Subject"] = f"Question {number}"
    message["Date"] = format_datetime(at or START + timedelta(seconds=number))
    message["Message-ID"] = f"<bench-{number}@acme.test>"
    message.set_content(f"Hello Ada,\n\nthis is question {number}.\n")
    return message.as_bytes()
