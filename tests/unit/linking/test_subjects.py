"""base_subject: mail-connectors.md 4.6."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.linking.subjects import MAX_SUBJECT_CHARS, base_subject, is_generic, without_short_reply_prefix

REPLY = [
    "re",
    "r",
    "aw",
    "antw",
    "antwort",
    "sv",
    "svar",
    "vs",
    "vá",
    "válasz",
    "odp",
    "odpověď",
    "rif",
    "res",
    "resp",
    "ref",
    "réf",
    "ynt",
    "yanıt",
    "bls",
    "απ",
    "σχετ",
    "отв",
    "відп",
    "atb",
    "ats",
    "השב",
    "תגובה",
    "رد",
    "回复",
    "答复",
    "回覆",
    "返信",
    "답장",
    "回",
]
FORWARD = [
    "fw",
    "fwd",
    "wg",
    "tr",
    "rv",
    "enc",
    "i",
    "vl",
    "vb",
    "pd",
    "vs",
    "videresend",
    "vidarebefordrat",
    "doorst",
    "fs",
    "továbbítás",
    "trs",
    "redir.",
    "ilt",
    "İLT",
    "iletilen",
    "переслать",
    "пересл",
    "转发",
    "轉寄",
    "転送",
    "전달",
    "הועבר",
    "إعادة توجيه",
]


@pytest.mark.parametrize("prefix", REPLY)
@pytest.mark.parametrize(
    "written", ["{}: Price list", "{} : Price list", "{}： Price list", "{}[2]: Price list", "{}(3): Price list"]
)
def test_every_reply_prefix_is_taken_off(prefix: str, written: str) -> None:
    for text in (prefix, prefix.upper(), prefix.capitalize()):
        found = base_subject(written.format(text), other_reply_sign=True)
        assert (found.base, found.is_reply) == ("price list", True)


@pytest.mark.parametrize("prefix", FORWARD)
def test_every_forward_prefix_is_taken_off(prefix: str) -> None:
    for text in (prefix, prefix.upper()):
        found = base_subject(f"{text}: Price list", other_reply_sign=True)
        assert (found.base, found.is_forward) == ("price list", True)


@pytest.mark.parametrize("prefix", ["R", "I", "TR", "RV", "VB", "VL", "PD", "FS"])
def test_a_short_prefix_may_be_content_without_another_reply_sign(prefix: str) -> None:
    found = base_subject(f"{prefix}: Ankara office")
    assert found.base == f"{prefix.lower()}: ankara office"
    assert not found.is_reply
    assert not found.is_forward


def test_finnish_reply_and_danish_forward_share_a_prefix() -> None:
    found = base_subject("VS: Tarjous")
    assert found.is_reply
    assert found.is_forward


@pytest.mark.parametrize(
    "subject", ["İLT: Teklif ışık", "ilt: TEKLİF IŞIK", "Ilt: teklif işık", "I\u0307LT: teklif i\u015f\u0131k"]
)
def test_turkish_letters_fold_to_one_form(subject: str) -> None:
    found = base_subject(subject)
    assert found.base == "teklif işik"
    assert found.is_forward


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Re: AW: Fwd: Ynt: Price list", "price list"),
        ("[EXTERNAL] Re: Price list", "price list"),
        ("Re: [EXT] [SPAM] Price list", "price list"),
        ("Re: [External Email] Price list", "price list"),
        ("Price list (fwd)", "price list"),
        ("[Fwd: Re: Price list]", "price list"),
        ("Re [blob]: Price list", "price list"),
        ("  Re:\tPrice\r\n  list ", "price list"),
        ("\u200fRe\u200e: Price list", "price list"),
        ("Ｒｅ： Ｐｒｉｃｅ list", "price list"),
        ("Re:", ""),
        ("", ""),
        ("Note: Price list", "note: price list"),
        ("12:30 lunch", "12:30 lunch"),
        ("[JIRA-12] Price list", "[jira-12] price list"),
    ],
)
def test_what_is_left_is_the_base(subject: str, base: str) -> None:
    assert base_subject(subject).base == base


@pytest.mark.parametrize(
    ("list_ids", "base"),
    [
        ([], "[python-dev] typing"),
        (["<other.example.org>"], "[python-dev] typing"),
        (["Core <python-dev.python.org>"], "typing"),
        (["<other.example.org>", "Python Dev <p.example.org>"], "typing"),
    ],
)
def test_a_list_tag_goes_only_when_a_list_id_names_it(list_ids: list[str], base: str) -> None:
    assert base_subject("Re: [Python-Dev] Typing", list_ids).base == base


def test_a_tag_of_one_letter_names_no_list() -> None:
    assert base_subject("[p] Typing", ["<python-dev.python.org>"]).base == "[p] typing"


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "Re:",
        "Hi!",
        "Re: HELLO",
        "Invoice",
        "Ynt: TEKLİF",
        "Toplantı",
        "toplanti",
        "Sipariş ?",
        "(no subject)",
        "...",
    ],
)
def test_generic_subjects_are_known(subject: str) -> None:
    assert base_subject(subject).is_generic


@pytest.mark.parametrize("subject", ["Invoice 4711", "Re: Rollout at Acme"])
def test_other_subjects_are_not_generic(subject: str) -> None:
    assert not base_subject(subject).is_generic
    assert not is_generic(base_subject(subject).base)


@pytest.mark.parametrize(
    ("base", "rest"), [("r: prices", "prices"), ("i: prices", None), ("r", None), ("prices", None)]
)
def test_what_may_be_a_reply_prefix_can_be_taken_off(base: str, rest: str | None) -> None:
    assert without_short_reply_prefix(base) == rest


@pytest.mark.parametrize("text", ["Re:" * 60_000, "\ufdfa" * 100_000, "[" * 50_000, "[fwd:" * 50_000 + "]" * 50_000])
def test_a_huge_subject_is_cut_before_it_is_read(text: str) -> None:
    assert len(base_subject(text).base) <= MAX_SUBJECT_CHARS


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=2), st.booleans())
def test_any_text_has_a_base_and_a_reply_to_it_has_the_same(subject: str, lists: list[str], sign: bool) -> None:
    base = base_subject(subject, lists, sign).base
    assert base_subject(f"Re: {subject}", lists, sign).base == base


@given(st.text(alphabet=string.ascii_letters + " çğıöşüÇĞİÖŞÜ", max_size=40))
def test_case_makes_no_difference(subject: str) -> None:
    assert base_subject(subject.upper()).base == base_subject(subject).base
