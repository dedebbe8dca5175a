"""Folding for search, and suggestions: what is ranked first, and that everything ranked says why."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.linking.reasons import sentence
from app.linking.suggest import MAX_FOLDED_CHARS, SuggestInput, Suggestion, fold, suggest
from app.model import Item, ItemRef, RememberedChoice
from tests.unit.linking.building import CAN, IN_FEBRUARY, item, person, ref, tombstone

BEA_PERSON = person()


def names(suggestions: tuple[Suggestion, ...]) -> list[str]:
    return [str(suggestion.ref) for suggestion in suggestions]


def codes(suggestion: Suggestion) -> list[str]:
    return [evidence.code for evidence in suggestion.evidence]


def suggested(*items: Item, subject: str = "Hello", **more: object) -> tuple[Suggestion, ...]:
    return suggest(SuggestInput(subject, items, **{"persons": (BEA_PERSON,), **more}))


# --- folding ---


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("isik", "isik"),
        ("IŞIK", "isik"),
        ("ışık", "isik"),
        ("Işık", "isik"),
        ("İSTANBUL", "istanbul"),
        ("I\u0307stanbul", "istanbul"),
        ("Çağrı Ünlü Öğüt", "cagri unlu ogut"),
        ("Straße", "strasse"),
        ("ẞ", "ss"),
        ("SØREN Ærø", "soren aero"),
        ("Łódź", "lodz"),
        ("Đorđe", "dorde"),
        ("Œuvre", "oeuvre"),
        ("Þór", "thor"),
        ("Ελλάδα", "ελλαδα"),
        ("ｗｉｄｅ  ﬁne\t℡", "wide fine tel"),
        ("", ""),
    ],
)
def test_case_marks_and_width_are_folded(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_marks_that_other_scripts_need_stay() -> None:
    assert fold("が") != fold("か")
    assert fold("कि") != fold("क")


@given(st.text(max_size=40))
@example("ǰ\u0345")
@example("\u0130\u0131")
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(alphabet="ıIiİşŞçÇğĞöÖüÜâÂéÉñ aAzZ", max_size=30))
def test_upper_lower_composed_and_decomposed_are_one(text: str) -> None:
    assert fold(text.upper()) == fold(text) == fold(unicodedata.normalize("NFD", text))


@pytest.mark.parametrize("letter", ["x", "ﷺ"])
def test_what_is_folded_is_bounded(letter: str) -> None:
    assert MAX_FOLDED_CHARS - 1 <= len(fold(letter * 5000)) <= MAX_FOLDED_CHARS
    assert fold(fold(letter * 5000)) == fold(letter * 5000)


# --- what is suggested ---


def test_an_item_that_nothing_speaks_for_is_not_suggested() -> None:
    assert suggested(item(of="p9")) == ()


@pytest.mark.parametrize("state", ["deleted", "converted"])
def test_what_cannot_be_linked_or_lives_on_elsewhere_is_not_suggested(state: str) -> None:
    assert suggested(item(state=state)) == ()


def test_items_of_a_counterpart_say_whether_as_contact_person_or_participant() -> None:
    found = suggested(item(), item("deal/d2", of=None, participants=["p1"]))
    assert {str(one.ref): codes(one)[0] for one in found} == {"deal/d1": "main_contact", "deal/d2": "participant"}


def test_an_item_of_the_organization_is_suggested_with_its_name() -> None:
    (found,) = suggested(item(of="p9", organization="o1"))
    assert codes(found) == ["organization_item", "recent_activity"]
    assert found.evidence[0].params == {"organization": "Acme"}


def test_an_item_without_an_organization_is_not_that_of_a_person_without_one() -> None:
    assert suggested(item(of="p9"), persons=(person(organization=None),)) == ()


def test_a_person_whom_only_reply_to_names_leads_to_the_item() -> None:
    (found,) = suggested(item(), persons=(), reply_to=(BEA_PERSON,))
    assert sentence(found.evidence[0].code, found.evidence[0].params) == "Replies go to Bea."


def test_an_address_with_another_tag_is_evidence_only() -> None:
    (found,) = suggested(item(), persons=(), similar=(BEA_PERSON,))
    assert codes(found)[0] == "similar_address"


def test_a_person_is_named_once_as_the_nearest_relation() -> None:
    (found,) = suggested(item(), reply_to=(BEA_PERSON,), similar=(BEA_PERSON,))
    assert codes(found) == ["main_contact", "recent_activity"]


def test_a_person_without_name_is_called_by_the_address() -> None:
    (found,) = suggested(item(), persons=(person(name=""),))
    assert found.evidence[0].params["person"] == "bea@acme.test"


@pytest.mark.parametrize("subject", ["Re: [#42] printer", "about #42", "RE: #42."])
def test_a_number_behind_a_sign_names_the_item(subject: str) -> None:
    (found,) = suggested(item("deal/42", of=None), subject=subject)
    assert "number_in_subject" in codes(found)


def test_a_long_number_needs_no_sign() -> None:
    (found,) = suggested(item("deal/40217", of=None), subject="Order 40217 is late")
    assert found.evidence[0].params == {"number": "40217"}


@pytest.mark.parametrize("subject", ["Top 42 offers", "142 #4", "see #d"])
def test_a_short_number_or_part_of_one_names_nothing(subject: str) -> None:
    assert suggested(item("deal/42", of=None), item("deal/d", of=None), subject=subject) == ()


def test_a_whole_title_in_the_subject_names_the_item_whatever_its_case_and_marks() -> None:
    (found,) = suggested(item(of=None, title="Işık Projesi"), subject="Ynt: ISIK PROJESİ - yeni fiyat")
    assert codes(found) == ["title_in_subject", "recent_activity"]


@pytest.mark.parametrize("title", ["Invoice", "IT", "", "!!"])
def test_a_title_that_says_little_names_nothing(title: str) -> None:
    assert suggested(item(of=None, title=title), subject=f"Re: {title} for IT") == ()


def test_shared_words_are_shown_as_the_title_writes_them() -> None:
    (found,) = suggested(item(of=None, title="Işık Rollout for Köln"), subject="koln: the isik question, for you")
    assert found.evidence[0].params == {"words": ["Işık", "Köln"]}


def test_a_decomposed_title_shares_whole_words() -> None:
    title = unicodedata.normalize("NFD", "Köln Rollout")
    (found,) = suggested(item(of=None, title=title), subject="Köln")
    assert found.evidence[0].params == {"words": ["Köln"]}


def test_what_the_same_people_did_before_speaks_for_an_item() -> None:
    (found,) = suggested(
        item(of=None), remembered=(RememberedChoice(ref("deal/d1"), 2),), same_people={ref("deal/d1"): 4}
    )
    assert [(one.code, one.params["n"]) for one in found.evidence[:2]] == [("chosen_before", 2), ("same_people", 4)]


def test_a_choice_for_another_item_says_nothing() -> None:
    assert suggested(item(of=None), remembered=(RememberedChoice(ref("deal/d9"), 2),)) == ()


# --- the order ---


def test_the_kinds_of_evidence_weigh_in_their_order() -> None:
    found = suggested(
        item("deal/d6", of=None),
        item("deal/d5", of=None, title="Turbine service"),
        item("deal/d4", of=None, title="Turbine hall"),
        item("deal/d3", of=None, organization="o1"),
        item("deal/d2", of="p2"),
        item("deal/d1"),
        subject="The turbine hall leaks",
        reply_to=(person("p2", CAN, name="Can"),),
        same_people={ref("deal/d6"): 9},
    )
    assert names(found) == ["deal/d1", "deal/d2", "deal/d3", "deal/d4", "deal/d5", "deal/d6"]


def test_among_items_of_one_person_the_subject_decides() -> None:
    found = suggested(item("deal/d1"), item("deal/d2", title="Solar roof"), subject="Solar roof: prices")
    assert names(found)[0] == "deal/d2"


def test_open_items_come_before_closed_ones_which_are_marked() -> None:
    found = suggested(item("deal/d1", state="won"), item("deal/d2", of=None, organization="o1"))
    assert [(str(one.ref), one.state) for one in found] == [("deal/d2", "open"), ("deal/d1", "won")]


def test_an_item_taken_off_the_conversation_comes_last_and_says_so() -> None:
    found = suggested(item("deal/d1"), item("deal/d2", state="lost"), tombstones=(tombstone("deal/d1"),))
    assert names(found) == ["deal/d2", "deal/d1"]
    assert "unlinked_before" in codes(found[1])


def test_recent_activity_decides_between_equals() -> None:
    later = IN_FEBRUARY + timedelta(days=3)
    found = suggested(item("deal/d1"), item("deal/d2", updated_at=later))
    assert names(found) == ["deal/d2", "deal/d1"]
    assert found[0].evidence[-1].params == {"date": later.isoformat()}


def test_no_more_than_asked_for_and_each_once() -> None:
    items = tuple(item(f"deal/d{number}") for number in range(30))
    assert len(suggest(SuggestInput("Hello", items * 2, persons=(BEA_PERSON,)), limit=5)) == 5
    assert len(names(suggested(item(), item()))) == 1


TITLES = ("Solar roof", "Roof", "Turbine hall", "Invoice", "")


@st.composite
def suggest_inputs(draw: st.DrawFn) -> SuggestInput:
    items = [
        item(
            f"deal/{number}",
            of=draw(st.sampled_from((None, "p1", "p2"))),
            organization=draw(st.sampled_from((None, "o1"))),
            title=draw(st.sampled_from(TITLES)),
            state=draw(st.sampled_from(("open", "won", "deleted"))),
        )
        for number in range(8)
    ]
    past: dict[ItemRef, int] = {ref(f"deal/{number}"): draw(st.integers(0, 2)) for number in range(3)}
    people = (BEA_PERSON, person("p2", CAN))[: draw(st.integers(0, 2))]
    return SuggestInput(draw(st.sampled_from(TITLES)) + " #3", tuple(items), persons=people, same_people=past)


@given(suggest_inputs(), st.randoms())
def test_the_order_of_what_is_given_never_matters(case: SuggestInput, chance: Random) -> None:
    mixed = SuggestInput(
        case.subject,
        tuple(chance.sample(case.items, len(case.items))),
        persons=tuple(chance.sample(case.persons, len(case.persons))),
        same_people=case.same_people,
    )
    assert suggest(mixed) == suggest(case)


@given(suggest_inputs())
def test_every_suggestion_has_evidence_beyond_its_date(case: SuggestInput) -> None:
    for suggestion in suggest(case):
        assert set(codes(suggestion)) - {"recent_activity"}
        assert all(sentence(one.code, one.params, "tr").endswith(".") for one in suggestion.evidence)
