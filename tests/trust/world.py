"""Two teams whose every private word is a canary, and the readers who must never see one.

In "ours" there is something of each kind that a team keeps; Ada's mailbox is private inside it. CANARY_TEAM stands in
what only the team may read, CANARY_WORDS in what nobody but Ada may, CANARY_PEOPLE in what an administrator may know
besides: who wrote to her.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient

from app import addons as core
from app import api_keys, members, outgoing_webhooks, panels, passes, sender_addresses, signing_in, smart_bcc, work
from app.installation import Installation
from app.model import Attachment
from app.oidc import Identity
from app.ports import AddonCall, CrmAdapter, CrmConnection, MailFolder, PanelVisit
from app.settings import Settings
from app.store import addons, lookups, saved_filters, schema, sessions, teams
from app.store.database import Database
from app.store.outgoing_webhooks import KINDS
from app.store.secrets import SecretBox
from app.web.application import application
from app.web.outlook_pane.reading import MANY
from tests.integration.building import PROVEN_FALSE, Office
from tests.integration.web.conftest import ORIGIN, ObedientMail
from tests.integration.web.target import Target

CANARY_TEAM, CANARY_WORDS, CANARY_PEOPLE = (
    "canary7team",
    "canary7words",
    "canary7people",
)  # searches ask for "canary": an echo is no leak
# Ada owns what must stay hidden. Dan administers her team, Eve and Leo are in it; Rem was removed from it.
ADA, DAN, EVE, REM, LEO = (f"{name}@northwind.test" for name in ("ada", "dan", "eve", "rem", "leo"))
ZOE, YAN = "zoe@zenith.test", "yan@zenith.test"  # an administrator and a member of the other team
EVERYTHING = (CANARY_TEAM, CANARY_WORDS, CANARY_PEOPLE)
STRANGER = f"stranger.{CANARY_PEOPLE}@elsewhere.test"
CUSTOMER = f"bea.{CANARY_TEAM}@acme.test"
OTHER_ADDRESS = "ada@home.test"
PANEL = panels.provider_of("fake", "fake")  # as both teams' CRM is called
# Ada's mail as her mailbox has it: words, and a file of words.
ORIGINAL = f"""\
Subject: x
Content-Type: multipart/mixed; boundary=b

--b

{CANARY_WORDS}
--b
Content-Disposition: attachment; filename=plan.txt

