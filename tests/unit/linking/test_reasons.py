"""The sentences people read: complete in both languages, never a code, never a broken sentence."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import app
from app.linking import wording
from app.linking.reasons import (
    REASONS,
    action_for,
    action_label,
    day,
    kind_word,
    moment,
    outcome_word,
    sentence,
    state_word,
    utc,
)
from app.linking.refusals import REFUSALS
from app.linking.wording import ACTIONS, Text
from app.model import ItemState, Outcome, RecordKind

GROUPS = (wording.DECISIONS, wording.REVIEWS, REFUSALS, wording.NOTICES, wording.EVIDENCE)
EVERY_TEXT = [
    *REASONS.values(),
    *ACTIONS.values(),
    *wording.OUTCOMES.values(),
    *wording.STATES.values(),
    *wording.KINDS.values(),
    *wording.MISSING.values(),
    wording.MISSING_OTHERWISE,
    wording.UNKNOWN,
]
CODES = sorted(REASONS)
LOCALES = ("en", "tr")


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


# --- the texts of wording.md, word for word ---

FULL = {
    "person": "Bea",
    "n": 3,
    "item": "Rollout",
    "state": "won",
    "account": "ada@northwind.test",
    "member": "Ada",
    "date": "2026-03-02T14:05:00+00:00",
}


@pytest.mark.parametrize(
    ("code", "english", "turkish"),
    [
        ("only_open_item", "Linked: the only open item of Bea.", "Bağlandı: Bea için tek açık öğe bu."),
        ("several_open_items", "Bea has 3 open items. Choose one.", "Bea için 3 açık öğe var. Birini seçin."),
        (
            "item_closed",
            "Rollout is won; only open items are linked automatically.",
            "Rollout kazanıldı; yalnızca açık öğeler otomatik bağlanır.",
        ),
        (
            "no_open_item",
            "Bea has no open deal, lead or project.",
            "Bea için açık fırsat, potansiyel müşteri veya proje yok.",
        ),
        ("no_open_item_group", "None of the 3 recipients has an open item.", "3 alıcının hiçbirinin açık öğesi yok."),
        (
            "item_newer_than_message",
            "Rollout was created after this e-mail; e-mail is not linked retroactively.",
            "Rollout bu e-postadan sonra oluşturuldu; e-postalar geriye dönük olarak bağlanmaz.",
        ),
        (
            "no_known_person",
            "None of these addresses belongs to a person in the CRM.",
            "Yazışmadaki adreslerden hiçbiri CRM'de kişi olarak kayıtlı değil.",
        ),
        (
            "auto_link_off",
            "Automatic linking is off for ada@northwind.test.",
            "ada@northwind.test hesabı için otomatik bağlama kapalı.",
        ),
        ("internal_only", "Only colleagues take part.", "Yalnızca ekip içi yazışma."),
        (
            "unlinked_by_person",
            "Ada removed the link to Rollout on 2 March 2026.",
            "Ada, 2 Mart 2026 tarihinde Rollout bağlantısını kaldırdı.",
        ),
        (
            "not_owner",
            "Only the conversation's owner or an administrator can link it.",
            "Bu konuşmayı yalnızca sahibi veya bir yönetici bağlayabilir.",
        ),
    ],
)
def test_the_given_sentences_stand_word_for_word(code: str, english: str, turkish: str) -> None:
    assert (sentence(code, FULL), sentence(code, FULL, "tr")) == (english, turkish)


# --- what holds for every text ---


def test_no_code_has_two_sentences() -> None:
    assert sum(len(group) for group in GROUPS) == len(REASONS)


@pytest.mark.parametrize("text", EVERY_TEXT, ids=lambda text: text.en[:30])
def test_every_text_is_there_in_both_languages(text: Text) -> None:
    assert text.en
    assert text.tr
    assert text.en != text.tr


@pytest.mark.parametrize("code", CODES)
def test_no_sentence_shows_a_code_or_the_name_of_an_outcome(code: str) -> None:
    for locale in LOCALES:
        said = sentence(code, FULL, locale)
        assert not set(re.findall(r"[a-z]+(?:_[a-z]+)+", said))
        assert not {"ambiguous", "none", "keep"} & set(re.findall(r"[a-z]+", said))


@pytest.mark.parametrize("code", CODES)
def test_no_case_suffix_stands_on_a_variable(code: str) -> None:
    assert not re.search(r"\}[’'`]?\w", REASONS[code].tr)
    assert not re.search(r"\}”[’'`]?\w", REASONS[code].tr)


@pytest.mark.parametrize("code", CODES)
def test_titles_are_quoted_with_curly_quotes(code: str) -> None:
    for template in (REASONS[code].en, REASONS[code].tr):
        assert '"' not in template
        assert template.count("“") == template.count("”")


@pytest.mark.parametrize("code", CODES)
def test_both_languages_are_filled_from_the_same_params(code: str) -> None:
    text = REASONS[code]
    kinds = {"kind", "to_kind", "of_kind"}
    english, turkish = placeholders(text.en), placeholders(text.tr)
    assert turkish - kinds <= english
    assert placeholders(text.en_many) in (set(), english)


@pytest.mark.parametrize("code", CODES)
def test_the_action_of_a_reason_has_a_button(code: str) -> None:
    action = action_for(code)
    assert action is None or action_label(action) != action_label(action, "tr")


def test_every_action_is_offered_by_some_reason() -> None:
    assert {text.action for text in REASONS.values()} - {None} == set(ACTIONS)


def test_every_outcome_state_and_kind_has_words() -> None:
    assert set(wording.OUTCOMES) == set(get_args(Outcome))
    assert set(wording.STATES) == set(get_args(ItemState))
    assert set(get_args(RecordKind)) < set(wording.KINDS)
    assert set(wording.TURKISH_CASES) == set(wording.KINDS)


def test_every_refusal_in_the_code_has_a_sentence() -> None:
    raised = re.compile(r"(?:NotAllowed|NotFound|Conflict)\(\s*\"([a-z_]+)\"")
    refusals = {code for path in Path(app.__file__).parent.rglob("*.py") for code in raised.findall(path.read_text())}
    assert "not_owner" in refusals
    assert refusals <= set(REASONS)


# --- filling them in ---


def test_turkish_gives_the_case_to_the_kind_noun() -> None:
    said = [sentence("linked", {"item": "Işık", "kind": kind}, "tr") for kind in ("deal", "lead", "project")]
    assert said == [
        "“Işık” fırsatına bağlandı.",
        "“Işık” potansiyel müşterisine bağlandı.",
        "“Işık” projesine bağlandı.",
    ]
    assert sentence("unlinked", {"item": "Işık", "kind": "lead"}, "tr").startswith("“Işık” potansiyel müşterisinin ")


def test_an_item_of_no_known_kind_is_an_item() -> None:
    assert sentence("linked", {"item": "X"}) == "Linked to the item “X”."
    assert sentence("linked", {"item": "X", "kind": "ticket"}, "tr") == "“X” öğesine bağlandı."


def test_lists_are_said_as_people_say_them() -> None:
    def said(names: list[str], locale: str = "en") -> str:
        return sentence("only_open_item", {"person": names}, locale)

    assert said(["Bea"]) == "Linked: the only open item of Bea."
    assert said(["Bea", "Can"]) == "Linked: the only open item of Bea and Can."
    assert said(["Bea", "Can", "Eve"]) == "Linked: the only open item of Bea, Can and Eve."
    assert said(["Bea", "Can", "Eve", "Dan", "Fay"]) == "Linked: the only open item of Bea, Can, Eve and 2 more."
    assert said(["Bea", "Can", "Eve", "Dan"], "tr") == "Bağlandı: Bea, Can, Eve ve 1 diğeri için tek açık öğe bu."


def test_several_people_take_the_plural_in_english_and_none_in_turkish() -> None:
    params = {"person": ("Bea", "Can"), "n": 1234}
    assert sentence("several_open_items", params) == "Bea and Can have 1,234 open items. Choose one."
    assert sentence("several_open_items", params, "tr") == "Bea ve Can için 1.234 açık öğe var. Birini seçin."
    assert sentence("several_open_items", {"person": ["Bea"], "n": 2}) == "Bea has 2 open items. Choose one."


def test_dates_are_written_in_the_readers_language() -> None:
    assert day("2026-03-02") == "2 March 2026"
    assert day(date(2026, 12, 31), "tr") == "31 Aralık 2026"
    assert day("soon", "tr") == "soon"


def test_a_time_for_programs_is_utc() -> None:
    assert utc(datetime.fromisoformat("2026-03-02T17:05:00+03:00")) == "2026-03-02T14:05:00Z"


def test_times_are_24_hours() -> None:
    afternoon = datetime(2026, 3, 2, 14, 5, tzinfo=UTC)
    assert moment(afternoon) == "2 March 2026, 14:05"
    assert moment(afternoon.isoformat(), "tr-TR") == "2 Mart 2026 14:05"
    assert moment("2026-03-02") == "2 March 2026"
    assert sentence("note_waits", {"at": afternoon}).endswith("until 2 March 2026, 14:05.")


def test_words_for_states_kinds_and_outcomes() -> None:
    assert (state_word("won", "tr"), state_word("on hold")) == ("kazanıldı", "on hold")
    assert (kind_word("lead", "tr"), kind_word("ticket")) == ("potansiyel müşteri", "item")
    assert (outcome_word("ambiguous"), outcome_word("none", "tr")) == ("choose", "bağlı değil")


def test_an_unknown_code_gives_a_plain_sentence() -> None:
    assert sentence("no_such_code") == wording.UNKNOWN.en
    assert sentence("no_such_code", {}, "tr_TR") == wording.UNKNOWN.tr
    assert action_for("no_such_code") is None


@pytest.mark.parametrize("code", CODES)
def test_missing_params_leave_a_whole_sentence(code: str) -> None:
    for locale in LOCALES:
        said = sentence(code, {}, locale)
        assert said.endswith(".")
        assert "{" not in said
        assert "“”" not in said
        assert "None" not in said.removeprefix("None of the")


def test_a_param_that_looks_like_a_template_stays_text() -> None:
    assert sentence("linked", {"item": "{member.__class__} %s", "kind": "deal"}) == (
        "Linked to the deal “{member.__class__} %s”."
    )


@given(st.sampled_from([*CODES, "?"]), st.dictionaries(st.sampled_from([*FULL, "kind", "at"]), st.from_type(object)))
def test_no_params_break_a_sentence(code: str, params: dict[str, object]) -> None:
    assert sentence(code, params, "tr")
