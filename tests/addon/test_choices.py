"""What is chosen on the cards: each choice counts once, is judged by the member's rights, and shows what it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from app.errors import Unavailable
from tests.addon.conftest import Desk
from tests.addon.panel import Panel
from tests.integration.building import ADA, BEA, CAN, SOMEBODY, TOM

pytestmark = [pytest.mark.addon, pytest.mark.integration]


def linked(desk: Desk, key: str = "m1") -> str | None:
    return desk.office.linked(desk.office.conversation_of(key))


def opened(desk: Desk, sender: str = f"Tom <{TOM}>", subject: str = "The refit") -> Panel:
    return desk.panel().open(desk.mail("m1", sender, subject=subject))


def made(desk: Desk, action: str) -> int:
    return len(desk.office.rows("SELECT 1 FROM audit WHERE action = :action", action=action))


def test_two_taps_link_and_the_link_is_told(desk: Desk) -> None:
    panel = opened(desk).press("Link", at="Spa")
    assert linked(desk) == "deal/d3"
    assert (panel.said, panel.verbs) == ("Linked.", ["updateCard"])
    assert panel.answer["stateChanged"] is True
    assert "Linked deal" in panel.texts
    assert any(text.startswith("by Ada, ") for text in panel.texts)
    assert desk.office.wanted(desk.office.conversation_of("m1"))["deal/d3"] == 1


def test_a_choice_counts_once(desk: Desk) -> None:
    """W11: the same request again, also with another item in it, changes nothing."""
    panel = opened(desk)
    function, parameters = panel.button("Link", at="Spa")
    panel.call(function, parameters)
    panel.call(function, parameters)
    assert panel.said == "That was done already."
    panel.call(function, {**parameters, "i": "deal/d2", "m": "1"})
    assert (linked(desk), made(desk, "link")) == ("deal/d3", 1)


def test_a_choice_is_good_for_ten_minutes_for_its_conversation_and_its_member(desk: Desk) -> None:
    panel = opened(desk)
    function, parameters = panel.button("Link", at="Spa")
    other = desk.panel()
    other.call("conversation", {"c": conversation(desk, desk.mail("m2", f"Sam <{SOMEBODY}>"), "m2")})
    for wrong in (
        {**parameters, "n": ""},
        {**parameters, "n": parameters["n"][:-4] + "AAA="},
        {**parameters, "n": "ş"},
        {**parameters, "c": conversation(desk, "", "m2")},
        {**parameters, "n": "x" * 3_000},
    ):
        panel.call(function, wrong)
        assert panel.said == "This was open for too long. Look again, then choose."
    panel.of(CAN).call(function, parameters)
    desk.office.clock.step(minutes=11)
    panel.call(function, parameters)
    assert (panel.said, linked(desk), linked(desk, "m2")) == (
        "This was open for too long. Look again, then choose.", None, None,
    )  # fmt: skip


def conversation(desk: Desk, _message: str, key: str) -> str:
    return desk.office.load(desk.office.conversation_of(key)).public_id


def test_somebody_elses_conversation_is_not_there(desk: Desk) -> None:
    desk.mail("m1", f"Tom <{TOM}>")
    hidden = conversation(desk, "", "m1")
    panel = desk.panel(CAN)
    for function in ("conversation", "search", "ask_unlink", "ask_move", "ask_create"):
        panel.call(function, {"c": hidden, "k": "deal", "i": "deal/d2"})
        assert panel.said == "There is nothing here that you may see.", function
    for forged in ("", "x", "00000000-0000-4000-8000-000000000000"):
        panel.call("conversation", {"c": forged})
        assert panel.said == "There is nothing here that you may see."


def test_unlinking_asks_first(desk: Desk) -> None:
    panel = opened(desk, f"Bea <{BEA}>", "Prices").press("Unlink")
    assert panel.verbs == ["pushCard"]
    assert "Take the link to “Rollout” off this conversation?" in panel.texts
    panel_kept = desk.panel()
    panel_kept.call("back")
    assert panel_kept.verbs == ["pop"]
    assert linked(desk) == "deal/d1"
    panel.press("Unlink")
    assert (linked(desk), panel.said, panel.verbs) == (None, "Unlinked.", ["pop", "updateCard"])
    assert desk.office.tombstones(desk.office.conversation_of("m1")) == ["deal/d1"]


def test_a_link_is_moved_after_a_question_that_names_both(desk: Desk) -> None:
    """T7, from the suggestions' place and from a search, which lies a card higher."""
    panel = opened(desk, f"Bea <{BEA}>", "Prices").press("Find", inputs={"q": ["refit"]}).press("Change", at="Refit")
    assert any("“Rollout”" in text and "“Refit”" in text for text in panel.texts)
    panel.press("Move here")
    assert (linked(desk), panel.verbs) == ("deal/d2", ["pop", "pop", "updateCard"])


def test_a_card_that_is_out_of_date_moves_nothing(desk: Desk) -> None:
    panel = opened(desk)
    function, parameters = panel.button("Link", at="Spa")
    desk.office.link(ADA, desk.office.conversation_of("m1"), desk.office.ref("deal", "d2"))
    panel.call(function, parameters)
    assert panel.said.startswith("The conversation is already linked to “Refit”.")
    assert linked(desk) == "deal/d2"


