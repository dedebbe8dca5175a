"""P9: what a newly linked conversation costs at the CRM once the mirror is warm: no read, one write.

Measured on the simulated Pipedrive, which counts every request, with a catch-up period that has not passed: webhooks
tell what changes in between.
"""

from __future__ import annotations

from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import sqlalchemy as sa

from app.demo.stage import Stage
from app.scenario.read import parse
from tests.bench.row import Row
from tests.bench.stage import MAILBOX, START

CONVERSATIONS = 50
_PERSONS = "\n".join(
    f"    - {{id: p{n}, name: Person {n}, emails: [person{n}@customer{n}.test]}}" for n in range(CONVERSATIONS)
)
_ITEMS = "\n".join(
    f"    - {{kind: deal, id: d{n}, title: Deal {n}, person: p{n}, status: open, created_at: 2026-02-01T10:00:00Z}}"
    for n in range(CONVERSATIONS)
)
SCENARIO = f"""
now: {START:%Y-%m-%dT%H:%M:%SZ}
team: {{domains: [northwind.test]}}
members: [{{name: Ada, email: {MAILBOX}, role: admin}}]
accounts:
  - {{address: {MAILBOX}, provider: gmail, kind: personal}}
crm:
  persons:
{_PERSONS}
  items:
{_ITEMS}
"""


def measure() -> list[Row]:
    """Deliver a mail from each person and count what Pipedrive was asked."""
    stage = Stage(parse(SCENARIO, Path("bench.yaml")), crm_name="pipedrive", settings={"PIPEDRIVE_CATCH_UP_S": "1800"})
    with stage as world:
        simulator, crm = world.simulators["gmail"], world.crm_simulator
        assert crm is not None
        before = crm.usage()
        for number in range(CONVERSATIONS):
            simulator.deliver(MAILBOX, _mail(number), at=world.clock.now())
        world.settle()
        after = crm.usage()
        with world.team() as connection:
            linked = connection.execute(sa.text("SELECT count(*) FROM link WHERE is_primary")).scalar_one()
    reads, writes, tokens = (after[name] - before[name] for name in ("reads", "writes", "tokens"))
    what = f"CRM writes for {linked} newly linked conversations, warm mirror; {reads} reads, {tokens:,} tokens"
    is_met = linked == writes == CONVERSATIONS and reads == 0
    ratio = writes / CONVERSATIONS
    return [Row("P9", what, writes, CONVERSATIONS, "writes", ratio, "no read, one write each", is_met)]


def _mail(number: int) -> bytes:
    message = EmailMessage()
    message["From"] = f"Person {number} <person{number}@customer{number}.test>"
    message["To"] = MAILBOX
    message["Subject"] = f"Question {number}"
    message["Date"] = format_datetime(START + timedelta(seconds=number))
    message["Message-ID"] = f"<bench-{number}@customer{number}.test>"
    message.set_content(f"Hello Ada,\n\nthis is question {number}.\n")
    return message.as_bytes()
