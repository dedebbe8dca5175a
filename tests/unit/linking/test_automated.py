"""Bounces, receipts, auto-replies, calendar and bulk mail, in this order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.linking.addresses import make_ours
from app.linking.automated import Signs, classify
from app.model import Automated
from tests.unit.linking.timing import LINEAR, growth

OURS = make_ours(["ayse@firma.com"], ["firma.com"])


def kind(headers: dict[str, str] | None = None, **changes: Any) -> Automated | None:
    signs: dict[str, Any] = {
        "part_types": ("text/plain",),
        "subject": "Teklif",
        "senders": ("john@customer.com",),
        "recipients": ("ayse@firma.com",),
        "is_own_mail": False,
        "ours": OURS,
    } | changes
    return classify(Signs(headers={name: [value] for name, value in (headers or {}).items()}, **signs))


def test_what_a_person_wrote_is_not_automated() -> None:
    headers = {
        "auto-submitted": "no",
        "precedence": "first-class",
        "list-unsubscribe": " ",
        "return-path": "<john@customer.com>",
        "x-autoreply": "no",
        "content-type": "multipart/mixed; boundary=x",
    }
    assert kind(headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": 'multipart/report; report-type="delivery-status"; boundary=x'},
        {"x-failed-recipients": "a@b.com"},
        {"x-ms-exchange-message-is-ndr": ""},
        {"return-path": " <> "},
    ],
)
def test_a_bounce_is_known_by_its_headers(headers: dict[str, str]) -> None:
    assert kind(headers) == "bounce"


@pytest.mark.parametrize("address", ["mailer-daemon@googlemail.com", "postmaster@customer.com"])
def test_a_bounce_is_known_by_its_sender(address: str) -> None:
    assert kind(senders=(address,)) == "bounce"


def test_a_bounce_is_known_by_its_parts() -> None:
    parts = ("multipart/report; report-type=delivery-status", "text/plain", "message/delivery-status")
    assert kind(part_types=parts) == "bounce"


def test_a_bounce_that_somebody_forwards_is_not_one() -> None:
    assert (
        kind(part_types=("multipart/mixed", "message/rfc822", "multipart/report; report-type=delivery-status")) is None
    )


@pytest.mark.parametrize("report", ["disposition-notification", "feedback-report"])
def test_receipts_and_complaints_are_signals(report: str) -> None:
    headers = {"content-type": f"multipart/report; report-type={report}", "return-path": "<>"}
    assert kind(headers) == "receipt"


@pytest.mark.parametrize(
    "headers",
    [
        {"auto-submitted": "auto-replied"},
        {"auto-submitted": "Auto-Replied (vacation)"},
        {"x-autoreply": "yes"},
        {"x-autorespond": "x"},
        {"x-autoresponder": "x"},
        {"precedence": "auto_reply"},
        {"auto-submitted": "auto-replied", "return-path": "<>"},
        {"auto-submitted": "auto-replied", "list-id": "<x.y>"},
    ],
)
def test_an_auto_reply_is_known_by_its_headers(headers: dict[str, str]) -> None:
    assert kind(headers) == "auto_reply"


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: Teklif",
        "Out of Office: Teklif",
        "Out of the office",
        "OOO: away",
        "Automatische Antwort: Angebot",
        "Réponse automatique : Offre",
        "Respuesta automática: oferta",
        "Otomatik yanıt: Teklif",
        "OTOMATİK YANIT: Teklif",
        "Otomatik  Cevap",
        "Автоматический ответ: x",
        "自動応答: x",
    ],
)
def test_an_auto_reply_is_known_by_its_subject_in_many_languages(subject: str) -> None:
    assert kind(subject=subject) == "auto_reply"


@pytest.mark.parametrize("subject", ["Re: Automatic reply: Teklif", "Autoreplying machines", "Automatic replying", ""])
def test_a_subject_that_only_mentions_one_is_a_persons(subject: str) -> None:
    assert kind(subject=subject) is None


@pytest.mark.parametrize("method", ["request", '"reply"', "cancel", "counter"])
def test_an_invitation_is_calendar_mail(method: str) -> None:
    assert kind(part_types=("multipart/alternative", f"text/calendar; charset=utf-8; method={method}")) == "calendar"


def test_a_meeting_message_of_outlook_is_calendar_mail() -> None:
    assert kind({"content-class": "urn:content-classes:calendarmessage"}) == "calendar"


@pytest.mark.parametrize("part", ["text/calendar", "text/calendar; method=publish", "application/ics; method=request"])
def test_a_calendar_file_alone_is_not(part: str) -> None:
    assert kind(part_types=("multipart/mixed", part)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"list-id": "News <news.example.com>"},
        {"list-unsubscribe": "<https://example.com/u>"},
        {"precedence": "Bulk"},
        {"precedence": "list"},
        {"precedence": "junk"},
        {"auto-submitted": "auto-generated"},
        {"feedback-id": "1:2:3:esp"},
        {"x-google-group-id": "123", "list-id": "<group.customer.com>"},
    ],
)
def test_bulk_mail_is_known_by_its_headers(headers: dict[str, str]) -> None:
    assert kind(headers) == "bulk"


@pytest.mark.parametrize(
    "address",
    [
        "noreply@x.com",
        "no-reply@x.com",
        "no.reply@x.com",
        "donotreply@x.com",
        "do-not-reply@x.com",
        "billing-noreply@x.com",
        "noreply+123@x.com",
        "yanitlamayin@x.com",
        "cevaplamayınız@x.com",
    ],
)
def test_bulk_mail_is_known_by_a_sender_who_takes_no_reply(address: str) -> None:
    assert kind(senders=(address,)) == "bulk"


@pytest.mark.parametrize("address", ["norma.reply@x.com", "arnoreply@x.com", "noreplyson@x.com", "reply@noreply.com"])
def test_a_person_may_have_a_similar_name(address: str) -> None:
    assert kind(senders=(address,)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"list-id": "Support <support.firma.com>", "precedence": "list", "list-unsubscribe": "<mailto:u@firma.com>"},
        {"list-id": "<firma.com>"},
        {"x-google-group-id": "123", "precedence": "list", "list-unsubscribe": "<mailto:u@firma.com>"},
    ],
)
def test_mail_through_a_group_of_ours_is_not_bulk(headers: dict[str, str]) -> None:
    assert kind(headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"list-id": "<support.notfirma.com>"},
        {"list-id": "<news.customer.com>", "x-google-group-id": "123"},
        {"list-id": "<support.firma.com>", "feedback-id": "1:2:3:esp"},
        {"list-id": "<support.firma.com>", "auto-submitted": "auto-generated"},
    ],
)
def test_bulk_mail_stays_bulk_beside_or_through_a_group_of_ours(headers: dict[str, str]) -> None:
    assert kind(headers) == "bulk"


def test_a_group_number_without_one_of_us_is_not_our_group() -> None:
    assert kind({"x-google-group-id": "123", "precedence": "list"}, recipients=("x@customer.com",)) == "bulk"


def test_a_sales_sequence_of_ours_to_one_person_is_not_bulk() -> None:
    headers = {"list-unsubscribe": "<https://firma.com/u>", "feedback-id": "1:2:3:esp"}
    own = {"senders": ("ayse@firma.com",), "is_own_mail": True}
    assert kind(headers, recipients=("john@customer.com",), **own) is None
    assert kind(headers, recipients=("john@customer.com", "jane@customer.com"), **own) == "bulk"
    assert kind(headers, recipients=("john@customer.com",), senders=("ayse@firma.com",)) == "bulk"


@given(
    st.dictionaries(
        st.sampled_from(
            ["list-id", "precedence", "auto-submitted", "content-type", "return-path", "x-google-group-id"]
        ),
        st.text(max_size=30),
    ),
    st.text(max_size=30),
    st.lists(st.text(max_size=30), max_size=3),
)
def test_any_mail_is_of_some_kind_or_none(headers: dict[str, str], subject: str, parts: list[str]) -> None:
    assert kind(headers, subject=subject, part_types=parts) in {
        None,
        "bounce",
        "receipt",
        "auto_reply",
        "calendar",
        "bulk",
    }


@pytest.mark.parametrize("unit", ["<", "a", "report-type=", "method= ", " "])
@pytest.mark.parametrize("name", ["list-id", "content-type"])
def test_the_cost_grows_with_the_headers(name: str, unit: str) -> None:
    def read(size: int) -> Automated | None:
        filled = unit * (size // len(unit))
        return kind({name: "multipart/report;" + filled}, part_types=["text/calendar;" + filled])

    assert growth(read, 4_000) < LINEAR
