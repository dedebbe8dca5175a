"""What the cards say: where a conversation stands and why, suggestions, people, and every state that is none of it."""

from __future__ import annotations

import json
import re

import pytest

from app import smart_bcc
from app.bootstrap import sign_in_issuers
from app.errors import Unavailable
from app.settings import Settings
from app.testing.fakes import SteppedClock
from connectors.mail.gmail.addon import OPEN_MESSAGE, WHO
from tests.addon.conftest import Desk
from tests.addon.panel import Panel
from tests.integration.building import ADA, BEA, CAN, DAN, SOMEBODY, TOM

pytestmark = [pytest.mark.addon, pytest.mark.integration]


def test_a_linked_conversation_says_what_and_why(desk: Desk) -> None:
    panel = desk.panel().open(desk.mail("m1", f"Bea <{BEA}>"))
    assert "Rollout" in panel.texts
    assert "Linked deal" in panel.texts
    assert "Linked: the only open item of Bea." in panel.texts
    assert f"{BEA}" in " ".join(panel.texts)
    assert "https://threadlink.test/items/person/p1" in str(panel.card)
    assert panel.verbs == ["pushCard"]


def test_a_choice_comes_with_suggestions_and_their_evidence(desk: Desk) -> None:
    panel = desk.panel().open(desk.mail("m1", f"Tom <{TOM}>", subject="The refit"))
    assert any(text.startswith("Not linked · The refit") for text in panel.texts)
    assert panel.texts.index("Refit") < panel.texts.index("Spa")
    assert "Tom is the contact person. The subject names its title." in panel.texts


MORE = "After linking these can read it too: Can, Dan."
NOBODY_MORE = "After linking nobody on the team reads more than now."
NOTE = "Everybody who sees the item in the CRM reads people, subjects and beginnings there."


def test_before_linking_it_is_said_who_can_read_it_then(desk: Desk) -> None:
    """B7: once for all suggestions, for each where they differ, and before a link is moved."""
    panel = desk.panel().open(desk.mail("m1", f"Tom <{TOM}>", subject="The refit"))
    assert (panel.texts.count(MORE), panel.texts.count(NOTE)) == (1, 1)
    desk.mail("m3", f"Tom <{TOM}>", subject="Which one")
    panel.call("review")
    assert panel.texts.count(MORE) == 1
    desk.office.rows(
        "INSERT INTO crm_user (team_id, connection_id, company, external_id, email, name, sees_everything)"
        " SELECT team_id, id, company, 'ada', :ada, 'Ada', false FROM crm_connection RETURNING 1",
        ada=ADA,
    )
    desk.office.rows("UPDATE mirror_item SET visibility = '[\"ada\"]' WHERE external_id = 'd3' RETURNING 1")
    panel.call("message")
    refit, spa = panel.texts.index("Refit"), panel.texts.index("Spa")
    assert refit < panel.texts.index(MORE) < spa < panel.texts.index(NOBODY_MORE)
    desk.mail("m2", f"Bea <{BEA}>", subject="Linked")
    conversation = desk.office.load(desk.office.conversation_of("m2")).public_id
    panel.call("ask_move", {"c": conversation, "i": "deal/d2"})
    assert {NOBODY_MORE, NOTE} <= set(panel.texts)


def test_the_cards_speak_turkish(desk: Desk) -> None:
    message_id = desk.mail("m1", f"Bea <{BEA}>")
    panel = desk.panel(locale="tr-TR").open(message_id)
    assert "Bağlı fırsat" in panel.texts
    assert "Bağlandı: Bea için tek açık öğe bu." in panel.texts
    assert "Bağlantıyı kaldır" in panel.texts


def test_what_others_write_is_shown_as_text(desk: Desk) -> None:
    wicked = '<img src="https://evil.test/x.png"> <a href="https://evil.test">Click</a> & more'
    panel = desk.panel().open(desk.mail("m1", f'"<i>Eve</i>" <{SOMEBODY}>', subject=wicked))
    told = " ".join(panel.texts)  # the validators of the panel have held every text to it
    assert "&lt;a href" in told
    assert "&lt;i&gt;Eve&lt;/i&gt;" in told
    assert "&amp; more" in told


def test_nobody_known_is_said_and_can_be_made(desk: Desk) -> None:
    panel = desk.panel().open(desk.mail("m1", f"Sam <{SOMEBODY}>"))
    assert any("belongs to a person in the CRM" in text for text in panel.texts)
    assert "Not in the CRM" in panel.texts
    assert panel.button("Create", at="Sam")[0] == "create_person"