{CANARY_WORDS}
--b--
""".replace("\n", "\r\n").encode()


@dataclass(frozen=True)
class Reader:
    """Somebody who asks, by browser and by program, and the words that must not be in an answer."""

    name: str
    email: str
    team: str
    canaries: tuple[str, ...]
    is_out: bool = False  # nobody that threadlink knows: only what is open to everybody is answered
    is_admin: bool = False


READERS = (
    Reader("an administrator of another team", ZOE, "Zenith", EVERYTHING, is_admin=True),
    Reader("a member of another team", YAN, "Zenith", EVERYTHING),
    Reader("an administrator of the same team", DAN, "Northwind", (CANARY_WORDS,), is_admin=True),
    Reader("a colleague", EVE, "Northwind", (CANARY_WORDS, CANARY_PEOPLE)),
    Reader("a removed member", REM, "Northwind", EVERYTHING, is_out=True),
)
OWNER, ADMINISTRATOR = Reader("the owner", ADA, "Northwind", ()), READERS[2]


class OpenPanel:
    """A panel in the CRM that takes whoever it is told."""

    ancestors = "https://crm.test"
    script = ""

    def read_visit(self, args: Mapping[str, str]) -> PanelVisit:
        return PanelVisit("fake", args["user"], "deal", args["item"])


@dataclass
class World:
    """The two teams, with the ids of what must stay hidden."""

    database: Database
    installation: Installation
    app: Flask
    ours: Office
    theirs: Office
    ids: dict[str, str] = field(default_factory=dict)
    _passes: dict[str, str] = field(default_factory=dict)
    _keys: dict[str, str] = field(default_factory=dict)
    _browsers: dict[str, FlaskClient] = field(default_factory=dict)

    def browser(self, reader: Reader) -> FlaskClient:
        """Return the browser that a reader signed in with."""
        return self._browsers[reader.email]

    def key(self, reader: Reader) -> str:
        """Return the API key of a reader."""
        return self._keys[reader.email]

    def hold_key(self, reader: Reader, text: str) -> None:
        """Have the program of a reader use another key."""
        self._keys[reader.email] = text

    def bearer(self, reader: Reader) -> str:
        """Return what the Outlook pane of a reader proves itself with."""
        return core.begin_session(self.installation, "graph", AddonCall(f"user {reader.email}"))

    def carried(self, reader: Reader, ids: Mapping[str, str]) -> dict[str, str]:
        """Return what a reader's own pages, cards and panels give back: choices about these ids, bearer, pass."""
        office = self.ours if reader.team == "Northwind" else self.theirs
        member = office.members[reader.email]

        def once(about: str) -> str:
            return passes.choice(self.installation, office.team_id, member, about)

        return {
            "reader": reader.email,
            "bearer": self.bearer(reader),
            "pass": self._passes[reader.email],
            "once": once(ids["conversation"]),
            "once_linked": once(ids["linked"]),
            "once_many": once(MANY),
        }

    def admit(self, office: Office, email: str) -> None:
        """Sign a member in, in a browser, at the add-ons and in the CRM, and give that member an API key."""
        client = self.app.test_client()
        link = signing_in.invite(self.installation, office.team_id, office.members[email])
        client.post(urlsplit(link.url).path, base_url=ORIGIN, headers={"Origin": ORIGIN})
        self._browsers[email] = client
        with self.database.for_team(office.team_id) as connection:
            member_id = office.members[email].id
            for provider in ("gmail", "graph", PANEL):
                addons.add_user(connection, office.team_id, provider, f"user {email}", member_id, office.now)
            _, self._keys[email] = api_keys.make(connection, office.acting(email), "program", may_write=True)
        entered = panels.enter(self.installation, "fake", {"user": f"user {email}", "item": self.ids["item_id"]})
        assert isinstance(entered, panels.Visitor)
        self._passes[email] = entered.text

    def of_conversation(self, number: str) -> dict[str, str]:
        """Return what stands of one conversation, beside what somebody asked to be done to it."""
        tables = [table for table in _TENANT_TABLES if "conversation_id" in table.c and table.name != "work_entry"]
        with self.database.for_team(self.ours.team_id) as connection:
            return {table.name: _digest(connection, table, {"conversation_id": number}) for table in tables}

    def fingerprint(self, reader: Reader) -> dict[str, str]:
        """Return what a reader must leave as it is: all of the team's rows, for who is in it those that are Ada's.

        An administrator of the team may link what only metadata is shown of (S14): of Ada's mail nothing is compared
        then. Who was removed may sign out.
        """
        mine = ("member_session", "api_key")
        with self.database.for_team(self.ours.team_id) as connection:
            if reader.team != "Northwind" or reader.is_out:
                tables = [each for each in _TENANT_TABLES if not (reader.is_out and each.name in mine)]
                return {table.name: _digest(connection, table) for table in tables}
            of_member = {"member_id": self.ids["member_number"]}
            of_mail = {"conversation_id": self.ids["conversation_numbers"], "account_id": self.ids["account_numbers"]}
            found = {}
            for table in _TENANT_TABLES:
                of = {name: numbers for name, numbers in of_mail.items() if name in table.c} or of_member
                if (
                    table.name == "hint"
                    or of.keys().isdisjoint(table.c.keys())
                    or (reader.is_admin and of is not of_member)
                ):
                    continue
                found[table.name] = _digest(connection, table, of)
            return found


_TENANT_TABLES = [table for table in schema.metadata.sorted_tables if "team_id" in table.c]


def _digest(connection: sa.Connection, table: sa.Table, of: Mapping[str, str] | None = None) -> str:
    about = " OR ".join(f"{name} IN ({numbers})" for name, numbers in (of or {}).items()) or "true"
    rows = f"SELECT md5(t::text) AS row FROM {table.name} t WHERE {about}"
    query = f"SELECT coalesce(string_agg(row, '' ORDER BY row), '') FROM ({rows}) AS rows"
    return str(connection.execute(sa.text(query)).scalar_one())


