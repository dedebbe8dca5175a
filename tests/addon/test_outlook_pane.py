"""The Outlook pane over HTTP: who is let in, what of a message is told to whom, and what a choice changes."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from werkzeug.test import TestResponse

from app import addons, passes, signing_in
from app.installation import Installation
from app.ports import Services
from app.settings import Settings
from app.store.database import Database
from app.store.secrets import SecretBox
from app.web.application import application
from connectors.mail import graph
from connectors.mail.graph.simulator import GraphSimulator
from connectors.mail.graph.simulator_login import TENANT_ID
from tests.addon.conftest import ORIGIN, AtPublicAddress
from tests.addon.test_reading import issuer_of
from tests.integration.building import ADA, BEA, CAN, DAN, SOMEBODY, TOM, Office, northwind

pytestmark = [pytest.mark.addon, pytest.mark.integration]

PANE_HOST = "https://pane.threadlink.test"


@dataclass
class Outlook:
    """The office, Microsoft, and panes in people's Outlook."""

    office: Office
    installation: Installation
    entra: GraphSimulator
    app: Flask

    def pane(self, address: str = ADA, language: str = "en-US") -> Pane:
        """Open the pane in somebody's Outlook: its script has signed in."""
        made = Pane(self.app, language)
        made.begin(self.entra.pane_token(address))
        return made

    def linked(self, key: str = "m1") -> str | None:
        """Return the item that a mail's conversation is linked to."""
        link = self.office.load(self.office.conversation_of(key)).primary_link
        return str(link.ref) if link else None


