"""Reads a scenario file (README, "Scenarios"): who is there, what happens, what must be true afterwards.

Everything is checked while it is read: an unknown key, a wrong type, or a name nobody defined is a ScenarioError
with file and line.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

import yaml

from app.errors import ScenarioError
from app.model import ITEM_KINDS, AccountKind, Level, Policy
from app.scenario import events, expectations, records
from app.scenario.model import (
    Scenario,
    ScenarioAccount,
    ScenarioMember,
    ScenarioTeam,
)
from app.scenario.names import Names
from app.scenario.nodes import Section, compose

MAX_FILE_BYTES = 5_000_000
PLANS = ("unrestricted", "lite", "growth", "premium", "ultimate")
LEVELS: tuple[str, ...] = get_args(Level)
POLICY_KEYS = (
    "retroactive blocklist blocklist_scope skip_automated max_counterparts learned_auto_link sender_must_be_known"
)
BUILT_IN = Path(__file__).parent / "built_in"


def load(path: Path) -> Scenario:
    """Read a scenario file and the .eml files it names. Raises ScenarioError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: not UTF-8 text") from error
    if len(content) > MAX_FILE_BYTES:
        raise ScenarioError(f"{path}: larger than {MAX_FILE_BYTES // 1_000_000} MB")
    return parse(text, path)


def built_in(name: str = "morning") -> Scenario:
    """Read a scenario that comes with threadlink."""
    return load(BUILT_IN / f"{name}.yaml")


def parse(text: str, path: Path) -> Scenario:
    """Read a scenario from text; `path` names it in errors, and its .eml files lie beside it."""
    root = Section(compose(text, str(path)), "the scenario", "now locale team members accounts crm events expect")
    names = Names()
    members = tuple(_member(node, names) for node in root.nodes("members"))
    accounts = tuple(_account(node, names) for node in root.nodes("accounts"))
    crm = _CrmSections(root.node_of("crm"))
    happenings = events.take_apart(root.nodes("events"))
    crm.define(names)
    events.define(happenings, names)
    now = root.time("now")
    kinds = [happening.kind for happening in happenings]
    played = tuple(events.read(happening, names, path.parent, kinds) for happening in happenings)
    return Scenario(
        name=path.stem,
        now=now,
        locale="tr" if root.choice("locale", ("en", "tr"), "en") == "tr" else "en",
        team=_team(root),
        members=members,
        accounts=accounts,
        organizations=tuple(records.read_organization(section) for section in crm.organizations),
        persons=tuple(records.read_person(section, names) for section in crm.persons),
        items=tuple(records.read_item(section, names, created_at=now) for section in crm.items),
        events=played,
        expectations=tuple(expectations.read(node, names, played) for node in root.nodes("expect")),
    )


class _CrmSections:
    """What stands under `crm`, taken apart but not read: records refer to each other in any order."""

    def __init__(self, node: yaml.Node | None) -> None:
        crm = None if node is None else Section(node, "crm", "organizations persons items")
        self.organizations = self._sections(crm, "organizations", "an organization", records.ORGANIZATION_KEYS)
        self.persons = self._sections(crm, "persons", "a person", records.PERSON_KEYS)
        self.items = self._sections(crm, "items", "an item", records.ITEM_KEYS)

    @staticmethod
    def _sections(crm: Section | None, key: str, what: str, keys: str) -> list[Section]:
        return [] if crm is None else [Section(node, what, keys) for node in crm.nodes(key)]

    def define(self, names: Names) -> None:
        """Note the name of every record."""
        for section in self.organizations:
            records.define(names, "organization", section)
        for section in self.persons:
            records.define(names, "person", section)
        for section in self.items:
            records.define(names, section.choice("kind", ITEM_KINDS), section)


def _team(root: Section) -> ScenarioTeam:
    node = root.node_of("team")
    if node is None:
        return ScenarioTeam()
    team = Section(node, "team", "domains plan policy")
    policy_node = team.node_of("policy")
    return ScenarioTeam(
        domains=team.texts("domains"),
        plan=team.choice("plan", PLANS, "unrestricted"),
        policy=Policy() if policy_node is None else _policy(Section(policy_node, "policy", POLICY_KEYS)),
    )


def _policy(policy: Section) -> Policy:
    default = Policy()
    retroactive = policy.choice("retroactive", ("message", "conversation"), default.retroactive)
    scope = policy.choice("blocklist_scope", ("sole", "any"), default.blocklist_scope)
    return Policy(
        retroactive="conversation" if retroactive == "conversation" else "message",
        blocklist=frozenset(entry.lower() for entry in policy.texts("blocklist")),
        blocklist_scope="any" if scope == "any" else "sole",
        skip_automated=policy.flag("skip_automated", default=default.skip_automated),
        max_counterparts=policy.number("max_counterparts", default.max_counterparts),
        learned_auto_link=policy.flag("learned_auto_link", default=default.learned_auto_link),
        sender_must_be_known=policy.flag("sender_must_be_known", default=default.sender_must_be_known),
    )


def _member(node: yaml.Node, names: Names) -> ScenarioMember:
    section = Section(node, "a member", "name email role")
    email = section.text("email")
    name = section.text_or_none("name") or email
    if email.lower() in names.members:
        raise section.error(f"{email!r} is defined twice")
    names.members[email.lower()] = email
    names.members.setdefault(name, email)
    role = section.choice("role", ("admin", "member"), "member")
    return ScenarioMember(name=name, email=email, role="admin" if role == "admin" else "member")


def _account(node: yaml.Node, names: Names) -> ScenarioAccount:
    section = Section(node, "an account", "address provider kind owner collaborators auto_link aliases visibility")
    address, aliases = section.text("address"), section.texts("aliases")
    names.define_account(address, (address, *aliases), section.node)
    kind = cast("AccountKind", section.choice("kind", ("personal", "team"), "personal"))
    return ScenarioAccount(
        address=address,
        provider=section.text("provider"),
        kind=kind,
        owner=_owner(section, kind, names),
        collaborators=tuple(names.member(entry) for entry in section.nodes("collaborators")),
        auto_link=section.flag("auto_link", default=True),
        aliases=aliases,
        visibility=cast("Level", section.choice("visibility", LEVELS, "full")),
    )


def _owner(section: Section, kind: AccountKind, names: Names) -> str | None:
    """Return the member named as owner, else the one with the account's address; a team account has none."""
    owner = section.node_of("owner")
    if kind == "team":
        if owner is not None:
            raise section.error("a team account has collaborators, not an owner")
        return None
    if section.nodes("collaborators"):
        raise section.error("a personal account has an owner, not collaborators")
    if owner is None and section.text("address").lower() not in names.members:
        raise section.error("no member has the address of this account: name its 'owner'")
    return names.member(owner or section.required("address"))