@contextmanager
def world(database: Database, team: Callable[[str], int] | None = None) -> Iterator[World]:
    """Build both teams in an empty database."""
    add = team or (lambda name: _add_team(database, name))
    ours, theirs = Office(database, add("Northwind")), Office(database, add("Zenith"))
    made = World(database, *_installed(database, (ours, theirs)), ours, theirs)
    _fill_ours(made)
    theirs.member(ZOE, "admin")
    theirs.mailbox(YAN)
    theirs.person("p1", "Tom", "tom@brightwater.test")
    theirs.deal("d1", "Lobby", "p1")
    theirs.refresh()
    theirs.mail("z1", "tom@brightwater.test", YAN, at=[YAN])
    for office, emails in ((ours, (ADA, DAN, EVE, REM)), (theirs, (ZOE, YAN))):
        for email in emails:
            made.admit(office, email)
    ours.rows("UPDATE member SET removed_at = now() WHERE email = :email RETURNING id", email=REM)
    ours.clock.step(seconds=1)
    for name, provider in (("gmail", "gmail"), ("outlook", "graph"), ("panel", PANEL)):
        call = AddonCall(f"user {ADA}", address=ADA)
        made.ids[f"invited_{name}"] = core.invite(made.installation, provider, call)
    yield made


def _add_team(database: Database, name: str) -> int:
    with database.without_team() as connection:
        return lookups.add_team(connection, name)


def _installed(database: Database, offices: tuple[Office, ...]) -> tuple[Installation, Flask]:
    crms = {office.connection.id: office.crm for office in offices}

    def open_crm(connection: CrmConnection) -> CrmAdapter:
        return crms[connection.id]

    often = dict.fromkeys(("limit_writes", "limit_searches", "limit_heavy"), 100_000)  # who is refused shows nothing
    settings = Settings(public_base_url=ORIGIN, mail_domain="in.threadlink.test", _env_file=None, **often)  # type: ignore[call-arg, arg-type]  # pydantic's own argument
    box = SecretBox([Fernet.generate_key().decode()])
    gmail = ObedientMail(
        originals=defaultdict(lambda: ORIGINAL),
        folders=[MailFolder("INBOX", "INBOX", "inbox"), MailFolder("Label_1", f"Customers {CANARY_WORDS}")],
    )
    mail: Any = {"gmail": gmail, "graph": ObedientMail("graph")}
    clock, shown = offices[0].clock, {"fake": OpenPanel()}
    installation = Installation(settings, database, box, clock, mail, open_crm, webhooks=Target(), panels=shown)
    return installation, application(installation)