@dataclass
class Pane:
    """What pane.js does: a bearer, and forms sent with it."""

    app: Flask
    language: str
    bearer: str = ""
    shown: str = ""
    status: int = 0

    def begin(self, token: str) -> int:
        answer = self.app.test_client().post("/outlook/session", headers={"Authorization": f"Bearer {token}"})
        self.bearer = answer.get_json().get("bearer", "") if answer.status_code == 200 else ""
        return answer.status_code

    def ask(self, name: str, **fields: Any) -> Pane:
        headers = {"Authorization": f"Bearer {self.bearer}", "Accept-Language": self.language, "HX-Request": "true"}
        answer: TestResponse = self.app.test_client().post(f"/outlook/{name}", data=fields, headers=headers)
        self.status, self.shown = answer.status_code, answer.get_data(as_text=True)
        return self

    def open(self, key: str, **fields: str) -> Pane:
        return self.ask("item", message=f"<{key}@x.test>", **fields)

    @property
    def text(self) -> str:
        """What a person reads."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.shown)).split())

    def hidden(self, name: str) -> str:
        """Return what the first form carries under a name."""
        found = re.search(f'name="{name}" value="([^"]*)"', self.shown)
        assert found, self.shown
        return html.unescape(found[1])


@pytest.fixture
def outlook(database: Database, team: Callable[..., int]) -> Iterator[Outlook]:
    """Ada and Can have connected their mailboxes at Microsoft; Dan, an administrator, has not."""
    office = northwind(database, team)
    entra = GraphSimulator()
    environ = entra.start(office.clock)
    for address in (ADA, CAN, DAN, "eve@elsewhere.test"):
        entra.add_mailbox(address)
    settings = Settings(
        public_base_url=ORIGIN,
        pane_base_url=PANE_HOST,
        limit_writes=20,
        _env_file=None,  # type: ignore[call-arg]  # pydantic's own
    )
    services = Services(office.clock, ORIGIN, environ, secret=b"s" * 32)
    box = SecretBox([Fernet.generate_key().decode()])
    installation = Installation(
        settings, database, box, office.clock, {"graph": graph.create(services)}, lambda _: office.crm
    )
    app = application(installation)
    app.test_client_class = AtPublicAddress
    for address in (ADA, CAN):
        user = entra.user_id(address)
        office.rows(
            "UPDATE account SET provider = 'graph', mailbox = :mailbox, provider_user_id = :user"
            " WHERE address = :address RETURNING 1",
            mailbox=f"{TENANT_ID}/{user}",
            user=user,
            address=address,
        )
    yield Outlook(office, installation, entra, app)
    entra.stop()


# --- who is let in ---


def test_the_page_holds_nobodys_data_and_lets_outlook_frame_it(outlook: Outlook) -> None:
    answer = outlook.app.test_client().get("/outlook/pane")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200
    assert "X-Frame-Options" not in answer.headers
    assert "frame-ancestors https://outlook.office.com https://outlook.office365.com" in policy
    assert "'unsafe" not in policy
    assert re.findall(r"<script(?![^>]*src=)|<style|\son\w+=", answer.get_data(as_text=True)) == []
    assert "Set-Cookie" not in answer.headers


def test_an_address_of_its_own_serves_the_pane_alone(outlook: Outlook) -> None:
    def get(path: str) -> TestResponse:
        return outlook.app.test_client().get(path, base_url=PANE_HOST)

    assert get("/outlook/pane").status_code == 200
    root = get("/")
    assert (root.status_code, root.headers["Location"]) == (303, "/outlook/pane")
    assert "X-Frame-Options" not in root.headers
    framed = outlook.app.test_client().get("/", headers={"Sec-Fetch-Dest": "iframe"})
    assert framed.headers["X-Frame-Options"] == "DENY"  # the public address, which has no pane here
    assert [get(path).status_code for path in ("/inbox", "/sign-in", "/api/v1/conversations")] == [404] * 3
    assert outlook.app.test_client().get("/", base_url="https://elsewhere.test").status_code == 400


def test_without_a_token_nothing_is_answered(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", ADA)
    pane = Pane(outlook.app, "en")
    assert pane.begin("x") == 401
    assert pane.begin(outlook.entra.pane_token(ADA, scp="openid")) == 401
    assert pane.open("m1").status == 401
    pane.bearer = outlook.entra.pane_token(ADA)  # Microsoft's own token is no bearer of ours
    assert pane.open("m1").status == 401


def test_a_bearer_ends_after_ten_minutes_and_only_a_new_token_renews_it(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", ADA)
    pane = outlook.pane()
    assert "Rollout" in pane.open("m1").text
    outlook.office.clock.step(minutes=11)
    assert (pane.open("m1").status, "Rollout" in pane.shown) == (401, False)
    assert pane.begin(pane.bearer) == 401
    assert pane.begin(outlook.entra.pane_token(ADA)) == 200
    assert "Rollout" in pane.open("m1").text


def test_a_removed_member_is_out_at_once(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", ADA)
    pane = outlook.pane()
    outlook.office.rows("UPDATE member SET removed_at = now() WHERE email = :email RETURNING 1", email=ADA)
    assert "Connect threadlink" in pane.open("m1").text
    assert "Rollout" not in pane.text


def test_who_is_not_known_says_who_it_is_on_a_page_of_ours(outlook: Outlook) -> None:
    pane = outlook.pane(DAN, "tr-TR").open("m1")
    assert "threadlink'i bağlayın" in pane.text
    found = re.search(r'href="https://threadlink.test(/outlook/connect/[^"]+)"', pane.shown)
    assert found
    browser = outlook.app.test_client()
    link = signing_in.invite(outlook.installation, outlook.office.team_id, outlook.office.members[DAN]).url
    browser.post(link.removeprefix(ORIGIN), headers={"Origin": ORIGIN})
    assert f"The Outlook pane in {DAN} will act for you: Dan" in browser.get(found[1]).get_data(as_text=True)
    assert browser.post(found[1], headers={"Origin": ORIGIN}).status_code == 303
    assert "Bu posta kutusu bağlı değil" in pane.open("m1").text
    assert 'hx-post="/outlook/leave"' in pane.shown
    assert "Bölme artık burada sizin adınıza işlem yapmıyor." in pane.ask("leave").text
    assert "threadlink'i bağlayın" in pane.open("m1").text


def test_who_signs_in_with_that_microsoft_account_is_known(outlook: Outlook) -> None:
    outlook.office.rows(
        "INSERT INTO member_identity (team_id, member_id, issuer, subject, bound_at)"
        " VALUES (:team, :member, :issuer, :user, now()) RETURNING 1",
        issuer=issuer_of("microsoft"),
        team=outlook.office.team_id,
        member=outlook.office.members[DAN].id,
        user=f"{TENANT_ID}/{outlook.entra.user_id(DAN)}",
    )
    assert "This mailbox is not connected" in outlook.pane(DAN).open("m1").text


# --- what is told ---


def test_the_open_message_is_found_by_its_message_id(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", ADA)
    pane = outlook.pane().open("m1")
    assert "Linked deal Rollout" in pane.text
    assert "Linked: the only open item of Bea." in pane.text
    assert f"{ORIGIN}/items/deal/" in pane.shown
    assert f'href="{ORIGIN}/items/person/p1"' in pane.shown
    assert "Bağlı fırsat Rollout" in outlook.pane(language="tr-TR").open("m1").text


def test_the_thread_helps_where_there_is_no_message_id(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", ADA)
    outlook.office.rows("UPDATE message_copy SET provider_thread_id = 'AAQ-1' RETURNING 1")
    pane = outlook.pane()
    assert "Rollout" in pane.ask("item", message="", thread="AAQ-1").text
    assert "This message is not here yet" in pane.ask("item", message="", thread="").text
    assert "This message is not here yet" in outlook.pane(CAN).ask("item", message="", thread="AAQ-1").text


def test_a_message_that_is_not_stored_is_read_soon_and_its_sender_named(outlook: Outlook) -> None:
    pane = outlook.pane().open("new", sender=BEA, sender_name="Bea B.")
    assert "This message is not here yet" in pane.text
    assert "In the CRM" in pane.text
    assert '/doctor?q=%3Cnew%40x.test%3E" target="_blank"' in pane.shown
    assert [row.queued for row in outlook.office.rows("SELECT queued FROM hint WHERE queued")] == [True]


def test_a_crm_in_trouble_is_said(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", ADA)
    outlook.office.rows("UPDATE crm_connection SET state = 'trouble' RETURNING 1")
    assert "CRM does not answer" in outlook.pane().open("m1").text


def test_the_mail_of_another_mailbox_is_not_found_by_its_id(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", CAN, at=[CAN])
    pane = outlook.pane(ADA).open("m1")
    assert "This message is not here yet" in pane.text
    assert "Rollout" not in pane.text


def test_what_others_write_is_shown_as_text(outlook: Outlook) -> None:
    wicked = "<img src=x onerror=alert(1)><script>steal()</script>"
    outlook.office.mail("m1", f'"<b>Eve</b>" <{SOMEBODY}>', ADA, subject=wicked)
    pane = outlook.pane().open("m1")
    assert wicked in pane.text or html.escape(wicked) in pane.shown
    assert not re.search(r"<(img|script|b)\b", pane.shown)
    pane.ask("ask_create", c=pane.hidden("c"), kind="deal")
    assert not re.search(r"<(img|script)\b", pane.shown)


def test_the_root_of_one_address_for_all_leads_a_frame_to_the_pane(
    outlook: Outlook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New Outlook frames the root of the pane's origin, wherever the pane is."""
    monkeypatch.setitem(vars(outlook.installation.settings), "pane_base_url", "")
    root = outlook.app.test_client().get("/", headers={"Sec-Fetch-Dest": "iframe"})
    assert (root.headers["Location"], "X-Frame-Options" in root.headers) == ("/outlook/pane", False)
    assert "/outlook/pane" not in outlook.app.test_client().get("/").headers["Location"]


