"""normalize: Graph's JSON in, our message out; total, pure and bounded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.linking.addresses import parse_list
from app.model import Attachment
from connectors.mail.graph import normalize as module
from connectors.mail.graph.normalize import headers_of, is_report, normalize


def message(**more: Any) -> dict[str, Any]:
    return {
        "id": "AAMk1",
        "conversationId": "AAQk1",
        "receivedDateTime": "2026-03-02T08:00:00Z",
        "sentDateTime": "2026-03-02T07:59:30Z",
        **more,
    }


def person(address: object, name: object = None) -> dict[str, Any]:
    return {"emailAddress": {"address": address, "name": name}}


def headers(**more: Any) -> dict[str, str]:
    return dict(headers_of(message(**more)))


def test_a_message_is_named_and_placed() -> None:
    read = normalize(message(bodyPreview="Hello Çelik"), folder="inbox")
    assert (read.provider_id, read.provider_thread_id, read.folder) == ("AAMk1", "AAQk1", "inbox")
    assert (read.snippet, read.parked) == ("Hello Çelik", None)


def test_its_time_is_when_it_was_received_or_sent_and_never_the_date_header() -> None:
    dated = message(internetMessageHeaders=[{"name": "Date", "value": "Mon, 1 Jan 2001 00:00:00 +0000"}])
    assert normalize(dated, folder="inbox").at == datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    assert normalize(dated, folder="sent").at == datetime(2026, 3, 2, 7, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize("moment", [None, 5, "", "yesterday", "2026-03-02T08:00:00", "2026-03-02T08:00:00+01:00", "Z"])
def test_without_a_time_it_is_no_message(moment: object) -> None:
    with pytest.raises(ValueError, match="no time"):
        normalize(message(receivedDateTime=moment), folder="inbox")


@pytest.mark.parametrize("provider_id", [None, "", 7])
def test_without_an_id_it_is_no_message(provider_id: object) -> None:
    with pytest.raises(ValueError, match="no id"):
        normalize(message(id=provider_id), folder="inbox")


# --- headers ---


def test_the_mails_own_headers_stand_as_they_came_topmost_first() -> None:
    own = [
        {"name": "Received", "value": "one"},
        {"name": "received", "value": "two\r\n folded"},
        {"name": "", "value": "nameless"},
        {"name": 5, "value": "numbered"},
        "no header",
        {"name": "From", "value": "Bea <bea@acme.test>"},
    ]
    read = headers_of(message(internetMessageHeaders=own, **{"from": person("other@acme.test")}))
    assert read[:3] == (("Received", "one"), ("received", "two folded"), ("From", "Bea <bea@acme.test>"))
    assert [name for name, _ in read].count("From") == 1


def test_headers_that_graph_leaves_out_are_written_from_its_fields() -> None:
    read = headers(
        **{"from": person("can@northwind.test", "Can Demir"), "sender": person("can@northwind.test", "Can Demir")},
        toRecipients=[person("bea@acme.test", "Lindqvist, Bea"), person("tom@acme.test")],
        ccRecipients=[person("x@acme.test", "x@acme.test")],
        bccRecipients=[person("hidden@acme.test", 'The "boss"')],
        replyTo=[person("answers@northwind.test", "'quoted")],
        subject="Offer\r\nBcc: evil@x.test",
        internetMessageId="<m1@northwind.test>",
        conversationIndex="AQHa",
    )
    assert read == {
        "From": "Can Demir <can@northwind.test>",
        "To": '"Lindqvist, Bea" <bea@acme.test>, tom@acme.test',
        "Cc": "x@acme.test",
        "Bcc": '"The \\"boss\\"" <hidden@acme.test>',
        "Reply-To": '"\'quoted" <answers@northwind.test>',
        "Subject": "Offer Bcc: evil@x.test",
        "Date": "Mon, 02 Mar 2026 07:59:30 +0000",
        "Message-ID": "<m1@northwind.test>",
        "Thread-Index": "AQHa",
    }


def test_a_delegate_is_the_sender_and_an_author_that_is_missing_is_the_sender() -> None:
    both = headers(**{"from": person("sales@northwind.test")}, sender=person("ada@northwind.test"))
    assert (both["From"], both["Sender"]) == ("sales@northwind.test", "ada@northwind.test")
    alone = headers(sender=person("ada@northwind.test"))
    assert alone["From"] == "ada@northwind.test"
    assert "Sender" not in alone


def test_what_graph_leaves_out_of_sent_mail_comes_from_mapi_properties() -> None:
    properties = [
        {"id": "string 0x1035", "value": "<own@northwind.test>"},
        {"id": "String 0x1039", "value": "<a@x.test> <b@x.test>"},
        {"id": "String 0x1042", "value": "<b@x.test>"},
        "nothing",
    ]
    read = headers(singleValueExtendedProperties=properties, internetMessageId="<other@northwind.test>")
    assert read["Message-ID"] == "<own@northwind.test>"
    assert (read["References"], read["In-Reply-To"]) == ("<a@x.test> <b@x.test>", "<b@x.test>")


@pytest.mark.parametrize(
    "recipient",
    [
        person("/o=ExchangeLabs/ou=Exchange/cn=ada"),
        person("a b@x.test"),
        person("a@x.test,evil@x.test"),
        person("a@x.test>"),
        person(None),
        person(5, 5),
        None,
        "a@x.test",
        {"emailAddress": "a@x.test"},
    ],
)
def test_a_recipient_without_an_address_is_nobody(recipient: object) -> None:
    assert "To" not in headers(toRecipients=[recipient])


@pytest.mark.parametrize(
    "name", ["Bea", "Ömer Çelik", "a,b", 'say "hi"', "back\\slash", "<x@y.test>", "line\r\nbreak", ""]
)
def test_a_name_never_makes_another_mailbox(name: str) -> None:
    assert [address for _, address in parse_list(headers(toRecipients=[person("bea@acme.test", name)])["To"])] == [
        "bea@acme.test"
    ]


# --- content ---


def test_a_text_is_read_and_html_is_left_out() -> None:
    assert normalize(message(body={"contentType": "text", "content": "a\r\nb"}), folder="inbox").text == "a\nb"
    assert normalize(message(body={"contentType": "html", "content": "<p>a"}), folder="inbox").text == ""
    assert normalize(message(body="a"), folder="inbox").text == ""


def test_attachments_are_named_and_measured_and_mails_among_them_are_mails() -> None:
    listed = [
        {"name": "quote.pdf", "size": 1200, "contentType": "Application/PDF"},
        {"@odata.type": "#microsoft.graph.itemAttachment", "name": "Old mail", "size": "big", "contentType": None},
        {"name": "", "size": 3, "contentType": "image/png"},
        {"name": "negative.txt", "size": -1, "contentType": ""},
        None,
    ]
    read = normalize(message(attachments=listed), folder="inbox")
    assert read.attachments == (
        Attachment("quote.pdf", 1200, "application/pdf"),
        Attachment("Old mail", 0, "message/rfc822"),
        Attachment("negative.txt", 0, ""),
    )
    assert read.part_types == ("application/pdf", "message/rfc822", "image/png")


@pytest.mark.parametrize(
    ("kind", "method"), [("meetingRequest", "request"), ("meetingCancelled", "cancel"), ("meetingAccepted", "reply")]
)
def test_a_meeting_is_calendar_mail(kind: str, method: str) -> None:
    meeting = message(**{"@odata.type": "#microsoft.graph.eventMessageRequest"}, meetingMessageType=kind)
    assert normalize(meeting, folder="inbox").part_types == (f"text/calendar; method={method}",)


def test_a_report_shows_itself_and_brings_back_what_it_is_about() -> None:
    report = message(internetMessageHeaders=[{"name": "Content-Type", "value": " multipart/REPORT; report-type=x"}])
    assert is_report(report)
    assert not is_report(message())
    mime = (
        b"Message-ID: <report@mx.test>\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Message-Id:\r\n <lost@northwind.test>\r\nSubject: x\r\n\r\nmessage-id: <lost@northwind.test>\r\n"
    )
    read = normalize(report, folder="inbox", mime=mime, parked="too large")
    assert read.related_ids == ("<lost@northwind.test>",)
    assert read.part_types == (" multipart/report; report-type=x",)
    assert read.parked == "too large"


# --- whatever comes ---


def test_everything_is_bounded() -> None:
    many = message(
        internetMessageHeaders=[{"name": "X", "value": "v"}] * 5_000,
        toRecipients=[person(f"p{n}@x.test") for n in range(5_000)],
        attachments=[{"name": "a"}] * 500,
        body={"contentType": "text", "content": "x" * 1_000_000},
        bodyPreview="x" * 10_000,
    )
    read = normalize(many, folder="inbox", mime=b"\n\n" + b"Message-ID: <%d@x.test>\n" % 1 * 100_000)
    assert len(read.headers) <= module.MAX_HEADERS + 20
    assert len(parse_list(dict(read.headers)["To"])) <= module.MAX_RECIPIENTS
    assert len(read.attachments) == module.MAX_ATTACHMENTS
    assert len(read.text) == module.MAX_TEXT_CHARS
    assert len(read.snippet) == 500


def test_what_the_database_cannot_hold_is_replaced() -> None:
    read = normalize(message(bodyPreview="a\x00b\ud800c"), folder="inbox")
    assert read.snippet == "a\ufffdb\ufffdc"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = [
    "from",
    "sender",
    "toRecipients",
    "ccRecipients",
    "replyTo",
    "subject",
    "body",
    "bodyPreview",
    "attachments",
    "internetMessageHeaders",
    "singleValueExtendedProperties",
    "internetMessageId",
    "conversationIndex",
    "meetingMessageType",
    "@odata.type",
    "sentDateTime",
]


_ANYTHING = _JSON | st.lists(st.fixed_dictionaries({"emailAddress": _JSON}), max_size=3)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(_FIELDS), _ANYTHING), min_size=1, max_size=3))
def test_no_json_makes_it_fail(fields: list[tuple[str, Any]]) -> None:
    read = normalize({**message(), **dict(fields)}, folder="inbox")
    assert all("\r" not in value and "\n" not in value for _, value in read.headers)
