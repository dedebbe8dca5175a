"""Small scenario files for the tests of their reader and runner."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from app.scenario.model import MailEvent, Scenario
from app.scenario.read import parse

PATH = Path("trial.yaml")
ADA, CAN = "ada@northwind.test", "can@northwind.test"

PEOPLE = """\
now: 2026-03-02T08:00:00Z
team: {domains: [northwind.test]}
members:
  - {name: Ada, email: ada@northwind.test, role: admin}
  - {name: Can, email: can@northwind.test}
accounts:
  - {address: ada@northwind.test, provider: gmail, aliases: [a.yilmaz@northwind.test]}
  - {address: can@northwind.test, provider: gmail}
crm:
  organizations: [{id: o1, name: Acme}]
  persons: [{id: p1, name: Bea, emails: [bea@acme.test], organization: o1}, {id: p2, name: Tom}]
  items: [{kind: deal, id: d1, title: Rollout, person: p1}, {kind: lead, id: l1, title: Spa}]
"""


def scenario(events: str = "", expect: str = "", *, path: Path = PATH) -> Scenario:
    """Read a scenario with two members, their accounts and a small CRM."""
    return parse(text(events, expect), path)


def text(events: str = "", expect: str = "") -> str:
    """Return its file."""
    parts = [PEOPLE]
    parts += [f"events:\n{dedent(events)}"] if events else []
    parts += [f"expect:\n{dedent(expect)}"] if expect else []
    return "".join(parts)


def message(extra: str = "", *, key: str = "m1", path: Path = PATH) -> tuple[Scenario, MailEvent]:
    """Read a scenario whose only message, from Bea to Ada, has these further keys in YAML's flow style."""
    sender = "" if "eml:" in extra or "from:" in extra else ", from: Bea <bea@acme.test>, to: [ada@northwind.test]"
    where = "" if "in:" in extra.split(" ") else ", in: [ada@northwind.test]"
    more = f", {extra}" if extra else ""
    read = scenario(f"- {{at: 2026-03-02T09:00:00Z, message: {{key: {key}{where}{sender}{more}}}}}\n", path=path)
    return read, read.messages[key]
