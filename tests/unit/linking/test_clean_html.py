"""What is left of a mail's HTML: nothing that loads, acts or hides, in bounded time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.linking.clean_html import MAX_EMBEDDED_CHARS, clean
from tests.unit.linking.timing import LINEAR, growth

PNG = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<p>Hello <b>Bea</b></p>", "<p>Hello <b>Bea</b></p>"),
        ("5 < 6 &amp; 7 &lt; 8", "5 &lt; 6 &amp; 7 &lt; 8"),
        ("<P ALIGN=center>x", '<p align="center">x</p>'),
        ("<td width='10%' height=javascript:1>x", "x"),
        ("<table><tr><td width='10%'>x", '<table><tbody><tr><td width="10%">x</td></tr></tbody></table>'),
        ("<!-- hidden <b> -->seen", "seen"),
        ("<x-unknown>kept</x-unknown>", "kept"),
        ('<img alt=\'a "quote"\'>', '<img alt="a &quot;quote&quot;">'),
    ],
)  # fmt: skip
def test_what_a_mail_says_stays(written: str, shown: str) -> None:
    assert clean(written, {}) == shown


@pytest.mark.parametrize(
    "written",
    [
        '<img src="https://tracker.test/p.gif?u=1">',
        "<img src=//tracker.test/p.gif>",
        "<img srcset='https://tracker.test/p.gif 2x'>",
        '<p style="background:url(https://tracker.test/)">',
        "<style>@import 'https://tracker.test/';</style>",
        '<style>p{}<img src="https://tracker.test/"></style>',
        "<table background='https://tracker.test/'>",
        '<svg><image href="https://tracker.test/"/></svg>',
        "<svg><style><img src=https://tracker.test/></style></svg>",
        "<math><mtext></mtext><mglyph><style><img src=https://tracker.test></style></mglyph></math>",
        "<form action=https://tracker.test><input name=a><button>Go</button></form>",
        "<base href=https://tracker.test><link rel=stylesheet href=https://tracker.test>",
        '<meta http-equiv=refresh content="0;url=https://tracker.test">',
        "<iframe src=https://tracker.test></iframe><object data=https://tracker.test></object>",
        "<video src=https://tracker.test></video><audio src=https://tracker.test></audio>",
        "<script>fetch('https://tracker.test')</script><noscript><img src=https://tracker.test></noscript>",
        "<a href='javascript:tracker.test'>", "<a href=' data:text/html,tracker.test'>", "<a ping=https://tracker.test>",
        "<img src='cid:tracker.test'>", "<img src='data:image/svg+xml;base64,tracker.test'>",
        "<img src='data:text/html,tracker.test'>", "<p onclick=tracker.test onload=tracker.test>",
        "<title><img src=https://tracker.test></title>", "<textarea><img src=https://tracker.test></textarea>",
        "<bgsound src=https://tracker.test><input type=image src=https://tracker.test>",
        "<!--><img src=https://tracker.test>-->", "<a href=\"https://ok.test\"\x00onclick=tracker.test>",
    ],
)  # fmt: skip
def test_nothing_is_left_that_loads_or_acts(written: str) -> None:
    assert "tracker.test" not in clean(f"<p>{written}</p>", {"other": PNG})


def test_a_picture_is_the_mails_own_or_written_into_it() -> None:
    own = {"logo@x": PNG}
    assert clean("<img src='cid:logo@x'>", own) == f'<img src="{PNG}">'
    assert clean("<img src='CID:logo%40x'>", own) == f'<img src="{PNG}">'
    assert clean(f"<img src='{PNG}'>", {}) == f'<img src="{PNG}">'
    assert clean("<a href='cid:logo@x'>x</a>", own) == '<a rel="noopener noreferrer nofollow" target="_blank">x</a>'


def test_a_picture_is_not_shown_without_end() -> None:
    large = PNG + "A" * (MAX_EMBEDDED_CHARS // 4)
    assert clean("<img src='cid:a'>" * 10, {"a": large}).count("base64") == 3


def test_links_open_apart_and_tell_nobody_where_they_were() -> None:
    cleaned = clean('<a href="https://acme.test/?a=1&amp;b=2" target=_self rel=opener>x</a>', {})
    assert 'href="https://acme.test/?a=1&amp;b=2"' in cleaned
    assert 'target="_blank"' in cleaned
    assert 'rel="noopener noreferrer nofollow"' in cleaned


@pytest.mark.parametrize(
    "unit",
    [
        "<div>", "<b>", "<b><p>", "<a href=x>", "<table><tr><td>", "<font color=a>", "<", "<!--", "<script>", '<p a="',
        "<div><object>x</object></div>", "<a ", "</p>", "<p/", "<svg>", "&lt;", "<select><div>",
    ],
)  # fmt: skip
def test_a_mail_made_to_be_slow_is_not(unit: str) -> None:
    assert growth(lambda size: clean(unit * size, {}), 2_000, rounds=3) < LINEAR


def test_many_attributes_of_one_element_are_not_slow() -> None:
    assert growth(lambda size: clean(f"<p {' '.join(f'a{n}=1' for n in range(size))}>", {}), 2_000, rounds=3) < LINEAR


@given(st.text(alphabet="<>/!-= \"'abipmgsrcx:&;", max_size=80))
def test_cleaning_never_fails_and_leaves_nothing_for_a_second_time(written: str) -> None:
    once = clean(written, {})
    assert clean(once, {}) == once