# --- choices ---


def test_linking_takes_one_press_and_counts_once(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Tom <{TOM}>", ADA, subject="The refit")
    pane = outlook.pane().open("m1")
    assert pane.text.index("Refit") < pane.text.index("Spa")
    assert pane.text.count("After linking these can read it too: Can, Dan.") == 1
    carried = {"c": pane.hidden("c"), "n": pane.hidden("n")}
    assert "Linked." in pane.ask("link", item="deal/d3", **carried).text
    now = outlook.linked()
    assert now == "deal/d3"
    assert "That was done already." in pane.ask("link", item="deal/d2", move="1", **carried).text
    assert outlook.linked() == now


def test_a_choice_is_one_members_about_one_conversation_for_ten_minutes(outlook: Outlook) -> None:
    for key in ("m1", "m2"):
        outlook.office.mail(key, f"Tom <{TOM}>", ADA, subject=f"Which {key}")
    pane = outlook.pane().open("m1")
    conversation, choice = pane.hidden("c"), pane.hidden("n")
    other = pane.open("m2").hidden("c")
    for sent in ({"c": conversation, "n": "x"}, {"c": conversation}, {"c": other, "n": choice}):
        answer = pane.ask("link", item="deal/d2", **sent)
        assert (answer.status, "open for too long" in answer.shown) == (409, True)
    assert outlook.pane(CAN).ask("link", c=conversation, n=choice, item="deal/d2").status == 409
    outlook.office.clock.step(minutes=9)
    pane.begin(outlook.entra.pane_token(ADA))
    outlook.office.clock.step(minutes=2)
    assert pane.ask("link", c=conversation, n=choice, item="deal/d2").status == 409
    assert (outlook.linked("m1"), outlook.linked("m2")) == (None, None)


def test_moving_asks_first_and_names_both_items(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", ADA)
    pane = outlook.pane().open("m1")
    carried = {"c": pane.hidden("c")}
    pane.ask("search", q="refit", **carried)
    assert 'hx-post="/outlook/ask_move"' in pane.shown
    pane.ask("ask_move", item="deal/d2", **carried)
    assert "After linking nobody on the team reads more than now." in pane.text
    assert "Rollout" in pane.text
    assert "Refit" in pane.text
    pane.ask("link", item=pane.hidden("item"), move="1", n=pane.hidden("n"), **carried)
    assert (outlook.linked(), pane.status) == ("deal/d2", 200)


def test_unlinking_and_dismissing(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", ADA)
    pane = outlook.pane().open("m1")
    carried = {"c": pane.hidden("c")}
    assert "Take the link to “Rollout” off" in pane.ask("ask_unlink", **carried).text
    assert "Unlinked." in pane.ask("unlink", n=pane.hidden("n"), **carried).text
    assert outlook.linked() is None
    pane.ask("dismiss", n=pane.hidden("n"), **carried)
    assert 'hx-post="/outlook/dismiss"' not in pane.shown


def test_a_person_and_a_deal_are_made_once(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Sam <{SOMEBODY}>", ADA)
    pane = outlook.pane().open("m1")
    carried = {"c": pane.hidden("c"), "n": pane.hidden("n")}
    assert f"{SOMEBODY} is in the CRM now." in pane.ask("create_person", address=SOMEBODY, **carried).text
    assert "That was done already." in pane.ask("create_person", address=SOMEBODY, **carried).text
    pane.ask("ask_create", c=carried["c"], kind="deal")
    made = pane.ask("create_item", c=carried["c"], n=pane.hidden("n"), kind="deal", title="New", person=SOMEBODY)
    assert "Created and linked." in made.text
    assert (outlook.linked() or "").startswith("deal/")


def test_a_colleague_sees_but_may_not_link(outlook: Outlook) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", ADA)
    conversation = outlook.office.load(outlook.office.conversation_of("m1")).public_id
    pane = outlook.pane(CAN).ask("conversation", c=conversation)
    assert "Only the conversation's owner or an administrator can link it." in pane.text
    assert "hx-post" not in pane.shown
    before = outlook.linked()
    other = outlook.pane(CAN)
    signed = addons.member_of(outlook.installation, "graph", f"{TENANT_ID}/{outlook.entra.user_id(CAN)}")
    assert signed is not None
    choice = passes.choice(outlook.installation, signed.team.id, signed.member, conversation)
    assert other.ask("unlink", c=conversation, n=choice).status == 403
    assert outlook.linked() == before


def test_another_team_finds_nothing(outlook: Outlook, team: Callable[..., int], database: Database) -> None:
    outlook.office.mail("m1", f"Bea <{BEA}>", ADA)
    conversation = outlook.office.load(outlook.office.conversation_of("m1")).public_id
    other = Office(database, team("Elsewhere"))
    account = other.mailbox("eve@elsewhere.test")
    other.rows(
        "UPDATE account SET provider = 'graph', mailbox = :mailbox WHERE id = :id RETURNING 1",
        mailbox=f"{TENANT_ID}/{outlook.entra.user_id('eve@elsewhere.test')}",
        id=account.id,
    )
    pane = outlook.pane("eve@elsewhere.test")
    assert "Rollout" not in pane.open("m1").text
    for name in ("conversation", "search", "ask_unlink", "ask_create"):
        answer = pane.ask(name, c=conversation, q="refit", kind="deal")
        assert (answer.status, "There is nothing here" in answer.shown) == (404, True), name
    assert pane.ask("items", message="<m1@x.test>").status == 404


def test_several_messages_are_linked_together(outlook: Outlook) -> None:
    for key in ("m1", "m2"):
        outlook.office.mail(key, f"Tom <{TOM}>", ADA, subject=f"Which {key}")
    outlook.office.mail("m3", f"Bea <{BEA}>", ADA)
    outlook.office.mail("m4", f"Bea <{BEA}>", CAN, at=[CAN])
    named = [f"<{key}@x.test>" for key in ("m1", "m2", "m3", "m4")]
    pane = outlook.pane().ask("items", message=named)
    ids = re.findall(r'name="c" value="([^"]+)"', pane.shown)
    assert (len(ids), "Rollout" in pane.text) == (3, True)
    carried = {"c": ids, "n": pane.hidden("n"), "item": "deal/d2"}
    assert "Conversations linked: 2." in pane.ask("link_many", **carried).text
    assert [outlook.linked(key) for key in ("m1", "m2", "m3")] == ["deal/d2", "deal/d2", "deal/d1"]
    assert "That was done already." in pane.ask("link_many", **carried).text
