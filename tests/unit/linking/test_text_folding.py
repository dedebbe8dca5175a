"""What a mail's author wrote is shown, what is quoted is folded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.linking.text import fold
from tests.unit.linking.timing import LINEAR, growth


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        ("Hello\n\nBea", [("Hello\n\nBea", False)]),
        (
            "Yes.\n\nOn 3 May 2026, Ada <ada@x.test> wrote:\n> Shall we?\n>\n> Ada",
            [("Yes.", False), ("On 3 May 2026, Ada <ada@x.test> wrote:\n> Shall we?\n>\n> Ada", True)],
        ),
        (
            "Tamam.\n\n3 Mayıs 2026 Ada <ada@x.test>\nşunu yazdı:\n\n> Olur mu?",
            [("Tamam.", False), ("3 Mayıs 2026 Ada <ada@x.test>\nşunu yazdı:\n\n> Olur mu?", True)],
        ),
        (
            "> First?\nYes.\n> Second?\nNo.",
            [("> First?", True), ("Yes.", False), ("> Second?", True), ("No.", False)],
        ),
        (
            "Fine.\n\n-----Original Message-----\nFrom: Ada <ada@x.test>\nShall we?",
            [("Fine.", False), ("-----Original Message-----\nFrom: Ada <ada@x.test>\nShall we?", True)],
        ),
        (
            "Fine.\n\nFrom: Ada <ada@x.test>\nSent: Monday\n\nShall we?",
            [("Fine.", False), ("From: Ada <ada@x.test>\nSent: Monday\n\nShall we?", True)],
        ),
        ("Fine.\n-- \nAda\nNorthwind", [("Fine.", False), ("-- \nAda\nNorthwind", True)]),
        ("> All of it\n> is quoted", [("> All of it\n> is quoted", False)]),
        ("From: Ada <ada@x.test>\nforwarded", [("From: Ada <ada@x.test>\nforwarded", False)]),
        ("  \n", []),
    ],
)
def test_a_text_is_folded(content: str, pieces: list[tuple[str, bool]]) -> None:
    assert list(fold(content)) == pieces


@given(st.text(alphabet="a> \n:-@0wrote", max_size=200))
def test_no_word_is_lost(content: str) -> None:
    shown = [word for piece, _ in fold(content) for word in piece.split()]
    assert shown == content.split()


@pytest.mark.parametrize("unit", ["> a\n", "\n", ">\n\n", "On 3 May\n", "a wrote 1:\n", "-- \n", "a\n>\n"])
def test_a_text_made_to_be_slow_is_not(unit: str) -> None:
    assert growth(lambda size: fold(unit * size), 1_000, rounds=3) < LINEAR
