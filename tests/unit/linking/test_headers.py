"""From a delivered mail to a message: identity, people, content, and what was cut."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.linking import headers
from app.linking.addresses import make_ours
from app.linking.message_ids import SYNTHETIC_DOMAIN, hash_of
from app.model import Attachment, Message, Participant, ProviderMessage
from tests.unit.linking.timing import LINEAR, growth

OURS = make_ours(["ayse@firma.com"], ["firma.com"])
AT = datetime(2026, 1, 1, 10, 12, 0, tzinfo=UTC)
PASS = "mx.google.com; dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from="
MAIL = {
    "Message-ID": "<CAF9@Mail.Gmail.com>",
    "From": "John Doe <john@customer.com>",
    "To": "=?iso-8859-9?Q?Ay=FEe?= <Ayse@firma.com>",
    "Date": "Thu, 01 Jan 2026 13:11:12 +0300",
    "Subject": "Re: =?utf-8?Q?Teklif_g=C3=BCncellemesi?=",
}


def read(*more: tuple[str, str], namespace: str = "", **changes: Any) -> Message:
    """Read MAIL with further headers; a header of the same name replaces, `header=None` among them leaves it out."""
    named = {name.lower() for name, _ in more}
    kept = tuple((name, value) for name, value in MAIL.items() if name.lower() not in named)
    return read_pairs(*kept, *((name, value) for name, value in more if value), namespace=namespace, **changes)


def read_pairs(*pairs: tuple[str, str], namespace: str = "", **changes: Any) -> Message:
    fields: dict[str, Any] = {"provider_id": "p", "provider_thread_id": "t", "at": AT, "folder": "inbox"} | changes
    delivered = ProviderMessage(headers=pairs, namespace=namespace, **fields)
    return headers.read(delivered, account_id=7, ours=OURS, authserv_id="mx.google.com")


# --- a usual mail -----------------------------------------------------------------------------------------------------


def test_a_usual_mail_is_read() -> None:
    message = read(
        ("References", "<1@x> <2@X.com>"),
        ("In-Reply-To", "<2@x.com>"),
        ("Authentication-Results", PASS + "customer.com"),
        text="Merhaba,\nteklif ekte.\n\nOn Thu, 1 Jan 2026 Ayşe <ayse@firma.com> wrote:\n> eski",
        attachments=(Attachment("teklif.pdf", 1_000, "application/pdf"),),
        namespace="bcc-1",
    )
    assert message.internet_id == "<CAF9@mail.gmail.com>"
    assert message.mid_hash == hash_of(message.internet_id)
    assert message.participants == (
        Participant("john@customer.com", "from", "John Doe"),
        Participant("ayse@firma.com", "to", "Ayşe"),
    )
    assert (message.subject, message.base_subject) == ("Re: Teklif güncellemesi", "teklif güncellemesi")
    assert (message.is_reply, message.is_forward, message.automated) == (True, False, None)
    assert (message.references, message.in_reply_to) == (("<1@x>", "<2@x.com>"), "<2@x.com>")
    assert message.date_header == datetime(2026, 1, 1, 10, 11, 12, tzinfo=UTC)
    assert (message.id, message.at, message.namespace, message.flags) == (0, AT, "bcc-1", ())
    (copy,) = message.copies
    assert (copy.id, copy.account_id, copy.provider_id, copy.provider_thread_id, copy.at) == (0, 7, "p", "t", AT)
    assert (copy.in_sent, copy.verdict, copy.bcc) == (False, "pass", ())
    assert copy.snippet == "Merhaba, teklif ekte."
    assert copy.text.endswith("> eski")
    assert copy.attachments == (Attachment("teklif.pdf", 1_000, "application/pdf"),)


def test_header_names_come_in_any_case() -> None:
    upper = read_pairs(*((name.upper(), value) for name, value in MAIL.items()))
    assert upper == read_pairs(*MAIL.items())


def test_a_mail_without_any_header_is_read() -> None:
    message = read_pairs()
    assert (message.participants, message.subject, message.date_header) == ((), "", None)
    assert message.flags == ("synthetic_id",)


# --- identity ---------------------------------------------------------------------------------------------------------


def test_copies_of_one_mail_in_two_mailboxes_are_the_same_message() -> None:
    sent = read(("Bcc", "boss@firma.com"), folder="sent", at=AT)
    received = read(("Received", "x"), ("References", ""), folder="inbox", at=AT + timedelta(minutes=3), text="other")
    assert (sent.mid_hash, sent.fingerprint) == (received.mid_hash, received.fingerprint)


def test_copies_are_the_same_message_without_a_readable_date() -> None:
    one = read(("Date", "yesterday"), at=AT)
    other = read(("Date", "yesterday"), at=AT + timedelta(minutes=3))
    assert one.fingerprint == other.fingerprint


def test_a_copy_in_sent_without_references_is_the_same_message() -> None:
    # TR: is a forward prefix only beside another sign of a reply.
    with_chain = read(("Subject", "TR: rapor"), ("References", "<1@x>"))
    without = read(("Subject", "TR: rapor"))
    assert with_chain.fingerprint == without.fingerprint


def test_a_copy_through_a_list_is_the_same_message() -> None:
    assert (
        read(("Subject", "[crm] rapor"), ("List-Id", "<crm.x.org>")).fingerprint
        == read(("Subject", "rapor")).fingerprint
    )


@pytest.mark.parametrize(
    "changed",
    [
        ("From", "jane@customer.com"),
        ("Date", "Thu, 01 Jan 2026 13:11:13 +0300"),
        ("Subject", "IBAN"),
        ("To", "veli@firma.com"),
        ("Cc", "veli@firma.com"),
    ],
)
def test_a_reused_message_id_is_another_message(changed: tuple[str, str]) -> None:
    assert read(changed).mid_hash == read().mid_hash
    assert read(changed).fingerprint != read().fingerprint


def test_a_mail_without_message_id_has_the_same_one_in_every_mailbox() -> None:
    one = read(("Message-ID", ""), text="Merhaba")
    other = read(("Message-ID", " "), text="Merhaba", at=AT + timedelta(minutes=3), folder="sent")
    assert one.internet_id == other.internet_id
    assert one.internet_id.endswith(f"@{SYNTHETIC_DOMAIN}>")
    assert one.flags == ("synthetic_id",)


def test_without_a_date_either_the_providers_time_keeps_mails_apart() -> None:
    gone = (("Message-ID", ""), ("Date", ""))
    assert read(*gone, at=AT).internet_id != read(*gone, at=AT + timedelta(minutes=3)).internet_id


def test_a_mail_does_not_refer_to_itself() -> None:
    own = "<CAF9@mail.gmail.com>"
    message = read(("References", own), ("In-Reply-To", f"{own} <1@x>"))
    assert (message.references, message.in_reply_to) == (("<1@x>",), "<1@x>")


def test_references_are_read_from_every_instance() -> None:
    assert read(("References", "<1@x>"), ("References", "<2@x>")).references == ("<1@x>", "<2@x>")


def test_of_a_long_chain_the_root_and_the_end_stay() -> None:
    chain = " ".join(f"<{n:04}@{'x' * 90}>" for n in range(1_000))
    message = read(("References", chain))
    assert [each[1:5] for each in message.references] == ["0000", *(f"{n:04}" for n in range(950, 1_000))]
    assert message.flags == ("header_cut",)


def test_a_second_long_chain_leaves_no_room_for_a_third() -> None:
    message = read(("References", "<1@x> " * 3_000), ("References", "<2@x>"))
    assert message.references == ("<1@x>",)


def test_the_id_before_gmail_replaced_it_is_kept() -> None:
    assert read(("X-Google-Original-Message-ID", "<Old@X.com>")).other_ids == ("<Old@x.com>",)
    assert read(("X-Google-Original-Message-ID", MAIL["Message-ID"])).other_ids == ()


def test_a_bounce_names_the_mail_it_brings_back() -> None:
    message = read(("X-Failed-Recipients", "a@b.com"), related_ids=("", "<CAF9@mail.gmail.com>", "Sent@X.com"))
    assert (message.automated, message.bounce_of) == ("bounce", "<Sent@x.com>")


def test_what_is_no_bounce_brings_nothing_back() -> None:
    assert read(related_ids=("<1@x>",)).bounce_of is None
    assert read(("X-Failed-Recipients", "a@b.com")).bounce_of is None


def test_the_conversation_of_exchange_is_its_guid() -> None:
    written = base64.b64encode(b"\x01abcde" + bytes(range(16)) + b"reply").decode()
    assert read(("Thread-Index", written)).thread_index == bytes(range(16)).hex()


# --- people -----------------------------------------------------------------------------------------------------------


def test_everybody_is_kept_once_in_a_role() -> None:
    message = read(
        ("Sender", "s@customer.com"),
        ("Reply-To", "r@customer.com"),
        ("To", "a@x.com, A@X.com, b@x.com"),
        ("To", "c@x.com"),
        ("Cc", "a@x.com"),
        ("Bcc", "boss@firma.com"),
    )
    assert [(person.role, person.address) for person in message.participants] == [
        ("from", "john@customer.com"),
        ("sender", "s@customer.com"),
        ("reply_to", "r@customer.com"),
        ("to", "a@x.com"),
        ("to", "b@x.com"),
        ("to", "c@x.com"),
        ("cc", "a@x.com"),
    ]


def test_bcc_belongs_to_the_senders_copy_alone() -> None:
    bcc = ("Bcc", "Patron <boss@firma.com>, boss@firma.com")
    assert read(bcc, folder="sent").copies[0].bcc == (Participant("boss@firma.com", "bcc", "Patron"),)
    assert read(bcc, folder="inbox").copies[0].bcc == ()


def test_five_thousand_recipients_are_two_thousand_and_a_count() -> None:
    recipients = ", ".join(f"u{n}@x.com" for n in range(5_000))
    message = read(("To", recipients), ("Cc", "c@x.com"))
    assert len(message.participants) == 2_000
    assert message.flags == ("participants_cut:3002",)


GROUP = (
    ("From", "'John' via Support <support@firma.com>"),
    ("X-Original-From", "John <John@customer.com>"),
    ("X-Google-Group-Id", "123"),
    ("Authentication-Results", PASS + "firma.com"),
)


def test_a_group_of_ours_gives_back_the_author() -> None:
    message = read(*GROUP)
    assert message.participants[0] == Participant("john@customer.com", "from", "John")
    assert [person.role for person in message.participants] == ["from", "to"]


@pytest.mark.parametrize(
    "changed",
    [
        ("X-Google-Group-Id", ""),
        ("Authentication-Results", ""),
        ("Authentication-Results", PASS + "evil.com"),
        ("Authentication-Results", "mx.google.com; dmarc=fail (p=NONE) header.from=firma.com"),
        ("X-Original-From", "nobody"),
        ("X-Original-From", "john@customer.com, jane@customer.com"),
        ("X-Original-From", ""),
    ],
)
def test_anybody_else_who_names_an_author_is_the_author(changed: tuple[str, str]) -> None:
    others = tuple(header for header in GROUP if header[0] != changed[0])
    assert read(*others, changed).participants[0].address == "support@firma.com"


def test_a_group_of_somebody_else_is_the_author() -> None:
    elsewhere = (("From", "list@customer.com"), *GROUP[1:3], ("Authentication-Results", PASS + "customer.com"))
    assert read(*elsewhere).participants[0].address == "list@customer.com"


def test_the_verdict_is_about_from_as_it_was_written() -> None:
    assert read(*GROUP).copies[0].verdict == "pass"
    assert read(("Authentication-Results", PASS + "evil.com")).copies[0].verdict == "fail"


def test_a_long_verdict_is_no_way_around_it() -> None:
    padded = f"mx.google.com; spf=pass smtp.mailfrom={'x' * 20_000}; dmarc=fail (p=REJECT)"
    assert read(("Authentication-Results", padded)).copies[0].verdict == "fail"


def test_a_copy_in_sent_is_our_own() -> None:
    assert (read(folder="sent").copies[0].verdict, read(folder="sent").copies[0].in_sent) == ("own", True)


# --- kind -------------------------------------------------------------------------------------------------------------


def test_automated_mail_is_marked() -> None:
    assert read(("List-Id", "<news.x.com>")).automated == "bulk"
    assert read(part_types=("multipart/mixed", "Text/Calendar; METHOD=REQUEST")).automated == "calendar"


def test_a_sales_sequence_of_ours_is_not_bulk() -> None:
    own = (("From", "ayse@firma.com"), ("To", "john@customer.com"), ("List-Unsubscribe", "<https://firma.com/u>"))
    assert read(*own, folder="sent").automated is None
    assert read(*own, ("Authentication-Results", PASS + "firma.com")).automated is None
    assert read(*own).automated == "bulk"


# --- content ----------------------------------------------------------------------------------------------------------


def test_the_providers_snippet_is_kept_on_one_line() -> None:
    assert read(snippet="  Teklif\r\nekte \x00", text="other").copies[0].snippet == "Teklif ekte"


def test_a_snippet_is_at_most_two_hundred_characters() -> None:
    assert len(read(text="ğ" * 1_000).copies[0].snippet) == 200
    assert len(read(snippet="ğ" * 1_000).copies[0].snippet) == 200


def test_a_text_is_cut_at_64_kb_between_two_characters() -> None:
    cut = read(text="a" + "ğ" * 60_000).copies[0].text
    assert len(cut.encode()) == 64 * 1024 - 1
    assert set(cut[1:]) == {"ğ"}


def test_a_subject_is_one_line_and_cut() -> None:
    assert read(("Subject", "Teklif\r\n\tekte\u202e")).subject == "Teklif ekte"
    assert len(read(("Subject", "x" * 5_000)).subject) == 1_000


@pytest.mark.parametrize("changes", [{"text": "a\x00b"}, {"text": "a\ud800b"}])
def test_what_cannot_be_stored_is_replaced_and_said(changes: dict[str, str]) -> None:
    message = read(**changes)
    assert message.copies[0].text == "a\ufffdb"
    assert message.flags == ("characters_replaced",)


def test_what_cannot_be_stored_in_a_header_is_replaced_and_said() -> None:
    message = read(("Subject", "a\ud800b"), ("Message-ID", "<a\ud800@b>"))
    assert (message.subject, message.internet_id) == ("a\ufffdb", "<a\ufffd@b>")
    assert message.flags == ("characters_replaced",)


def test_attachments_are_cleaned_and_counted() -> None:
    strange = Attachment("=?iso-8859-9?Q?fat=FDra?=\n.pdf", 10**30, "a/b\x00")
    copy = read(attachments=(strange, Attachment("x" * 1_000, -1)) * 300).copies[0]
    assert copy.attachments[:2] == (Attachment("fatıra .pdf", 2**40, "a/b"), Attachment("x" * 255, 0))
    assert len(copy.attachments) == 200


def test_a_mail_that_was_not_read_whole_says_so() -> None:
    assert read(parked="too large").flags == ("parked",)


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        ("Subject", "x" * 16_385),
        ("From", "john@customer.com" + " " * 4_096),
        ("To", "a@x.com" + " " * 262_144),
        ("Message-ID", "<a@b>" + " " * 4_096),
        ("Content-Type", "text/plain" + ";" * 20_000),
    ],
)
def test_a_header_over_its_limit_is_cut_and_the_mail_is_kept(header: tuple[str, str]) -> None:
    message = read(header)
    assert "header_cut" in message.flags
    assert message.participants


def test_the_limit_holds_for_all_instances_together() -> None:
    message = read(("From", "x" * 4_090), ("From", "john@customer.com"))
    assert message.flags == ("header_cut",)


def test_headers_behind_two_thousand_are_not_read() -> None:
    message = read_pairs(*([("X-Filler", "x")] * 2_000), ("Subject", "late"))
    assert (message.subject, message.flags) == ("", ("synthetic_id", "header_cut"))


def test_the_limits_can_be_asked_for() -> None:
    assert [headers.limit_of(name) for name in ("to", "subject", "from", "x-other")] == [262_144, 16_384, 4_096, 0]


NAMES = [
    "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "References", "In-Reply-To",
    "Thread-Index", "List-Id", "Authentication-Results", "X-Original-From", "Content-Type", "Return-Path",
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.text(max_size=60)), max_size=12), st.text(max_size=60))
def test_any_mail_becomes_a_message_that_can_be_stored(pairs: list[tuple[str, str]], content: str) -> None:
    message = read_pairs(*pairs, text=content, folder="sent", related_ids=(content,))
    copy = message.copies[0]
    names = [person.name for person in (*message.participants, *copy.bcc)]
    stored = [message.internet_id, message.subject, *message.references, *names, copy.text, copy.snippet]
    "".join(stored).encode()
    assert "\x00" not in "".join(stored)
    assert message == read_pairs(*pairs, text=content, folder="sent", related_ids=(content,))


@pytest.mark.parametrize("unit", ['"', "(", ";", "<a@b>", "=?a?q?", "a@ü.com,", "a,", '"\\', " "])
@pytest.mark.parametrize("name", ["To", "Subject", "References", "Content-Type", "Authentication-Results"])
def test_the_cost_of_a_mail_grows_with_its_headers(name: str, unit: str) -> None:
    assert growth(lambda size: read((name, unit * (size // len(unit)))), 4_000, rounds=3) < LINEAR
