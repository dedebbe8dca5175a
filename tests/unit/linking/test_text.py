"""Text from outside: charsets, encoded words, one-liners, excerpts, HTML."""

from __future__ import annotations

import base64
from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.linking import text
from tests.unit.linking.timing import LINEAR, growth

TURKISH = "Işık Çağrı Şükrü Öğüş İpek ğüşıöç"


@pytest.mark.parametrize("charset", ["iso-8859-9", "ISO_8859-9", '"windows-1254"', "cp1254", "latin5", "utf-8", "UTF8"])
def test_turkish_is_read_in_every_encoding_it_comes_in(charset: str) -> None:
    codec = charset.strip('"').lower().replace("_", "-")
    assert text.decode(TURKISH.encode(codec), charset) == TURKISH


@pytest.mark.parametrize("charset", ["", "us-ascii", "unknown-8bit", "x" * 10_000, "punycode", "idna", "zlib", "rot13"])
def test_an_unknown_charset_is_read_as_utf_8_else_as_windows_1254(charset: str) -> None:
    assert text.decode(TURKISH.encode(), charset) == TURKISH
    assert text.decode(TURKISH.encode("cp1254"), charset) == TURKISH


def test_half_a_character_at_a_cut_is_no_reason_to_doubt_utf_8() -> None:
    assert text.decode("ağaç".encode()[:-1], is_cut=True) == "ağa"
    assert text.decode("ağaç".encode()[:-1]) == "aÄŸaÃ"


def test_a_cut_does_not_excuse_what_is_wrong_before_it() -> None:
    assert text.decode(b"\xfe\xfd and more", is_cut=True) == "şı and more"


@pytest.mark.parametrize(
    ("written", "decoded"),
    [
        ("plain text", "plain text"),
        ("plain =? text", "plain =? text"),
        ("=?utf-8?Q?Teklif_g=C3=BCncellemesi?=", "Teklif güncellemesi"),
        ("=?ISO-8859-9?q?I=FE=FDk?=", "Işık"),
        ("=?windows-1254?B?3XBlaw==?=", "İpek"),
        ("=?utf-8*tr?Q?=C4=9F?=", "ğ"),
        ("Re: =?utf-8?Q?a?= and =?utf-8?Q?b?=", "Re: a and b"),
        ("=?utf-8?Q?a?=\r\n =?utf-8?Q?b?= c", "ab c"),
        ("=?utf-8?Q?=C4?= =?utf-8?Q?=9F?=", "ğ"),
        ("=?utf-8?Q?a?= =?iso-8859-9?Q?=FE?=", "aş"),
        ("=?utf-8?B?QQ?=", "A"),
        ("=?utf-8?B?Q?=", ""),
        ("=?utf-8?Q?a?", "=?utf-8?Q?a?"),
        ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
    ],
)
def test_encoded_words_are_decoded(written: str, decoded: str) -> None:
    assert text.decode_words(written) == decoded


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=120))
def test_what_the_standard_library_encodes_comes_back(written: str) -> None:
    encoded = Header(written, "utf-8", maxlinelen=76).encode()
    assert text.decode_words(encoded) == written


@given(st.binary(max_size=200))
def test_base64_is_read_whatever_is_in_it(raw: bytes) -> None:
    assert text.decode_base64(base64.b64encode(raw)) == raw
    assert isinstance(text.decode_base64(raw), bytes)


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_storable_line_within_its_limit(written: str, limit: int) -> None:
    line = text.one_line(written, limit)
    assert len(line) <= limit
    assert text.is_storable(line)
    assert len(line.splitlines()) <= 1


def test_nul_and_lone_surrogates_are_replaced() -> None:
    assert text.storable("a\x00b\ud83dc") == "a\ufffdb\ufffdc"
    assert not text.is_storable("\udc00")


