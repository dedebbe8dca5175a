"""The mail of a scenario: RFC 5322 bytes that any mail reader takes apart again."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

import pytest

from app.scenario.mail import build_mail, folder_of, internet_id, sender_address
from tests.unit.scenario.scenarios import ADA, CAN, message, scenario


def raw(extra: str = "", address: str = ADA, key: str = "m1") -> bytes:
    read, event = message(extra, key=key)
    return build_mail(read, event, address)


def mail(extra: str = "", address: str = ADA) -> EmailMessage:
    parsed = BytesParser(policy=policy.default).parsebytes(raw(extra, address))
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_a_plain_message_has_the_usual_headers():
    parsed = mail("subject: Prices, cc: [Can <can@northwind.test>], reply_to: Desk <desk@acme.test>, text: Hello")

    assert parsed["From"] == "Bea <bea@acme.test>"
    assert parsed["To"] == "ada@northwind.test"
    assert parsed["Cc"] == "Can <can@northwind.test>"
    assert parsed["Reply-To"] == "Desk <desk@acme.test>"
    assert parsed["Subject"] == "Prices"
    assert parsed["Date"] == "Mon, 02 Mar 2026 09:00:00 +0000"
    assert parsed.get_content() == "Hello"


def test_a_message_without_subject_has_no_subject_header():
    assert mail()["Subject"] is None


def test_an_empty_subject_is_a_subject():
    assert b"\r\nSubject: \r\n" in raw('subject: ""')


def test_turkish_subjects_and_names_survive():
    parsed = mail('subject: "YNT: İşığın ölçüsü", from: "Işık Çelik <isik@lumen.test>", text: "Çok teşekkürler"')

    assert parsed["Subject"] == "YNT: İşığın ölçüsü"
    assert parsed["From"].addresses[0].display_name == "Işık Çelik"
    assert parsed.get_content() == "Çok teşekkürler"


def test_headers_are_ascii_on_the_wire():
    head = raw('subject: "İLT: ölçüler", from: "Işık Çelik <isik@lumen.test>", to: ["Ünal <u@lumen.test>"]')

    assert head.partition(b"\r\n\r\n")[0].isascii()


def test_a_long_subject_is_folded_without_losing_a_letter():
    subject = "Vitrin aydınlatması için ölçüler " * 10

    assert mail(f"subject: {subject}")["Subject"] == subject.strip()


def test_lines_end_in_crlf():
    content = raw('text: "one\\ntwo\\n"')

    assert content.replace(b"\r\n", b"").find(b"\n") == -1
    assert content.endswith(b"one\r\ntwo\r\n")


def test_many_recipients_are_folded_and_all_there():
    addresses = ", ".join(f"guest{number}@fair.test" for number in range(40))

    parsed = mail(f"from: a@b.test, to: [{addresses}]")

    assert len(parsed["To"].addresses) == 40


def test_a_group_is_written_as_it_stands():
    assert b"\r\nTo: Undisclosed recipients:;\r\n" in raw('from: a@b.test, to: ["Undisclosed recipients:;"]')


def test_an_address_that_is_not_ascii_is_written_as_it_stands():
    assert "To: ışık@lümen.test\r\n".encode() in raw("from: a@b.test, to: [ışık@lümen.test]")


def test_the_message_id_depends_on_scenario_and_key_alone():
    read, _ = message("subject: one")
    again, _ = message("subject: two")

    assert internet_id(read, "m1") == internet_id(again, "m1")
    assert internet_id(read, "m1").endswith("@acme.test>")
    assert internet_id(read, "m1") != internet_id(message(key="m2")[0], "m2")


def test_a_written_message_id_is_used():
    assert mail("message_id: <a@b.test>")["Message-ID"] == "<a@b.test>"


def test_a_message_may_reuse_the_id_of_another():
    read = scenario(
        "- {at: 2026-03-02T09:00:00Z, message: {key: m1, in: [ada@northwind.test], from: a@b.test}}\n"
        "- {at: 2026-03-02T09:01:00Z, message: {key: m2, in: [ada@northwind.test], from: c@d.test, message_id: m1}}\n"
    )

    assert internet_id(read, "m2") == internet_id(read, "m1")


def test_messages_that_name_each_other_as_id_have_ids():
    read = scenario(
        "- {at: 2026-03-02T09:00:00Z, message: {key: m1, in: [ada@northwind.test], from: a@b.test, message_id: m2}}\n"
        "- {at: 2026-03-02T09:01:00Z, message: {key: m2, in: [ada@northwind.test], from: c@d.test, message_id: m1}}\n"
    )

    assert internet_id(read, "m1") != internet_id(read, "m2")


@pytest.mark.parametrize("sender", ["Undisclosed:;", "bea@lümen.test"])
def test_a_sender_without_a_usable_domain_gets_an_id_all_the_same(sender):
    read, _ = message(f'from: "{sender}"')

    assert internet_id(read, "m1").endswith("@scenario.test>")


def test_references_name_keys_or_literal_ids():
    read = scenario(
        "- {at: 2026-03-02T09:00:00Z, message: {key: m1, in: [ada@northwind.test], from: a@b.test}}\n"
        "- {at: 2026-03-02T09:01:00Z, message: {key: m2, in: [ada@northwind.test], from: c@d.test,"
        " in_reply_to: m1, references: [<x@y.test>, m1]}}\n"
    )

    content = build_mail(read, read.messages["m2"], ADA).decode()

    first = internet_id(read, "m1")
    assert f"\r\nIn-Reply-To: {first}\r\nReferences: <x@y.test> {first}\r\n" in content


def test_nothing_is_referred_to_that_the_file_does_not_name():
    assert "In-Reply-To" not in mail()
    assert "References" not in mail()


def test_a_date_header_is_literal():
    assert b"\r\nDate: soon\r\n" in raw("date_header: soon, headers: {X: y}")


def test_a_date_header_written_as_a_time_becomes_a_date():
    assert parsedate_to_datetime(mail("date_header: 2026-03-01T23:00:00+03:00")["Date"]).isoformat() == (
        "2026-03-01T20:00:00+00:00"
    )


def test_raw_headers_come_first_in_their_order_and_win():
    content = raw("subject: Prices, headers: {Received: [by b, by a], SUBJECT: Other, List-Id: <l.test>}").decode()

    assert content.startswith("Received: by b\r\nReceived: by a\r\nSUBJECT: Other\r\nList-Id: <l.test>\r\nDate: ")
    assert "Prices" not in content


def test_a_header_set_to_null_is_left_out():
    read, event = message("headers: {Message-ID: null, Date: null}")

    parsed = BytesParser(policy=policy.default).parsebytes(build_mail(read, event, ADA))

    assert (parsed["Message-ID"], parsed["Date"]) == (None, None)
    assert internet_id(read, "m1") == ""


def test_a_raw_header_of_several_lines_stays_one_header():
    parsed = mail('headers: {Authentication-Results: "mx.google.com;\\ndmarc=fail\\n spf=fail\\n"}, text: body')

    assert parsed["Authentication-Results"] == "mx.google.com; dmarc=fail spf=fail"
    assert parsed.get_content() == "body"


def test_a_raw_content_type_makes_the_text_the_raw_body():
    parsed = mail(
        "headers: {Content-Type: multipart/report; report-type=delivery-status; boundary=b},"
        ' text: "--b\\n\\nfailed\\n--b\\nContent-Type: message/delivery-status\\n\\nAction: failed\\n\\n--b--\\n"'
    )

    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "message/delivery-status"]


def test_attachments_have_a_type_by_their_ending():
    parsed = mail("text: see attached, attachments: [quote.pdf, ölçüler.xlsx, strange.zzz, invite.ics]")

    assert parsed.get_body().get_content() == "see attached"
    assert [(part.get_filename(), part.get_content_type()) for part in parsed.iter_attachments()] == [
        ("quote.pdf", "application/pdf"),
        ("ölçüler.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("strange.zzz", "application/octet-stream"),
        ("invite.ics", "text/calendar"),
    ]


def test_bcc_stands_only_on_the_senders_own_copy():
    extra = f"in: [{ADA}, {CAN}], from: {ADA}, to: [bea@acme.test], bcc: [Can <{CAN}>]"

    assert mail(extra, ADA)["Bcc"] == f"Can <{CAN}>"
    assert mail(extra, CAN)["Bcc"] is None


@pytest.mark.parametrize(
    ("extra", "folder"),
    [
        ("from: x@y.test", "inbox"),
        ("from: Ada <ADA@northwind.test>", "sent"),
        ("from: a.yilmaz@northwind.test", "sent"),
        ("from: ada@northwind.test, folder: {ada@northwind.test: inbox}", "inbox"),
        ("from: x@y.test, folder: {ada@northwind.test: spam}", "spam"),
        ("from: x@y.test, headers: {From: ada@northwind.test}", "sent"),
        ("headers: {From: null}", "inbox"),
    ],
)
def test_the_from_mailbox_holds_a_message_in_sent_unless_the_file_says_otherwise(extra, folder):
    read, event = message(extra)

    assert folder_of(read, event, ADA) == folder


def test_an_eml_file_is_the_message_byte_for_byte(tmp_path):
    content = b"From: Ada <ada@northwind.test>\nMessage-ID: <e@northwind.test>\n\nas \xff it is"
    (tmp_path / "quote.eml").write_bytes(content)

    read, event = message("eml: quote.eml", path=tmp_path / "trial.yaml")

    assert build_mail(read, event, ADA) == content
    assert internet_id(read, "m1") == "<e@northwind.test>"
    assert (sender_address(event), folder_of(read, event, ADA)) == (ADA, "sent")


def test_an_eml_file_without_headers_has_neither_id_nor_sender(tmp_path):
    (tmp_path / "quote.eml").write_bytes(b"\n\nnothing")

    read, event = message("eml: quote.eml", path=tmp_path / "trial.yaml")

    assert (internet_id(read, "m1"), sender_address(event)) == ("", "")


def test_a_subject_of_several_lines_stays_one_header():
    assert mail('subject: "Prices\\nX-Evil: 1"')["X-Evil"] is None