def test_of_mail_among_colleagues_nothing_is_made(desk: Desk) -> None:
    panel = desk.panel().open(desk.mail("m1", f"Can <{CAN}>", subject="Lunch"))
    assert "Only colleagues take part." in panel.texts
    assert not {"People", "New deal"} & set(panel.texts)


def test_a_message_that_is_not_stored_is_asked_for_and_read_soon(desk: Desk) -> None:
    message_id = desk.mail("m1", f"Bea <{BEA}>", is_stored=False)
    panel = desk.panel().open(message_id)
    assert "This message is not here yet" in panel.texts
    assert "In the CRM" in panel.texts
    assert [row.queued for row in desk.office.rows("SELECT queued FROM hint WHERE queued")] == [True]
    assert desk.gmail.usage(ADA)["get"] == 1
    assert re.findall(r"/doctor\?q=[^\"]+", json.dumps(panel.widgets)) == ["/doctor?q=%3Cm1%40x.test%3E"]
    panel.press("Refresh")
    assert panel.verbs == ["updateCard"]


def test_a_stored_message_asks_gmail_nothing(desk: Desk) -> None:
    desk.gmail.addon.withheld = frozenset({OPEN_MESSAGE})
    panel = desk.panel().open(desk.mail("m1", f"Bea <{BEA}>"))
    assert "Rollout" in panel.texts
    assert desk.gmail.usage(ADA).get("get", 0) == 0


def test_a_mailbox_that_is_not_connected_says_so(desk: Desk) -> None:
    say_who(desk, DAN)
    message_id = desk.gmail.deliver(DAN, b"From: bea@acme.test\r\nMessage-ID: <x@x>\r\n\r\nHi\r\n", at=desk.office.now)
    panel = desk.panel(DAN).open(message_id)
    assert "This mailbox is not connected" in panel.texts


def test_a_mail_of_somebody_elses_mailbox_is_not_found_by_its_id(desk: Desk) -> None:
    """W11: another mailbox's id opens nothing, whoever's it is."""
    theirs = desk.mail("m1", f"Bea <{BEA}>", to=CAN)
    panel = desk.panel(ADA)
    panel.message_id = theirs
    assert "Rollout" not in str(panel.call("message"))


def test_a_header_opens_no_other_conversation(desk: Desk) -> None:
    """A Message-ID is a claim: the mail of a stranger under it is another mail."""
    desk.mail("m1", f"Bea <{BEA}>")
    raw = f"From: {SOMEBODY}\r\nTo: {ADA}\r\nSubject: Mine\r\nMessage-ID: <m1@x.test>\r\n\r\nHi\r\n".encode()
    panel = desk.panel().open(desk.gmail.deliver(ADA, raw, at=desk.office.now))
    assert "This message is not here yet" in panel.texts
    assert "Rollout" not in str(panel.answer)


def test_who_may_not_link_sees_why_and_no_button(desk: Desk) -> None:
    desk.mail("m1", f"Bea <{BEA}>")  # Ada's, and shared with whoever sees the deal
    panel = desk.panel(CAN)
    panel.call("conversation", {"c": desk.office.load(desk.office.conversation_of("m1")).public_id})
    assert "Only the conversation's owner or an administrator can link it." in panel.texts
    for label in ("Unlink", "Change", "Find"):
        with pytest.raises(LookupError):
            panel.button(label)


@pytest.mark.parametrize(("withheld", "title"), [(WHO, "Google does not tell us"), (OPEN_MESSAGE, "Allow threadlink")])
def test_a_permission_that_is_missing_is_asked_for(desk: Desk, withheld: str, title: str) -> None:
    desk.gmail.addon.withheld = frozenset({withheld})
    panel = desk.panel().open(desk.mail("m1", f"Bea <{BEA}>", is_stored=False))
    assert any(text.startswith(title) for text in panel.texts)
    assert panel.call("permit") == {"requesting_google_scopes": {"scopes": [withheld]}}
    desk.gmail.addon.withheld = frozenset()
    assert panel.call("permit")["renderActions"]["action"]["navigations"]


def test_gmail_being_away_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = desk.mail("m1", f"Bea <{BEA}>", is_stored=False)

    def away(_call: object) -> None:
        raise Unavailable

    monkeypatch.setattr(desk.installation.mail["gmail"], "read_open_message", away)
    panel = desk.panel().open(message_id)
    assert "Gmail does not answer now. Try again in a moment." in panel.texts