def test_the_review_queue_is_worked_off(desk: Desk) -> None:
    desk.mail("m1", f"Tom <{TOM}>", subject="One")
    desk.mail("m2", f"Tom <{TOM}>", subject="Two")
    panel = desk.panel()
    panel.call("review")
    panel.press("None of these")
    assert (panel.said, panel.verbs) == ("Taken out of the list.", ["updateCard"])
    panel.press("Link", at="Refit")
    assert panel.card["name"] == "review"
    assert "Nothing needs a choice." in panel.texts
    assert [linked(desk, key) for key in ("m1", "m2")].count("deal/d2") == 1


def test_a_person_is_made_once(desk: Desk) -> None:
    panel = opened(desk, f"Sam Ünal <{SOMEBODY}>", "Hello")
    function, parameters = panel.button("Create", at="Sam")
    panel.call(function, parameters)
    assert panel.said == f"{SOMEBODY} is in the CRM now."
    assert "In the CRM" in panel.texts
    panel.call(function, parameters)
    assert panel.said == "That was done already."
    (person,) = desk.office.crm.people_by_address([SOMEBODY])
    assert person.name == "Sam Ünal"
    panel.call(function, {**parameters, "a": "nobody@of.here", "n": fresh(panel)})
    assert panel.said == "There is nothing here that you may see."


def fresh(panel: Panel) -> str:
    panel.call("refresh")
    return panel.button("Not about any item")[1]["n"]


def test_an_item_is_made_of_the_mail_and_linked(desk: Desk) -> None:
    panel = opened(desk, f"Sam <{SOMEBODY}>", "A new kitchen").press("New lead")
    title = next(widget["textInput"] for widget in panel.widgets if "textInput" in widget)
    assert title["value"] == "A new kitchen"
    fields: dict[str, Sequence[str]] = {"title": ["Kitchen <b>"], "person": [SOMEBODY]}
    function, parameters = panel.button("Create and link")
    panel.call(function, parameters, fields)
    assert (panel.said, panel.verbs) == ("Created and linked.", ["pop", "updateCard"])
    panel.call(function, parameters, fields)
    assert panel.said == "That was done already."
    (person,) = desk.office.crm.people_by_address([SOMEBODY])
    (item,) = desk.office.crm.items_of_people([person.ref])
    assert (item.title, item.ref.kind, linked(desk)) == ("Kitchen <b>", "lead", str(item.ref))
    assert "Kitchen &lt;b&gt;" in panel.texts


def test_a_crm_that_does_not_answer_makes_nothing_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = opened(desk, f"Sam <{SOMEBODY}>", "Hello")

    def away(*_: object, **__: object) -> Any:
        raise Unavailable

    monkeypatch.setattr(desk.office.crm, "create_person", away)
    panel.press("Create", at="Sam")
    assert "CRM" in panel.said
    assert "navigations" not in panel.answer["renderActions"]["action"]


def test_who_clicks_without_end_is_asked_to_wait(desk: Desk) -> None:
    """W16: choices and searches count like those on the pages; looking does not."""
    panel = opened(desk, f"Sam <{SOMEBODY}>", "Hello")
    function, parameters = panel.button("Not about any item")
    most = desk.installation.settings.limit_writes
    said = [panel.call(function, parameters) and panel.said for _ in range(most + 1)]
    assert said[:2] == ["Taken out of the list.", "That was done already."]
    assert said[-1] not in said[:2]
    panel.call("search", {"c": parameters["c"]}, {"q": ["refit"]})
    assert panel.said == said[-1]
    panel.call("refresh")
    assert panel.card["name"] == "conversation"


def test_switches_are_the_owners(desk: Desk) -> None:
    panel = desk.panel()
    panel.call("ask_settings")
    assert panel.texts.count(ADA) == 1
    assert CAN not in panel.texts
    mine = desk.office.accounts[ADA].public_id
    panel.call("set_auto_link", {"a": mine}, {"auto_link": []})
    assert panel.said == "Automatic linking is off."
    panel.call("set_auto_link", {"a": mine}, {"auto_link": ["on"]})
    assert panel.said == "Automatic linking is on for new mail."
    for wrong in (desk.office.accounts[CAN].public_id, "", "x"):
        panel.call("set_auto_link", {"a": wrong}, {"auto_link": ["on"]})
        panel.call("set_visibility", {"a": wrong}, {"visibility": ["full"]})
        assert panel.said == "There is nothing here that you may see."
    panel.call("set_visibility", {"a": mine}, {"visibility": ["everything"]})
    assert "navigations" not in panel.answer["renderActions"]["action"]


def test_a_narrower_visibility_reaches_the_notes(desk: Desk) -> None:
    desk.mail("m1", f"Bea <{BEA}>")
    before = desk.office.wanted(desk.office.conversation_of("m1"))["deal/d1"]
    panel = desk.panel()
    panel.call("set_visibility", {"a": desk.office.accounts[ADA].public_id}, {"visibility": ["private"]})
    assert panel.said == "Saved. Notes in the CRM follow."
    assert desk.office.wanted(desk.office.conversation_of("m1"))["deal/d1"] == before + 1
    panel.of(CAN).call("conversation", {"c": conversation(desk, "", "m1")})