# --- excerpts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "history",
    [
        "On Thu, 1 Jan 2026 at 09:00, Ayşe <ayse@firma.com> wrote:\n> old",
        "On Thu, 1 Jan 2026 at 09:00, Ayşe Yılmaz <ayse@firma.com>\nwrote:\n> old",
        "Ayşe <ayse@firma.com>, 1 Oca 2026 Per, 09:00 tarihinde şunu yazdı:\n> eski",
        "Am 01.01.2026 um 09:00 schrieb Ayşe <ayse@firma.com>:\n> alt",
        "-----Original Message-----\nFrom: Ayşe",
        "---------- Forwarded message ---------\nFrom: Ayşe",
        "-----Özgün İleti-----\nKimden: Ayşe",
        "________________________________\nFrom: Ayşe",
        "From: Ayşe <ayse@firma.com>\nSent: Thursday",
        "Kimden: Ayşe <ayse@firma.com>\nGönderildi: Perşembe",
        "-- \nAyşe Yılmaz",
        "> old\n> older",
    ],
)
def test_an_excerpt_leaves_out_history_and_signature(history: str) -> None:
    assert text.excerpt(f"Merhaba,\r\n\r\nteklif ekte.\n\n{history}", 200) == "Merhaba, teklif ekte."


def test_an_excerpt_of_quotes_alone_begins_with_them() -> None:
    assert text.excerpt("-----Original Message-----\nHello", 200) == "-----Original Message----- Hello"


def test_an_excerpt_is_cut() -> None:
    assert text.excerpt("word " * 1_000, 9) == "word word"


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_nothing_gives_no_excerpt(content: str) -> None:
    assert text.excerpt(content, 200) == ""


def test_a_line_that_ends_like_a_quotation_mark_keeps_the_line_before_it() -> None:
    assert text.excerpt("Merhaba\nAli şöyle yazdı:\ntamam", 200) == "Merhaba"


# --- HTML -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "readable"),
    [
        ("<p>Merhaba <b>Ay&#351;e</b>,</p><p>g&ouml;r&uuml;&#351;&uuml;r&uuml;z</p>", "Merhaba Ayşe,\n\ngörüşürüz"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("<html><head><title>T</title><style>p{}</style></head><body>x<script>1<2</script>y</body>", "xy"),
        ("<SCRIPT>never closed <p>x", ""),
        ("a<!-- <p>b</p> -->c<!DOCTYPE x>d<?xml?>e", "acde"),
        ("a<!-- never closed", "a"),
        ("1 < 2 &amp; 3 > 2", "1 < 2 & 3 > 2"),
        ("a  \n\t b", "a b"),
        ("<p>a</p>\n\n<p>\n</p>\n<p>b</p>", "a\n\nb"),
        ("a <b never closed", "a"),
        ("&#" + "1" * 5_000 + ";", "&#" + "1" * 5_000 + ";"),
    ],
)
def test_html_becomes_readable(source: str, readable: str) -> None:
    assert text.from_html(source) == readable


def test_html_is_read_within_a_limit() -> None:
    assert len(text.from_html("x" * 1_000_000)) == text.MAX_HTML_CHARS


@given(st.text(alphabet="<>/!-?pbrsciptyle& ;#1\"'\n", max_size=80))
def test_any_markup_gives_text(source: str) -> None:
    assert len(text.from_html(source)) <= 2 * len(source) + 2


# --- cost -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["<", "<!--", "<script>", "<p>", "<b", "</", "&#1;", "&", "<s></script", " <", "\n "])
def test_the_cost_of_html_grows_with_its_length(unit: str) -> None:
    assert growth(lambda size: text.from_html(unit * (size // len(unit))), 30_000) < LINEAR


@pytest.mark.parametrize("unit", ["=?a?q?", "=?utf-8?q?a", "=?utf-8?q?a?= ", "=?utf-8?b?QQ?=", "=?", "?="])
def test_the_cost_of_encoded_words_grows_with_their_length(unit: str) -> None:
    assert growth(lambda size: text.decode_words(unit * (size // len(unit))), 30_000) < LINEAR