def _fill_ours(world: World) -> None:
    ours = world.ours
    account = ours.mailbox(ADA, visibility="private")
    ours.member(DAN, "admin")
    ours.member(EVE)
    ours.member(REM, "admin")
    ours.rows(f"UPDATE member SET name = name || ' {CANARY_TEAM}' RETURNING id")
    ours.person("p1", f"Bea {CANARY_TEAM}", CUSTOMER)
    item = ours.deal("d77", f"Rollout {CANARY_TEAM}", "p1")
    ours.person("p2", "Cem", "cem@kum.test")
    for number in ("d78", "d79"):
        ours.deal(number, f"Sand {CANARY_TEAM}", "p2")
    ours.refresh()
    private = ours.mail(
        "m1", f"Stranger {CANARY_PEOPLE} <{STRANGER}>", ADA, at=[ADA], subject=f"Merger {CANARY_WORDS}",
        attachments=[Attachment("plan.txt", 20)],
    )  # fmt: skip
    linked = ours.mail("m2", f"Bea <{CUSTOMER}>", ADA, at=[ADA], subject=f"Prices {CANARY_WORDS}")
    ours.mail("m3", "cem@kum.test", ADA, at=[ADA], subject=f"Sand {CANARY_WORDS}")
    doubted = ours.mail("m4", CUSTOMER, ADA, at=[ADA], subject=f"Bank {CANARY_WORDS}", headers=[PROVEN_FALSE])
    shared = ours.mailbox("sales@northwind.test", kind="team", collaborators=[ADA])
    seen = ours.mail("m5", CUSTOMER, "sales@northwind.test", at=["sales@northwind.test"], subject="For all")
    action, action_seen = ours.dismiss(ADA, private), ours.share(ADA, seen, "full")
    with world.database.for_team(ours.team_id) as connection:
        teams.set_policy(connection, {"blocklist": [f"{CANARY_TEAM}.test"]})
        asked = work.bulk_link(connection, ours.acting(ADA), [private, linked], ours.ref("deal", "d78"))
        key, _ = api_keys.make(connection, ours.acting(ADA), f"key {CANARY_TEAM}", may_write=True)
        members.invite(connection, ours.acting(DAN), f"New {CANARY_TEAM}", "new@northwind.test", "member")
        at_google = Identity("google", "17", f"{CANARY_TEAM}.test", "Ada", f"ada.{CANARY_WORDS}@home.test")
        members.bind(connection, ours.acting(ADA), at_google)
        members.bind(connection, ours.acting(DAN), replace(at_google, subject="18", name="Dan", address=DAN))
        saved_filters.save(connection, ours.team_id, ours.members[ADA].id, "Mine", "s=x")
        sender_addresses.add(connection, ours.acting(ADA), OTHER_ADDRESS)
        connection.execute(sa.text("UPDATE member_address SET verified_at = now()"))
        sessions.begin(connection, ours.team_id, ours.members[ADA].id, b"x", "", ours.now + timedelta(days=1), ours.now)
    dan, hook_url = ours.acting(DAN), f"https://{CANARY_TEAM}.test/hook"
    with world.database.for_team(ours.team_id) as connection:
        webhook, _ = outgoing_webhooks.add(world.installation, connection, dan, hook_url, KINDS)
    offer = ours.rows(
        "INSERT INTO offer (team_id, connection_id, kind, external_id, made_at)"
        " VALUES (:team, :connection, 'deal', :item, now()) RETURNING public_id",
        team=ours.team_id, connection=ours.connection.id, item=item.external_id,
    )  # fmt: skip
    held = _hold_mail(world)
    world.ids = {
        **{
            name: str(ours.rows(f"SELECT public_id FROM {table} ORDER BY id")[0].public_id)
            for name, table in (
                ("invitation", "invitation"),
                ("identity", "member_identity"),
                ("session", "member_session"),
                ("team", "team"),
                ("saved", "saved_filter"),
            )
        },
        "colleague": ours.member(LEO).public_id,
        "account": account.public_id,
        "account_numbers": f"{account.id}, {held.account_id}, {shared.id}",
        "action": action,
        "action_seen": action_seen,
        "conversation": ours.load(private).public_id,
        "conversation_numbers": f"{private}, {linked}, {doubted}",
        "doubted": ours.load(doubted).public_id,
        "item": f"deal/{item.external_id}",
        "item_id": item.external_id,
        "held": str(held.public_id),
        "key": key.public_id,
        "linked": ours.load(linked).public_id,
        "member": ours.members[ADA].public_id,
        "member_number": str(ours.members[ADA].id),
        "message": ours.load(private).messages[0].public_id,
        "message_id": "<m1@x.test>",
        "offer": str(offer[0].public_id),
        "other_address": OTHER_ADDRESS,
        "seen": ours.load(seen).public_id,
        "seen_number": str(seen),
        "shared": shared.public_id,
        "stranger": STRANGER,
        "work": asked.public_id,
        "crm_connection": str(ours.rows("SELECT public_id FROM crm_connection")[0].public_id),
        "webhook": webhook.public_id,
        "unknown": secrets.token_urlsafe(32),
    }


def _hold_mail(world: World) -> sa.Row[Any]:
    """Let a mail to Ada's Smart BCC address wait for her to say what it is."""
    ours = world.ours
    with world.database.for_team(ours.team_id) as connection:
        account = smart_bcc.account_of(world.installation, connection, ours.members[ADA])
    (held,) = ours.rows(
        "INSERT INTO received_mail"
        " (team_id, account_id, provider_id, raw, received_at, held_why, held_from, held_subject)"
        " VALUES (:team, :account, 'p1', :raw, :now, 'not_proven', :ada, :subject) RETURNING public_id, account_id",
        team=ours.team_id, account=account.id, raw=CANARY_WORDS.encode(), now=ours.now, ada=ADA,
        subject=f"Held {CANARY_WORDS}",
    )  # fmt: skip
    return held
