"""A conversation as the plain text of a note."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.model import ConversationNote, NoteMessage
from connectors.crm import note

MESSAGE = NoteMessage(
    at=datetime(2026, 3, 2, 9, 14, tzinfo=UTC),
    from_name="Bea Işık",
    from_address="bea@acme.test",
    direction="inbound",
    subject="Prices",
    snippet="What does it cost?",
    attachments=("quote.pdf", "plan.pdf"),
)
NOTE = ConversationNote(
    marker="00000000-0000-0000-0000-000000000001",
    subject="Prices",
    people=(("Bea Işık", "bea@acme.test"), ("", "can@acme.test")),
    messages=(MESSAGE, replace(MESSAGE, direction="outbound", subject="Re: Prices", snippet=None, attachments=())),
    url="https://threadlink.test/conversations/1",
)


def test_a_note_reads_as_a_history_in_english() -> None:
    assert note.text(NOTE).split("\n") == [
        "E-mail conversation: Prices",
        "People: Bea Işık <bea@acme.test>, can@acme.test",
        "2 messages",
        "",
        "2 Mar 2026 09:14 UTC · Bea Işık <bea@acme.test> · received",
        "Text: What does it cost?",
        "Attachments: quote.pdf, plan.pdf",
        "",
        "2 Mar 2026 09:14 UTC · Bea Işık <bea@acme.test> · sent",
        "Subject: Re: Prices",
        "",
        "Open: https://threadlink.test/conversations/1",
    ]


def test_a_note_reads_as_a_history_in_turkish() -> None:
    turkish = note.text(replace(NOTE, locale="tr", messages=(replace(MESSAGE, subject="Fiyat"),), url=None))
    assert turkish.split("\n") == [
        "E-posta konuşması: Prices",
        "Kişiler: Bea Işık <bea@acme.test>, can@acme.test",
        "1 mesaj",
        "",
        "2 Mar 2026 09:14 UTC · Bea Işık <bea@acme.test> · alındı",
        "Konu: Fiyat",
        "Metin: What does it cost?",
        "Ekler: quote.pdf, plan.pdf",
    ]


def test_an_unknown_language_reads_in_english() -> None:
    assert note.text(replace(NOTE, locale="xx")) == note.text(NOTE)


@pytest.mark.parametrize("subject", [None, "", " \r\n\x00"])
def test_a_note_without_a_subject_says_so(subject: str | None) -> None:
    assert note.text(replace(NOTE, subject=subject)).startswith("E-mail conversation: (no subject)\n")


def test_a_note_without_people_has_no_line_for_them() -> None:
    assert "People" not in note.text(replace(NOTE, people=()))


def test_times_are_shown_in_utc() -> None:
    at = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=3)))
    assert "31 Dec 2025 22:30 UTC" in note.text(replace(NOTE, messages=(replace(MESSAGE, at=at),)))


def test_a_mail_cannot_write_a_line_that_looks_like_another_message() -> None:
    forged = "Hello\n\n3 Mar 2026 10:00 UTC · Ada <ada@northwind.test> · sent\u2028Text: We pay."
    lines = note.text(replace(NOTE, messages=(replace(MESSAGE, snippet=forged),))).split("\n")
    assert [line for line in lines if "Ada" in line] == [
        "Text: Hello 3 Mar 2026 10:00 UTC · Ada <ada@northwind.test> · sent Text: We pay."
    ]


def test_a_long_conversation_shows_its_newest_messages_and_says_how_many_are_not_shown() -> None:
    messages = tuple(replace(MESSAGE, subject=f"Number {number}") for number in range(note.MAX_MESSAGES + 2))
    text = note.text(replace(NOTE, messages=messages))
    assert "(2 earlier messages are not shown)" in text
    assert text.count("Subject: Number") == note.MAX_MESSAGES
    assert f"Number {note.MAX_MESSAGES + 1}" in text
    assert "Number 1\n" not in text


def test_many_people_and_attachments_are_counted_instead_of_listed() -> None:
    people = tuple(("", f"p{number}@acme.test") for number in range(note.MAX_PEOPLE + 3))
    attachments = tuple(f"{number}.pdf" for number in range(1000))
    text = note.text(replace(NOTE, people=people, messages=(replace(MESSAGE, attachments=attachments),)))
    assert f"p{note.MAX_PEOPLE - 1}@acme.test and 3 more\n" in text
    assert text.count(".pdf") == note.MAX_ATTACHMENTS


def test_a_note_stays_small_whatever_is_in_the_mail() -> None:
    long = "x" * 100_000
    message = replace(MESSAGE, from_name=long, from_address=long, subject=long, snippet=long, attachments=(long,) * 99)
    text = note.text(ConversationNote("", long, ((long, long),) * 999, (message,) * 999, long))
    assert len(text) < 700_000
