"""A whole mail taken apart for who looks: HTML with its own pictures, else its text; attachments by name and turn."""

from __future__ import annotations

import base64
from email.message import EmailMessage

import pytest

from app.linking.original import MAX_PICTURE_BYTES, file_name, file_of, read
from app.model import Attachment

GIF = b"GIF89a" + bytes(20)


def mail(html: str = "", text: str = "Plain words") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "bea@acme.test"
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def test_html_is_shown_with_the_pictures_of_the_same_mail() -> None:
    message = mail('<p>Iğdır <img src="cid:logo@x"><img src="cid:other@y"><img src="cid:page@x"></p>')
    related = message.get_payload()[1]
    related.add_related(GIF, "image", "png", cid="<logo@x>")
    related.add_related(b"<svg onload=x>", "image", "gif", cid="<page@x>")
    shown = read(message.as_bytes()).html
    assert shown == f'<p>Iğdır <img src="data:image/gif;base64,{base64.b64encode(GIF).decode()}"><img><img></p>\n'


def test_a_picture_too_large_is_left_out() -> None:
    message = mail('<img src="cid:a">')
    message.get_payload()[1].add_related(GIF + bytes(MAX_PICTURE_BYTES), "image", "gif", cid="<a>")
    assert "base64" not in read(message.as_bytes()).html


def test_a_mail_without_html_shows_its_text() -> None:
    assert read(mail(text="<b>Plain</b>").as_bytes()).text == "<b>Plain</b>\n"
    assert read(b"From: a@b.test\r\n\r\n").html == ""


def test_an_attached_page_is_no_body() -> None:
    message = mail()
    message.add_attachment("<p>page</p>", subtype="html", filename="page.html")
    assert read(message.as_bytes()).html == ""


def test_attachments_are_found_by_name_and_turn() -> None:
    message = mail("<p>x</p>")
    for content, name in ((b"one", "ölçü.pdf"), (b"other", "other.pdf"), (b"two", "ölçü.pdf")):
        message.add_attachment(content, "application", "pdf", filename=name)
    described = [Attachment(name, 1) for name in ("other.pdf", "ölçü.pdf", "ölçü.pdf", "gone.pdf")]
    found = [file_of(message.as_bytes(), described, number) for number in range(4)]
    assert found == [b"other", b"one", b"two", None]


@pytest.mark.parametrize(
    ("written", "saved"),
    [
        ("Offer March.pdf", "Offer March.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\temp\\a.exe", "C_temp_a.exe"),
        ("cod\u202exe.gpj", "cod xe.gpj"),
        ("a\r\nSet-Cookie: b.pdf", "a Set-Cookie_ b.pdf"),
        (".htaccess", "htaccess"),
        ("", "attachment"),
        ("...", "attachment"),
        ("x" * 300 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
def test_a_file_is_saved_by_a_harmless_name(written: str, saved: str) -> None:
    assert file_name(written) == saved
