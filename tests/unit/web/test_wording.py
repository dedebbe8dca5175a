"""The pages say everything in both languages."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from app.errors import ThreadlinkError
from app.web.application import ANSWERS
from app.web.wording import AREAS, LOCALES, provider_name, words

TEMPLATES = Path(__file__).parents[3] / "app" / "web" / "templates"


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts_with_the_same_fields() -> None:
    english, turkish = (words(locale) for locale in LOCALES)
    assert english.keys() == turkish.keys()
    assert {key: fields(text) for key, text in english.items()} == {key: fields(turkish[key]) for key in turkish}


def test_a_text_stands_in_one_area() -> None:
    keys = [key for area in AREAS for key in area.EN]
    assert len(keys) == len(set(keys))


def test_no_text_is_left_in_english() -> None:
    english, turkish = (words(locale) for locale in LOCALES)
    assert [key for key in english if english[key] == turkish[key]] == []


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.stem)
def test_a_template_uses_texts_that_are_there(template: Path) -> None:
    used = set(re.findall(r"\btext\.(\w+)", template.read_text("utf-8")))
    assert used <= words("en").keys()


@pytest.mark.parametrize(("error", "reason"), [(kind, reason) for kind, _, reason in ANSWERS if reason])
def test_an_error_that_is_answered_has_words(error: type[ThreadlinkError], reason: str) -> None:
    assert f"problem_{reason}" in words("en"), error


def test_an_unknown_locale_reads_english_and_a_plug_in_goes_by_its_own_name() -> None:
    assert words("xx") is words("en")
    assert (provider_name("gmail"), provider_name("acme")) == ("Google", "acme")
