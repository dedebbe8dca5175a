"""normalize: Gmail's JSON in, our message out; total, pure and bounded."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model import NOT_CHOSEN
from connectors.mail.gmail import normalize as module
from connectors.mail.gmail.normalize import filter_rule, folder_of, normalize


def encode(content: bytes | str) -> str:
    raw = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(raw).decode()


def header(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def part(mime_type: str, content: bytes | str = "", **more: Any) -> dict[str, Any]:
    content_type = more.pop("content_type", mime_type)
    return {
        "mimeType": mime_type,
        "filename": "",
        "headers": [header("Content-Type", content_type)],
        "body": {"size": len(content), "data": encode(content)} if content else {"size": 0},
        **more,
    }


def message(payload: object = None, **more: Any) -> dict[str, Any]:
    shown = {"id": "m1", "threadId": "t1", "internalDate": "1772438400000", "labelIds": ["INBOX"], **more}
    return shown if payload is None else {**shown, "payload": payload}


def test_a_message_is_named_and_placed() -> None:
    read = normalize(message(sizeEstimate=1234, snippet="It&#39;s &lt;b&gt; Çelik"))
    assert (read.provider_id, read.provider_thread_id, read.folder) == ("m1", "t1", "inbox")
    assert read.at == datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    assert read.size_bytes == 1234
    assert read.snippet == "It's <b> Çelik"
    assert read.parked is None


@pytest.mark.parametrize(
    ("labels", "folder"),
    [
        (["INBOX", "UNREAD"], "inbox"),
        (["SENT"], "sent"),
        (["SENT", "INBOX"], "sent"),
        (["IMPORTANT"], "other"),
        (None, "other"),
        ("SENT", "other"),
        ([{"x": 1}], "other"),
    ],
)
def test_labels_say_the_folder(labels: object, folder: str) -> None:
    assert folder_of(labels) == folder


@pytest.mark.parametrize(
    ("labels", "rule"),
    [
        (["DRAFT"], "draft"),
        (["SPAM", "UNREAD"], "spam"),
        (["TRASH", "INBOX"], "trash"),
        (["CHAT"], "chat"),
        (["INBOX"], None),
        (None, None),
        ([["DRAFT"], 5], None),
    ],
)
def test_labels_say_what_is_left_out(labels: object, rule: str | None) -> None:
    assert filter_rule(labels) == rule


@pytest.mark.parametrize(
    ("labels", "rule"),
    [
        (["Label_1", "INBOX"], None),
        (["SENT"], None),
        (["INBOX"], NOT_CHOSEN),
        ([], NOT_CHOSEN),
        (None, NOT_CHOSEN),  # Gmail leaves the list out when there are none
        (["Label_1", "SPAM"], "spam"),
    ],
)
def test_chosen_labels_leave_the_others_out_but_sent_mail(labels: object, rule: str | None) -> None:
    assert filter_rule(labels, frozenset({"Label_1", "Label_2"})) == rule


@pytest.mark.parametrize("broken", [{"id": ""}, {"id": None}, {"id": 5}])
def test_a_message_without_an_id_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no id"):
        normalize(message(**broken))


@pytest.mark.parametrize("internal_date", ["", "x", "-1", None, [], True, -5, "9" * 15, 10**15, "٣", 1.5])
def test_a_message_without_a_time_is_refused(internal_date: object) -> None:
    with pytest.raises(ValueError, match="no time"):
        normalize(message(internalDate=internal_date))


def test_a_time_may_be_a_number() -> None:
    assert normalize(message(internalDate=1772438400000)).at == datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def test_headers_keep_order_case_and_doubles() -> None:
    headers = [header("Received", "one"), header("received", "two"), header("MESSAGE-ID", "<a@b>")]
    assert normalize(message({"headers": headers})).headers == (
        ("Received", "one"),
        ("received", "two"),
        ("MESSAGE-ID", "<a@b>"),
    )


def test_folded_headers_are_unfolded() -> None:
    assert normalize(message({"headers": [header("Subject", "a\r\n b\n\tc")]})).headers == (("Subject", "a b c"),)


def test_what_postgresql_does_not_take_is_replaced() -> None:
    read = normalize(message({"headers": [header("Subject", "a\x00b\ud800c")]}, snippet="\x00"))
    assert read.headers == (("Subject", "a\ufffdb\ufffdc"),)
    assert read.snippet == "\ufffd"


def test_headers_are_bounded() -> None:
    headers = [header("X", "y")] * 5_000 + [header("To", "a" * 1_000_000)]
    assert len(normalize(message({"headers": headers})).headers) == module.MAX_HEADERS
    assert len(normalize(message({"headers": headers[-1:]})).headers[0][1]) == module.MAX_HEADER_CHARS


def test_the_plain_text_is_preferred() -> None:
    payload = part("multipart/alternative", parts=[part("text/html", "<p>rich</p>"), part("text/plain", "plain")])
    assert normalize(message(payload)).text == "plain"


def test_html_alone_gives_its_words() -> None:
    markup = (
        "<head><title>No</title></head><style>p{}</style><p>Hello&nbsp;Bea,</p><p>2 < 3 &amp; more<br>bye</p>"
        "<script>evil()</script></p></div>"
    )
    assert normalize(message(part("text/html", markup))).text == "Hello Bea,\n2 < 3 & more\nbye"


def test_a_text_file_is_no_text_of_the_message() -> None:
    payload = part(
        "multipart/mixed", parts=[part("text/plain", "a file", filename="notes.txt"), part("text/plain", "x")]
    )
    read = normalize(message(payload))
    assert read.text == "x"
    assert [attachment.name for attachment in read.attachments] == ["notes.txt"]


def test_a_text_gmail_keeps_apart_is_left_empty() -> None:
    payload = part("text/plain")
    payload["body"] = {"attachmentId": "big", "size": 9_000_000}
    assert normalize(message(payload)).text == ""


def test_texts_are_bounded() -> None:
    assert len(normalize(message(part("text/plain", "ğ" * 500_000))).text) == module.MAX_TEXT_CHARS


def test_a_text_cut_inside_a_character_is_still_utf8() -> None:
    text = normalize(message(part("text/plain", "x" + "ğ" * 200_000))).text
    assert set(text) == {"x", "ğ"}


@pytest.mark.parametrize(
    ("content", "content_type", "text"),
    [
        ("Çelik".encode(), 'text/plain; charset="iso-8859-9"', "Çelik"),  # Gmail has made it UTF-8 already
        ("ÇŞ lik ok".encode("iso-8859-9"), 'text/plain; charset="ISO-8859-9"', "ÇŞ lik ok"),
        ("naïve ok".encode("latin-1"), "text/plain", "naïve ok"),
        ("naïve ok".encode("latin-1"), "text/plain; charset=nonsense", "naïve ok"),
        ("naïve ok".encode("latin-1"), "text/plain; charset=punycode", "naïve ok"),
        ("naïve ok".encode("latin-1"), "text/plain; charset=iso-8859-99", "naïve ok"),
        (b"a\x00b", "text/plain", "a\ufffdb"),
    ],
)
def test_texts_are_decoded(content: bytes, content_type: str, text: str) -> None:
    assert normalize(message(part("text/plain", content, content_type=content_type))).text == text


@pytest.mark.parametrize("data", ["YWJj", "YWJj==", "YWJj\n", "YWJjZ"])
def test_base64_is_read_with_or_without_padding(data: str) -> None:
    payload = part("text/plain", "x")
    payload["body"]["data"] = data
    assert normalize(message(payload)).text == "abc"


def test_both_base64_alphabets_are_read() -> None:
    payload = part("text/plain", "x")
    payload["body"]["data"] = base64.b64encode("~~~???ÿ".encode()).decode()
    assert normalize(message(payload)).text == "~~~???ÿ"


def test_what_is_no_base64_is_no_text() -> None:
    payload = part("text/plain", "x")
    payload["body"]["data"] = "ğüşiöç"
    assert normalize(message(payload)).text == ""


def test_part_types_keep_their_parameters() -> None:
    payload = part(
        "multipart/report",
        content_type="Multipart/Report;\r\n report-type=Delivery-Status",
        parts=[
            part("text/calendar", "x", content_type="text/calendar; method=REQUEST"),
            {"mimeType": "Text/Plain"},
            {},
        ],
    )
    assert normalize(message(payload)).part_types == (
        "multipart/report; report-type=delivery-status",
        "text/calendar; method=request",
        "text/plain",
    )


def attached(*parts: dict[str, Any], message_id: str = "<inner@acme.test>") -> dict[str, Any]:
    inner = part("multipart/mixed", parts=list(parts))
    inner["headers"].append(header("Message-Id", message_id))
    return part("message/rfc822", parts=[inner])


def test_an_attached_message_is_related_and_its_contents_are_not_ours() -> None:
    payload = part(
        "multipart/mixed",
        parts=[attached(part("text/plain", "inner text"), part("image/png", "x", filename="inner.png"))],
    )
    read = normalize(message(payload))
    assert read.related_ids == ("<inner@acme.test>",)
    assert read.text == ""
    assert read.attachments == ()


@pytest.mark.parametrize("mime_type", ["text/rfc822-headers", "message/rfc822"])
def test_the_headers_in_a_bounce_are_related(mime_type: str) -> None:
    returned = "Received: x\r\nMESSAGE-ID:\r\n <lost@northwind.test>\r\nSubject: y\r\n\r\nMessage-ID: <no@no.test>\r\n"
    payload = part("multipart/report", parts=[part(mime_type, returned)])
    assert normalize(message(payload)).related_ids == ("<lost@northwind.test>",)


def test_the_own_id_is_not_related() -> None:
    payload = part("text/plain", "x")
    payload["headers"].append(header("Message-ID", "<own@acme.test>"))
    assert normalize(message(payload)).related_ids == ()


def test_related_ids_are_bounded_and_named_once() -> None:
    many = [attached(message_id=f"<m{number}@acme.test>") for number in range(100)]
    twice = [attached(), attached()]
    assert len(normalize(message(part("multipart/mixed", parts=many))).related_ids) == module.MAX_RELATED_IDS
    assert len(normalize(message(part("multipart/mixed", parts=twice))).related_ids) == 1


def test_attachments_are_bounded() -> None:
    many = [part("image/png", filename=f"{number}.png") for number in range(300)]
    assert len(normalize(message(part("multipart/mixed", parts=many))).attachments) == module.MAX_ATTACHMENTS


def test_a_deep_tree_ends() -> None:
    payload: dict[str, Any] = part("text/plain", "deep")
    for _ in range(50_000):
        payload = {"mimeType": "multipart/mixed", "parts": [payload]}
    assert len(normalize(message(payload)).part_types) == module.MAX_PARTS


def test_a_wide_tree_ends() -> None:
    payload = {"mimeType": "multipart/mixed", "parts": [{"mimeType": "multipart/mixed", "parts": [{}] * 5_000}] * 5_000}
    assert len(normalize(message(payload)).part_types) <= module.MAX_PARTS


def test_parts_come_in_the_order_of_the_mail() -> None:
    payload = part(
        "a/root",
        parts=[part("b/one", parts=[part("c/two"), part("d/three")]), part("e/four")],
    )
    assert normalize(message(payload)).part_types == ("a/root", "b/one", "c/two", "d/three", "e/four")


def test_headers_only_is_a_message_too() -> None:
    payload = {"mimeType": "text/plain", "headers": [header("Subject", "x")]}
    read = normalize(message(payload), parked="too large")
    assert (read.headers, read.text, read.parked) == ((("Subject", "x"),), "", "too large")


@pytest.mark.parametrize("payload", [[], "x", 5, {"parts": 5}, {"parts": [None, 5, []]}, {"headers": [5, None, {}]}])
def test_a_payload_of_another_shape_is_an_empty_message(payload: object) -> None:
    read = normalize(message(payload))
    assert (read.headers, read.text, read.attachments) == ((), "", ())


@pytest.mark.parametrize("size", [-1, "5", None, 2**60, [], 1.5])
def test_a_size_of_another_shape_is_nothing(size: object) -> None:
    assert normalize(message(sizeEstimate=size)).size_bytes == 0


@pytest.mark.parametrize("piece", ["<", "<a ", "<!--", "<b>", "</>", "<?>", "&", "<textarea>", '<a b="'])
def test_hostile_html_ends_in_a_bounded_text(piece: str) -> None:
    read = normalize(message(part("text/html", (piece * 300_000)[:299_000])))
    assert len(read.text) <= module.MAX_TEXT_CHARS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["headers", "parts", "body", "data", "mimeType", "filename", "name", "value", "size"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None)
@given(JSON, JSON, JSON)
def test_any_json_is_read_or_refused(payload: object, labels: object, snippet: object) -> None:
    read = normalize(message(payload, labelIds=labels, snippet=snippet))
    json.dumps(read.text + read.snippet, ensure_ascii=False).encode()
    filter_rule(labels)
