"""The words by which an account's conversations are found."""

from __future__ import annotations

from datetime import UTC, datetime

from app.linking.search import MAX_WORDS, query_words, words_of
from app.model import Conversation, Copy, Message, Participant

AT = datetime(2026, 3, 2, tzinfo=UTC)


def copy(account_id: int, snippet: str = "", *, deleted: bool = False, bcc: tuple[Participant, ...] = ()) -> Copy:
    return Copy(
        account_id, account_id, "p", "t", AT, False, "pass", "founded", bcc=bcc, snippet=snippet, deleted=deleted
    )


def message(number: int, subject: str, *copies: Copy) -> Message:
    people = (Participant("bea@acme.test", "from", "Bea Örnek"),)
    return Message(number, f"<{number}@x>", b"", b"", AT, subject, subject, people, copies=copies)


def test_each_account_is_found_by_what_it_holds() -> None:
    found = words_of(
        Conversation(
            1,
            (
                message(1, "Işık", copy(1, "Hello there"), copy(2, "Hello THERE", deleted=True)),
                message(2, "Re: Işık", copy(2, bcc=(Participant("secret@x.test", "bcc", ""),))),
            ),
        )
    )
    assert set(found[1].split()) == {"isik", "bea", "ornek", "acme", "test", "hello", "there"}
    assert set(found[2].split()) == {"re", "isik", "bea", "ornek", "acme", "test", "secret", "x"}


def test_an_endless_conversation_has_an_end() -> None:
    long = Conversation(1, tuple(message(n, f"w{n} " + "x" * 5000, copy(1, f"s{n}")) for n in range(500)))
    found = words_of(long)[1]
    assert len(found.split()) <= MAX_WORDS
    assert max(map(len, found.split())) <= 40
    assert "w499" in found.split()
    wordy = [message(n, " ".join(f"n{n}x{m}" for m in range(20)), copy(1)) for n in range(50)]
    assert len(words_of(Conversation(1, tuple(wordy)))[1].split()) == MAX_WORDS


def test_a_query_is_folded_as_what_it_searches() -> None:
    assert query_words("IŞIK, bea@acme.test!") == ["isik", "bea", "acme", "test"]
    assert query_words("%") == []
