"""From the bytes of a mail to what a connector delivers."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import MailUnreadable, ThreadlinkError
from app.linking import headers, mime
from app.linking.addresses import make_ours
from app.model import Attachment, ProviderMessage
from tests.unit.linking.timing import LINEAR, growth

AT = datetime(2026, 1, 1, 10, 12, tzinfo=UTC)


def parse(raw: bytes | str, *, at: datetime | None = AT) -> ProviderMessage:
    if isinstance(raw, str):
        raw = raw.replace("\n", "\r\n").encode()
    return mime.parse(raw, provider_id="p", at=at, folder="inbox")


def multipart(*parts: str, kind: str = "mixed", closing: str = "--AA--\n") -> str:
    body = "".join(f"--AA\n{part}\n" for part in parts)
    return f'From: a@b.com\nContent-Type: multipart/{kind}; boundary="AA"\n\npreamble\n{body}{closing}'


# --- headers ----------------------------------------------------------------------------------------------------------


def test_headers_come_unfolded_in_the_order_of_the_mail() -> None:
    mail = parse("Received: by a;\n 1\nreceived: by b\nTo: =?utf-8?Q?a?= <a@b.com>,\n\tc@d.com \nX-Empty:\n\nbody")
    assert mail.headers == (
        ("Received", "by a; 1"),
        ("received", "by b"),
        ("To", "=?utf-8?Q?a?= <a@b.com>, c@d.com"),
        ("X-Empty", ""),
    )
    assert mail.text == "body"


def test_what_was_asked_for_is_what_is_said() -> None:
    mail = mime.parse(b"From: a@b.com\n\nx", provider_id="77", at=AT, folder="sent")
    assert (mail.provider_id, mail.provider_thread_id, mail.at, mail.folder) == ("77", "", AT, "sent")
    assert (mail.snippet, mail.size_bytes, mail.parked) == ("", 16, None)


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-9", "windows-1254"])
def test_headers_in_bare_eight_bit_are_read(encoding: str) -> None:
    assert parse("Subject: Işık çağrısı\n\n".encode(encoding)).headers == (("Subject", "Işık çağrısı"),)


def test_lines_that_are_no_headers_are_skipped() -> None:
    mail = parse("From ayse@firma.com Thu Jan  1 10:00:00 2026\nFrom: a@b.com\nno header\n: none\nSubject: x\n\nbody")
    assert mail.headers == (("From", "a@b.com"), ("Subject", "x"))


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n", b"no header at all", b"\x00\xff" * 100, b"--x\n"])
def test_what_has_no_header_is_no_mail(raw: bytes) -> None:
    with pytest.raises(MailUnreadable) as refused:
        parse(raw)
    assert isinstance(refused.value, ThreadlinkError)
    assert isinstance(refused.value, ValueError)


def test_a_mail_may_end_with_its_headers() -> None:
    assert parse("From: a@b.com\nSubject: x").headers == (("From", "a@b.com"), ("Subject", "x"))
    assert parse("\n\nFrom: a@b.com\n").text == ""


@pytest.mark.parametrize(
    ("raw", "moment"),
    [
        (
            "Date: Thu, 01 Jan 2026 13:00:00 +0300\nReceived: x; 2 Jan 2026 10:00:00 +0000\n\n",
            datetime(2026, 1, 1, 10, tzinfo=UTC),
        ),
        (
            "Received: x; 2 Jan 2026 10:00:00 +0000\nReceived: y; 1 Jan 2026 10:00:00 +0000\n\n",
            datetime(2026, 1, 1, 10, tzinfo=UTC),
        ),
        ("Received: x; 2 Jan 2026 10:00:00 +0000\nReceived: y\nDate: soon\n\n", datetime(2026, 1, 2, 10, tzinfo=UTC)),
        ("Subject: x\n\n", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_without_the_providers_time_it_is_date_or_the_oldest_received(raw: str, moment: datetime) -> None:
    assert parse(raw, at=None).at == moment


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-9", "windows-1254"])
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_turkish_text_is_read_in_every_encoding(charset: str, encoding: str) -> None:
    mail = EmailMessage()
    mail["From"] = "a@b.com"
    mail.set_content("Işık çağrıyı görüşür müsün\n", charset=charset, cte=encoding)
    assert parse(mail.as_bytes()).text == "Işık çağrıyı görüşür müsün\n"


def test_plain_text_is_preferred_to_html() -> None:
    mail = parse(
        multipart("Content-Type: text/html\n\n<p>html</p>", "Content-Type: text/plain\n\nplain", kind="alternative")
    )
    assert mail.text == "plain"


def test_html_is_made_readable_when_there_is_no_plain_text() -> None:
    page = "Content-Type: text/html; charset=utf-8\n\n<p>Merhaba <b>Ayşe</b></p>"
    assert parse(multipart("Content-Type: text/plain\n\n \n", page)).text == "Merhaba Ayşe"


def test_a_part_without_headers_is_plain_text() -> None:
    assert parse(multipart("\nplain")).text == "plain"
    assert parse(multipart("\nplain")).part_types[1] == "text/plain"


@pytest.mark.parametrize(
    "header", ["Content-Disposition: attachment", "Content-Type: text/plain; name=a.txt", "Content-Type: text/csv"]
)
def test_an_attached_text_is_not_what_the_author_wrote(header: str) -> None:
    assert parse(multipart(f"{header}\n\nattached")).text == ""


def test_preamble_and_epilogue_are_not_read() -> None:
    mail = parse(multipart("Content-Type: text/html\n\nx") + "epilogue\n--AA\n\nlate")
    assert (mail.text, len(mail.part_types)) == ("x", 2)


def test_a_multipart_without_its_end_is_read_to_the_end() -> None:
    assert parse(multipart("\nplain\n--AA", "\nsecond", closing="")).text == "plain"
    assert parse(multipart("\nonly", closing="")).text == "only\n"


def test_a_multipart_without_a_boundary_has_no_text() -> None:
    mail = parse("From: a@b.com\nContent-Type: multipart/mixed\n\n--AA\n\nx")
    assert (mail.text, mail.attachments) == ("", ())


def test_a_text_is_cut_between_two_characters() -> None:
    mail = parse(b"From: a@b.com\n\na" + "ğ".encode() * 400_000)
    assert set(mail.text[1:]) == {"ğ"}
    assert len(mail.text) == 262_144


def test_an_encoding_nobody_knows_is_read_as_it_is() -> None:
    assert parse("From: a@b.com\nContent-Transfer-Encoding: x-unknown\n\nplain").text == "plain"


# --- structure ------------------------------------------------------------------------------------------------------


def test_parts_are_found_in_parts() -> None:
    page = "--BB\nContent-Type: Text/HTML\n\nx\n--BB--\n"
    inner = "Content-Type: multipart/alternative; boundary=BB\n\n--BB\n\ninner\n"
    mail = parse(multipart(inner + page, "Content-Type: application/pdf; name=x.pdf\n\n%PDF"))
    assert mail.part_types == (
        'multipart/mixed; boundary="aa"',
        "multipart/alternative; boundary=bb",
        "text/plain",
        "text/html",
        "application/pdf; name=x.pdf",
    )
    assert mail.text == "inner"
    assert mail.attachments == (Attachment("x.pdf", 4, "application/pdf"),)


def test_an_outer_boundary_ends_what_is_open_inside() -> None:
    inner = "Content-Type: multipart/alternative; boundary=BB\n\n--BB\n\ninner"
    assert parse(multipart(inner, "Content-Type: a/b\n\nx")).part_types[2:] == ("text/plain", "a/b")


def test_a_part_may_consist_of_its_boundary_alone() -> None:
    mail = parse('From: a@b.com\nContent-Type: multipart/mixed; boundary="AA"\n\n--AA\n--AA\n\nx\n--AA--')
    assert (mail.text, mail.part_types[1:]) == ("x", ("text/plain", "text/plain"))


def test_lines_that_only_look_like_a_boundary_are_text() -> None:
    assert parse(multipart("\na\n-- \n--AAA\n--A\n--AA x\n--AA---\nb")).text == "a\n-- \n--AAA\n--A\n--AA x\n--AA---\nb"


def test_a_boundary_may_be_followed_by_blanks() -> None:
    assert parse(multipart("\nx", closing="--AA--  \t\nepilogue")).text == "x"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=teklif.pdf", "teklif.pdf"),
        ('attachment; filename="a \\"b\\"; c.pdf"', 'a "b"; c.pdf'),
        ("attachment; FileName*=utf-8''fat%C4%B1ra.pdf", "fatıra.pdf"),
        ("attachment; filename*=iso-8859-9'tr'%FE%FD.pdf; filename=x.pdf", "şı.pdf"),
        (
            "attachment;\n filename*0*=windows-1254''%FEim;\n filename*1*=%FEek%20;\n filename*2=son.pdf",
            "şimşek son.pdf",
        ),
        ('attachment; filename*0="a";\n filename*1="b.pdf"', "ab.pdf"),
        ("attachment; filename==?utf-8?Q?fat=C4=B1ra?=", "=?utf-8?Q?fat=C4=B1ra?="),
        ("attachment; filename*=broken", ""),
        ("attachment", ""),
        ("attachment; =x; filename", ""),
    ],
)
def test_an_attachment_has_its_name_however_it_is_written(disposition: str, name: str) -> None:
    mail = parse(multipart(f"Content-Type: application/pdf\nContent-Disposition: {disposition}\n\n%PDF"))
    assert mail.attachments == (Attachment(name, 4, "application/pdf"),)


def test_the_name_may_stand_in_the_type() -> None:
    assert parse(multipart("Content-Type: image/png; name*=utf-8''%C5%9F.png\n\nx")).attachments[0].name == "ş.png"


def test_the_size_of_an_encoded_attachment_is_about_that_of_the_file() -> None:
    mail = EmailMessage()
    mail.set_content("x")
    mail.add_attachment(b"x" * 100_000, maintype="application", subtype="pdf", filename="x.pdf")
    raw = mail.as_bytes().replace(b"\n", b"\r\n")
    assert parse(raw).attachments[0].size_bytes == pytest.approx(100_000, rel=0.01)


def test_an_inline_picture_is_an_attachment_and_a_report_is_none() -> None:
    mail = parse(multipart("Content-Type: image/png\n\nx", "Content-Type: message/delivery-status\n\nx"))
    assert mail.attachments == (Attachment("", 1, "image/png"),)


ORIGINAL = "Message-ID: <sent@firma.com>\nSubject: teklif\n"


@pytest.mark.parametrize(
    "part",
    [
        f"Content-Type: text/rfc822-headers\n\n{ORIGINAL}",
        f"Content-Type: message/rfc822\n\n{ORIGINAL}\nbody",
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nTWVzc2FnZS1JRDogPHNlbnRAZmlybWEuY29tPgo=",
    ],
)
def test_a_bounce_brings_the_id_of_the_mail_that_did_not_arrive(part: str) -> None:
    mail = parse(multipart("\nfailed", part, kind="report; report-type=delivery-status"))
    assert mail.related_ids == ("<sent@firma.com>",)
    message = headers.read(mail, account_id=1, ours=make_ours([], []), authserv_id=None)
    assert (message.automated, message.bounce_of) == ("bounce", "<sent@firma.com>")


def test_an_attached_mail_is_not_opened() -> None:
    attached = "Content-Type: multipart/mixed; boundary=CC\n\n--CC\nContent-Type: text/plain\n\nnot ours\n--CC--\n"
    mail = parse(multipart(f"Content-Type: message/rfc822\n\n{attached}"))
    assert (mail.text, mail.part_types[1:], mail.related_ids) == ("", ("message/rfc822",), ())
    assert mail.attachments[0].content_type == "message/rfc822"


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_of_a_mail_over_25_mb_the_beginning_is_read() -> None:
    mail = parse(b"From: a@b.com\n\n" + b"x" * mime.MAX_BYTES)
    assert (mail.parked, mail.size_bytes) == ("too large", mime.MAX_BYTES + 15)
    assert mail.text.startswith("xxx")


def test_headers_over_1_mb_are_not_read() -> None:
    assert parse(b"From: a@b.com\n" + b"X: y\n" * 300_000 + b"\nbody").parked == "too large"


def test_a_header_is_cut_just_above_its_limit_so_that_the_cut_is_seen() -> None:
    mail = parse(
        b"From: a@b.com" + b" " * 100 + b"\nSubject: " + b"x" * 500_000 + b"\nX-Other: " + b"y" * 500_000 + b"\n\n"
    )
    assert [len(value) for _, value in mail.headers] == [7, 16_385, 16_385]
    assert "header_cut" in headers.read(mail, account_id=1, ours=make_ours([], []), authserv_id=None).flags


def test_a_header_in_bare_eight_bit_is_cut_between_two_characters() -> None:
    ((_, value),) = parse(b"Subject: a" + "ğ".encode() * 40_000 + b"\n\n").headers
    assert set(value[1:]) == {"ğ"}


def test_more_than_two_thousand_headers_are_cut_so_that_the_cut_is_seen() -> None:
    mail = parse(b"X: y\n" * 5_000)
    assert "header_cut" in headers.read(mail, account_id=1, ours=make_ours([], []), authserv_id=None).flags


def test_more_than_two_hundred_parts_are_too_many() -> None:
    mail = parse(multipart(*["\nx"] * 300))
    assert (len(mail.part_types), mail.parked) == (200, "too many parts")


def test_more_than_twenty_levels_are_too_many() -> None:
    levels = "".join(f"--b{n}\nContent-Type: multipart/mixed; boundary=b{n + 1}\n\n" for n in range(2_000))
    mail = parse(f"From: a@b.com\nContent-Type: multipart/mixed; boundary=b0\n\n{levels}")
    assert (len(mail.part_types), mail.parked) == (21, "too many parts")


def test_after_ten_thousand_dashed_lines_no_part_is_looked_for() -> None:
    mail = parse(multipart("\nx\n" + "--\n" * 20_000, "\ny"))
    assert (len(mail.part_types), mail.parked) == (2, "too many parts")


def test_the_headers_of_a_part_are_read_within_16_kb() -> None:
    mail = parse(multipart("X: y\n" * 10_000 + "Content-Type: text/html\n\nx"))
    assert mail.part_types[1] == "text/plain"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_mail_or_refused(raw: bytes) -> None:
    try:
        parse(raw, at=None)
    except MailUnreadable:
        assert not mime._headers(raw.lstrip(b"\r\n"), 0, 1_000, 10)[0]


LINES = st.sampled_from([
    b"--a", b"--b", b"--a--", b"--b--", b"", b"\r", b"text", b"-- ", b"From: a@b.com", b"Content-Type: text/html",
    b"Content-Type: multipart/mixed; boundary=a", b"Content-Type: multipart/x; boundary=\"b\"", b" folded",
    b"Content-Transfer-Encoding: base64", b"Content-Type: message/rfc822", b"QUFB", b"Content-Disposition: attachment",
])  # fmt: skip


@given(st.lists(LINES, max_size=25))
def test_any_mail_is_read_within_its_own_bytes(lines: list[bytes]) -> None:
    raw = b"From: a@b.com\n" + b"\n".join(lines)
    mail = parse(raw)
    assert len(mail.text.encode()) <= len(raw)
    assert all(0 <= attachment.size_bytes <= len(raw) for attachment in mail.attachments)
    assert len(mail.part_types) >= 1


@given(
    st.dictionaries(
        st.sampled_from(["From", "To", "Subject", "X-Other"]),
        st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
    )
)
def test_plain_headers_are_read_as_the_standard_library_reads_them(values: dict[str, str]) -> None:
    raw = "".join(f"{name}: {value}\r\n" for name, value in values.items()).encode() + b"X-End: x\r\n\r\nbody"
    expected = [(name, str(value)) for name, value in message_from_bytes(raw).items()]
    assert list(parse(raw).headers) == expected


ADVERSARIAL: dict[str, Any] = {
    "dashes": lambda n: multipart("\n" + "--\n" * (n // 3)),
    "boundaries": lambda n: multipart(closing="--AA\n" * (n // 5)),
    "boundaries with headers": lambda n: multipart(closing="--AA\na: b\na: b\n" * (n // 20)),
    "closing boundaries": lambda n: multipart(closing="--AA--\n" * (n // 7)),
    "nesting": lambda n: (
        "A: b\n" + "".join(f"Content-Type: multipart/x; boundary=b{i}\n\n--b{i}\n" for i in range(n // 40))
    ),
    "short headers": lambda n: "a:\n" * (n // 3),
    "folds": lambda n: "a: b\n" + " \n" * (n // 2),
    "no header": lambda n: "a: b\n" + "x" * n,
    "blank name": lambda n: "a: b\n" + ("x" + " " * 50 + "\n") * (n // 52),
    "parameters": lambda n: "Content-Type: text/plain" + ";" * n,
    "open quotes": lambda n: "Content-Type: text/plain" + ';a="\\' * (n // 5),
    "continuations": lambda n: "Content-Type: a/b" + "".join(f";name*{i}=x" for i in range(n // 10)),
    "newlines": lambda n: "a: b\n\n" + "\n" * n,
    "base64": lambda n: "Content-Transfer-Encoding: base64\n\n" + "=\n" * (n // 2),
    "quoted-printable": lambda n: "Content-Transfer-Encoding: quoted-printable\n\n" + "=\n" * (n // 2),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_cost_of_a_mail_grows_with_its_length(name: str) -> None:
    assert growth(lambda size: parse(ADVERSARIAL[name](size)), 20_000, rounds=5) < LINEAR
