"""Text of a CRM: what is searched by, and what is fit to show."""

from __future__ import annotations

import pytest

from connectors.crm import words


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Işık", "isik"),
        ("IŞIK", "isik"),
        ("İSTANBUL", "istanbul"),
        ("Straße", "strasse"),
        ("Łódź", "lodz"),
        ("Ærø", "aero"),
        ("D-42 (new_one)", "d 42 new one"),
        ("  ", ""),
        ("日本", "日本"),
    ],
)
def test_folding_takes_case_marks_and_signs_away(text: str, folded: str) -> None:
    assert words.fold(text) == folded


def test_a_query_is_cut_to_a_few_words() -> None:
    assert words.words("a " * 1000) == ["a"] * 8
    assert words.words("x" * 10_000) == ["x" * words.MAX_QUERY_CHARS]


def test_a_line_has_no_controls_and_no_marks_that_reorder_text() -> None:
    assert words.line(" a\r\nb\x00\x1b[1m\u202e\u2028\ud800c ") == "a b [1m c"
    assert words.line("x" * 1000, 10) == "x" * 10


def test_addresses_are_kept_in_lower_case_each_once() -> None:
    assert words.addresses_of(["Bea@Acme.test", " bea@acme.test", "", "b@home.test"]) == (
        "bea@acme.test",
        "b@home.test",
    )
