"""Letters say everything in both languages, and something for whatever can be wrong."""

from __future__ import annotations

from string import Formatter

from app.doctor import STATES
from app.notice_wording import EN, TR, words
from app.notices import _CHOSEN
from app.outgoing_webhooks import OFF


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts_with_the_same_fields() -> None:
    assert {key: fields(text) for key, text in EN.items()} == {key: fields(text) for key, text in TR.items()}
    assert [key for key in EN if EN[key] == TR[key]] == []


def test_each_state_that_is_told_of_has_words() -> None:
    assert {f"notice_{state}" for state in STATES.keys() - _CHOSEN} <= EN.keys()
    assert {f"webhook_off_{reason}" for reason in OFF} <= EN.keys()
    assert words("xx") is EN