def test_a_crm_in_trouble_is_said(desk: Desk) -> None:
    message_id = desk.mail("m1", f"Bea <{BEA}>")
    desk.office.rows("UPDATE crm_connection SET state = 'trouble' RETURNING 1")
    assert any("CRM does not answer" in text for text in desk.panel().open(message_id).texts)
    desk.office.rows("UPDATE crm_connection SET state = 'disconnected' RETURNING 1")
    assert any("No CRM is connected" in text for text in desk.panel().open(message_id).texts)


def test_the_homepage_counts_and_leads_on(desk: Desk) -> None:
    desk.mail("m1", f"Bea <{BEA}>")
    desk.mail("m2", f"Tom <{TOM}>", subject="Which one")
    panel = desk.panel()
    panel.call("home")
    assert panel.texts.count("Conversations: 1") == 1
    assert "Which one" in panel.texts
    (row,) = [w["decoratedText"] for w in panel.widgets if w.get("decoratedText", {}).get("text") == "Which one"]
    panel.call("conversation", {each["key"]: each["value"] for each in row["onClick"]["action"]["parameters"]})
    assert "Refit" in panel.texts
    panel.call("review")
    assert {"Which one", "Refit", "None of these"} <= set(panel.texts)


def test_smart_bcc_addresses_are_shown_where_there_are_any(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = desk.mail("m1", f"Bea <{BEA}>")
    panel = desk.panel().open(message_id)
    with pytest.raises(LookupError):
        panel.button("Send mail to this item")
    assert "Smart BCC" not in settings_of(panel)
    monkeypatch.setitem(vars(desk.installation.settings), "mail_domain", "in.threadlink.test")
    with desk.installation.database.for_team(desk.office.team_id) as connection:
        item = desk.office.load(desk.office.conversation_of("m1")).primary_link
        assert item
        own, of_item = (
            smart_bcc.addresses(desk.installation, connection, desk.office.members[ADA], ref)
            for ref in (None, item.ref)
        )
    assert own.own in settings_of(panel)
    panel.open(message_id).press("Send mail to this item")
    assert {of_item.own, of_item.team} <= set(panel.texts)
    refit = desk.mail("m2", f"Tom <{TOM}>")
    panel.open(refit).call("smart_bcc", {"c": desk.office.load(desk.office.conversation_of("m2")).public_id})
    assert "@in.threadlink.test" not in str(panel.answer)  # it is linked to nothing


def settings_of(panel: Panel) -> list[str]:
    panel.call("ask_settings")
    return panel.texts


def test_items_are_found_by_their_words(desk: Desk) -> None:
    panel = desk.panel().open(desk.mail("m1", f"Sam <{SOMEBODY}>"))
    panel.press("Find", inputs={"q": ["refi"]})
    assert {"Refit", "Link"} <= set(panel.texts)
    panel.press("Find", inputs={"q": ["zzz"]})
    assert "No item has this in its title." in panel.texts


# --- who somebody is ---


def say_who(desk: Desk, address: str, email: str | None = None) -> None:
    """Follow the link of the add-on in the browser of a member, and confirm it."""
    url = invitation(desk, address)
    answer = desk.browser(email or address).post(url, headers={"Origin": "https://threadlink.test"})
    assert answer.status_code == 303, answer.get_data(as_text=True)


def invitation(desk: Desk, address: str) -> str:
    """Return the path of the link that the add-on shows a stranger."""
    panel = desk.panel(address)
    panel.call("home")
    (widget,) = [widget for widget in panel.widgets if "buttonList" in widget]
    link = widget["buttonList"]["buttons"][0]["onClick"]["openLink"]
    assert (link["openAs"], link["onClose"]) == ("OVERLAY", "RELOAD")
    return str(link["url"]).removeprefix("https://threadlink.test")


def test_a_stranger_is_asked_who_it_is_and_known_after(desk: Desk) -> None:
    url = invitation(desk, DAN)
    assert "Sign in first" in desk.app.test_client().get(url).get_data(as_text=True)
    browser = desk.browser(DAN)
    assert f"The Gmail add-on in {DAN} will act for you: Dan" in browser.get(url).get_data(as_text=True)
    assert (
        desk.panel(DAN).call("home")["action"]["navigations"][0]["pushCard"]["name"] == "connect"
    )  # a GET changes nothing
    assert browser.post(url, headers={"Origin": "https://elsewhere.test"}).status_code == 403
    assert browser.post(url, headers={"Origin": "https://threadlink.test"}).status_code == 303
    assert "Connect this mailbox" in browser.get(url).get_data(as_text=True)
    panel = desk.panel(DAN)
    assert panel.call("home")["action"]["navigations"][0]["pushCard"]["name"] == "home"
    assert browser.post(url, headers={"Origin": "https://threadlink.test"}).status_code == 404  # once
    connecting = browser.post(f"{url}/mailbox", headers={"Origin": "https://threadlink.test"})
    assert "/connect/" in connecting.location
    panel.call("ask_settings")
    panel.press("Disconnect this add-on")
    assert panel.card["name"] == "connect"


def test_a_link_is_good_for_ten_minutes_and_for_ones_own_mailbox(desk: Desk) -> None:
    url = invitation(desk, DAN)
    ada = desk.browser(ADA)
    assert ada.post(url, headers={"Origin": "https://threadlink.test"}).status_code == 409  # Dan's, not Ada's
    strange = invitation(desk, "eve@elsewhere.test")
    assert ada.post(strange, headers={"Origin": "https://threadlink.test"}).status_code == 409
    desk.office.clock.step(minutes=11)
    assert desk.browser(DAN).get(url).status_code == 404
    assert ada.get("/gmail/connect/forged").status_code == 404


def issuer_of(name: str) -> str:
    """Return what an identity is stored under: signing in and the add-ons must call the issuer the same."""
    settings = Settings(google_client_id="g", microsoft_client_id="m", _env_file=None)  # type: ignore[call-arg]  # pydantic's own
    return sign_in_issuers(settings, SteppedClock())[name].issuer.name


def test_who_signs_in_with_that_google_account_is_known(desk: Desk) -> None:
    invitation(desk, DAN)  # a stranger so far
    desk.office.rows(
        "INSERT INTO member_identity (team_id, member_id, issuer, subject, bound_at)"
        " VALUES (:team, :member, :issuer, :user, now()) RETURNING 1",
        issuer=issuer_of("google"),
        team=desk.office.team_id,
        member=desk.office.members[DAN].id,
        user=desk.user_id(DAN),
    )
    assert desk.panel(DAN).call("home")["action"]["navigations"][0]["pushCard"]["name"] == "home"


def test_a_removed_member_is_a_stranger(desk: Desk) -> None:
    """T13."""
    panel = desk.panel()
    assert panel.call("home")["action"]["navigations"][0]["pushCard"]["name"] == "home"
    desk.office.rows("UPDATE member SET removed_at = now() WHERE email = :email RETURNING 1", email=ADA)
    assert panel.call("home")["action"]["navigations"][0]["pushCard"]["name"] == "connect"


def test_a_mailbox_of_two_teams_is_asked_which(desk: Desk) -> None:
    with desk.installation.database.without_team() as connection:
        from app.store import lookups

        other = lookups.add_team(connection, "Other")
    with desk.installation.database.for_team(other) as connection:
        from app.ports import ConnectedMailbox
        from app.store import accounts, teams

        owner = teams.add_member(connection, other, "Ada", ADA)
        connected = ConnectedMailbox(ADA, desk.user_id(ADA), ADA, {})
        accounts.add(
            connection, other, "gmail", "personal", connected, owner_id=owner, auto_link=True, history_from=None,
            now=desk.office.now,
        )  # fmt: skip
    assert desk.panel().call("home")["action"]["navigations"][0]["pushCard"]["name"] == "connect"
    say_who(desk, ADA)
    assert desk.panel().call("home")["action"]["navigations"][0]["pushCard"]["name"] == "home"


def test_calls_that_do_not_prove_themselves_are_answered_401(desk: Desk) -> None:
    desk.mail("m1", f"Bea <{BEA}>")
    panel = desk.panel()
    assert panel.raw("message", aud="https://threadlink.test/gmail/home") == 401
    assert panel.raw("message", email="service-9@gcp-sa-gsuiteaddons.iam.gserviceaccount.test") == 401
    assert panel.raw("nothing") == 404
    assert desk.app.test_client().post("/gmail/home", data=b"{}").status_code == 401
    desk.gmail.fault("certs_down", count=-1)
    assert desk.panel().raw("home") == 503
