"""Message-ID, References, fingerprint, dates, Thread-Index."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.linking.message_ids import (
    MAX_ID_CHARS,
    fingerprint,
    hash_of,
    ids_in,
    normalize_id,
    read_date,
    references,
    synthetic_id,
    thread_guid,
)
from tests.unit.linking.timing import LINEAR, growth

SENT = datetime(2026, 1, 1, 10, 11, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("<CAF+1@Mail.Gmail.COM>", "<CAF+1@mail.gmail.com>"),
        (" <a@b>\r\n ", "<a@b>"),
        ("<a\r\n @b>", "<a@b>"),
        ("< a@b >", "<a@b>"),
        ("a@B", "<a@b>"),
        ('"a@b"', "<a@b>"),
        ("a@b>", "<a@b>"),
        ("<a@b", "<a@b>"),
        ("<a@b> <c@d>", "<a@b>"),
        ("a@b c@d", "<a@b>"),
        ("text <a@b>", "<a@b>"),
        ('<"a b"@C>', '<"ab"@c>'),
        ("<no-at-sign>", "<no-at-sign>"),
        ("<x@y@Z>", "<x@y@z>"),
    ],
)
def test_a_message_id_has_one_normal_form(written: str, normal: str) -> None:
    assert normalize_id(written) == normal


@pytest.mark.parametrize("written", ["", "  ", "<>", "< >", '""', "<"])
def test_nothing_is_no_message_id(written: str) -> None:
    assert normalize_id(written) is None


def test_a_message_id_is_cut() -> None:
    assert len(normalize_id("<" + "a" * 5_000 + "@b>") or "") == MAX_ID_CHARS


@given(st.text(max_size=100))
def test_a_normal_id_is_its_own_normal_form(written: str) -> None:
    normal = normalize_id(written)
    assert normal is None or (normalize_id(normal) == normal and len(hash_of(normal)) == 32)


def test_ids_are_found_between_other_text() -> None:
    assert ids_in('Message of "Tue, 1 Jan" <A@B>,<c@d>\t<e f> <<g@h>') == ["<A@b>", "<c@d>", "<g@h>"]


def test_references_come_before_in_reply_to_without_the_mail_itself_and_doubles() -> None:
    assert references(["<1>", "<2>", "<1>", "<me>"], ["<2>", "<3>"], "<me>") == ("<1>", "<2>", "<3>")


def test_of_many_references_the_first_and_the_last_fifty_stay() -> None:
    chain = [f"<{n}>" for n in range(500)]
    assert references(chain, ["<parent>"], "<me>") == ("<0>", *chain[451:], "<parent>")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("Thu, 01 Jan 2026 13:11:12 +0300", SENT),
        ("1 Jan 2026 10:11:12 GMT (UTC)", SENT),
        ("Thu, 01 Jan 2026 10:11:12 -0000", SENT),
        ("Thu, 01 Jan 2026 10:11:12", SENT),
    ],
)
def test_a_date_is_read_in_utc(written: str, moment: datetime) -> None:
    assert read_date(written) == moment
    assert (read_date(written) or SENT).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "yesterday",
        "Thu, 99 Jan 2026 10:11:12",
        "31 Dec 9999 23:59:59 -2300",
        "9" * 5_000,
    ],
)
def test_an_unreadable_date_is_none(written: str) -> None:
    assert read_date(written) is None


@given(st.one_of(st.text(max_size=80), st.text(alphabet="0123456789 :+-,JanFebThuGMT()", max_size=80)))
def test_any_text_is_a_date_or_none(written: str) -> None:
    moment = read_date(written)
    assert moment is None or moment.tzinfo is UTC


# --- fingerprint ----------------------------------------------------------------------------------------------------


def test_order_and_doubles_of_recipients_make_no_other_message() -> None:
    assert fingerprint(["a@x"], SENT, "teklif", ["b@x", "c@x", "b@x"]) == fingerprint(
        ["a@x"], SENT, "teklif", ["c@x", "b@x"]
    )


def test_the_zone_of_a_date_makes_no_other_message() -> None:
    there = SENT.astimezone(timezone(timedelta(hours=3)))
    assert fingerprint(["a@x"], SENT, "", []) == fingerprint(["a@x"], there, "", [])


@pytest.mark.parametrize(
    "other",
    [
        fingerprint(["b@x"], SENT, "teklif", ["b@x"]),
        fingerprint([], SENT, "teklif", ["b@x"]),
        fingerprint(["a@x"], SENT + timedelta(seconds=1), "teklif", ["b@x"]),
        fingerprint(["a@x"], None, "teklif", ["b@x"]),
        fingerprint(["a@x"], SENT, "fatura", ["b@x"]),
        fingerprint(["a@x"], SENT, "teklif", ["b@x", "c@x"]),
        fingerprint(["a@x"], SENT, "teklif3:b@x", []),
    ],
)
def test_sender_date_subject_and_recipients_make_another_message(other: bytes) -> None:
    assert fingerprint(["a@x"], SENT, "teklif", ["b@x"]) != other


def test_a_synthetic_id_is_the_same_however_the_text_is_wrapped() -> None:
    one = synthetic_id(["a@x"], ["b@x"], SENT, "Teklif", "Merhaba\r\nAyşe " + "x" * 600)
    other = synthetic_id(["a@x"], ["b@x"], SENT, "Teklif", "Merhaba\nAyşe\n" + "x" * 900)
    assert one == other
    assert normalize_id(one) == one


def test_another_text_makes_another_synthetic_id() -> None:
    assert synthetic_id([], [], SENT, "", "a") != synthetic_id([], [], SENT, "", "b")


# --- Thread-Index ---------------------------------------------------------------------------------------------------

GUID = bytes(range(16))


@pytest.mark.parametrize("replies", [b"", b"12345", b"1234567890" * 100])
def test_a_conversation_keeps_its_guid_through_replies(replies: bytes) -> None:
    written = base64.b64encode(b"\x01abcde" + GUID + replies).decode()
    assert thread_guid(written) == GUID.hex()
    assert thread_guid(f" {written[:9]}\r\n {written[9:]}".rstrip("=")) == GUID.hex()


@pytest.mark.parametrize("written", ["", "AQ==", "not base64 ğ", "===="])
def test_a_broken_thread_index_is_none(written: str) -> None:
    assert thread_guid(written) is None


@pytest.mark.parametrize("unit", ["<", ">", "<a", "<a@b>", " ", '"', "< "])
def test_the_cost_of_ids_grows_with_the_header(unit: str) -> None:
    def read(size: int) -> None:
        normalize_id(unit * (size // len(unit)))
        references(ids_in(unit * (size // len(unit))), [], "")

    assert growth(read, 8_000) < LINEAR
