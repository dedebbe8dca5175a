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
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient

from app import addons as core
from app import api_keys, members, outgoing_webhooks, signing_in, smart_bcc, work
from app.installation import Installation
from app.oidc import Identity
from app.ports import AddonCall, CrmAdapter, CrmConnection
from app.settings import Settings
from app.store import addons, lookups, schema, sessions, teams
from app.store.database import Database
from app.store.outgoing_webhooks import KINDS
from app.store.secrets import SecretBox
from app.web.application import application
from tests.integration.building import Office
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
OWNER = Reader("the owner", ADA, "Northwind", ())


@dataclass
class World:
    """The two teams, with the ids of what must stay hidden."""

    database: Database
    installation: Installation
    app: Flask
    ours: Office
    theirs: Office
    ids: Mapping[str, str] = field(default_factory=dict)
    _keys: dict[str, str] = field(default_factory=dict)
    _browsers: dict[str, FlaskClient] = field(default_factory=dict)

    def browser(self, reader: Reader) -> FlaskClient:
        """Return the browser that a reader signed in with."""
        return self._browsers[reader.email]

    def key(self, reader: Reader) -> str:
        """Return the API key of a reader."""
        return self._keys[reader.email]

    def bearer(self, reader: Reader) -> str:
        """Return what the Outlook pane of a reader proves itself with."""
        return core.begin_session(self.installation, "graph", AddonCall(f"user {reader.email}"))

    def admit(self, office: Office, email: str) -> None:
        """Sign a member in and give that member an API key."""
        client = self.app.test_client()
        link = signing_in.invite(self.installation, office.team_id, office.members[email])
        client.post(urlsplit(link.url).path, base_url=ORIGIN, headers={"Origin": ORIGIN})
        self._browsers[email] = client
        with self.database.for_team(office.team_id) as connection:
            member_id = office.members[email].id
            for provider in ("gmail", "graph"):
                addons.add_user(connection, office.team_id, provider, f"user {email}", member_id, office.now)
            _, self._keys[email] = api_keys.make(connection, office.acting(email), "program", may_write=True)

    def fingerprint(self, reader: Reader) -> dict[str, str]:
        """Return what a reader must leave as it is: all of the team's rows, for a colleague those of Ada's mail.

        An administrator of the team may link what only metadata is shown of (S14); who was removed may sign out.
        """
        if reader.team == "Northwind" and reader.is_admin:
            return {}
        inside = reader.team == "Northwind" and not reader.is_out
        own = ("member_session", "api_key") if reader.is_out else ()
        with self.database.for_team(self.ours.team_id) as connection:
            return {
                table.name: _digest(connection, table, self.ids if inside else None)
                for table in _TENANT_TABLES
                if table.name not in own
            }


_TENANT_TABLES = [table for table in schema.metadata.sorted_tables if "team_id" in table.c]


def _digest(connection: sa.Connection, table: sa.Table, mail: Mapping[str, str] | None) -> str:
    about = ""
    if mail is not None:
        column = next((name for name in ("conversation_id", "account_id") if name in table.c), "")
        if not column or table.name == "hint":
            return ""
        own = mail["conversation_number" if column == "conversation_id" else "account_numbers"]
        about = f" WHERE {column} IN ({own})"
    rows = f"SELECT md5(t::text) AS row FROM {table.name} t{about}"
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
    yield made


def _add_team(database: Database, name: str) -> int:
    with database.without_team() as connection:
        return lookups.add_team(connection, name)


def _installed(database: Database, offices: tuple[Office, ...]) -> tuple[Installation, Flask]:
    crms = {office.connection.id: office.crm for office in offices}

    def open_crm(connection: CrmConnection) -> CrmAdapter:
        return crms[connection.id]

    settings = Settings(public_base_url=ORIGIN, mail_domain="in.threadlink.test", _env_file=None)  # type: ignore[call-arg]  # pydantic's own argument
    box = SecretBox([Fernet.generate_key().decode()])
    gmail = ObedientMail(originals=defaultdict(f"Subject: x\r\n\r\n{CANARY_WORDS}".encode))
    mail: Any = {"gmail": gmail, "graph": ObedientMail("graph")}
    installation = Installation(settings, database, box, offices[0].clock, mail, open_crm, webhooks=Target())
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
    private = ours.mail("m1", f"Stranger {CANARY_PEOPLE} <{STRANGER}>", ADA, at=[ADA], subject=f"Merger {CANARY_WORDS}")
    linked = ours.mail("m2", f"Bea <{CUSTOMER}>", ADA, at=[ADA], subject=f"Prices {CANARY_WORDS}")
    ours.mail("m3", "cem@kum.test", ADA, at=[ADA], subject=f"Sand {CANARY_WORDS}")
    action = ours.dismiss(ADA, private)
    with world.database.for_team(ours.team_id) as connection:
        teams.set_policy(connection, {"blocklist": [f"{CANARY_TEAM}.test"]})
        asked = work.bulk_link(connection, ours.acting(ADA), [private, linked], ours.ref("deal", "d78"))
        key, _ = api_keys.make(connection, ours.acting(ADA), f"key {CANARY_TEAM}", may_write=True)
        members.invite(connection, ours.acting(DAN), f"New {CANARY_TEAM}", "new@northwind.test", "member")
        at_google = Identity("google", "17", f"{CANARY_TEAM}.test", "Ada", f"ada.{CANARY_WORDS}@home.test")
        members.bind(connection, ours.acting(ADA), at_google)
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
            name: str(ours.rows(f"SELECT public_id FROM {table}")[0].public_id)
            for name, table in (
                ("invitation", "invitation"),
                ("identity", "member_identity"),
                ("session", "member_session"),
                ("team", "team"),
            )
        },
        "colleague": ours.member(LEO).public_id,
        "account": account.public_id,
        "account_numbers": f"{account.id}, {held.account_id}",
        "action": action,
        "conversation": ours.load(private).public_id,
        "conversation_number": str(private),
        "item": f"deal/{item.external_id}",
        "item_id": item.external_id,
        "held": str(held.public_id),
        "key": key.public_id,
        "linked": ours.load(linked).public_id,
        "member": ours.members[ADA].public_id,
        "message": ours.load(private).messages[0].public_id,
        "message_id": "<m1@x.test>",
        "offer": str(offer[0].public_id),
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
