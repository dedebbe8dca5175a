"""A mail as it was sent: shown in a frame without rights, its attachments saved, opened where its owner reads it."""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage

import pytest
from werkzeug.test import TestResponse

from app.errors import AccessRevoked, Rejected, Unavailable
from app.model import Attachment
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, Office
from tests.integration.web.conftest import ObedientMail
from tests.integration.web.test_inbox import Page, browse, office

__all__ = ["browse", "office"]
pytestmark = pytest.mark.integration

PDF = b"%PDF-1.7 \x00\xff"


def path_of(office: Office, key: str) -> str:
    found = office.load(office.conversation_of(key))
    message = next(each for each in found.messages if each.internet_id == f"<{key}@x.test>")
    return f"/conversations/{found.public_id}/messages/{message.public_id}"


def keep(office: Office, mail: ObedientMail, key: str, address: str, content: bytes) -> str:
    """Let a mailbox hold this as the whole mail of a message; return the mail's provider id."""
    rows = office.rows(
        """
        SELECT c.provider_id FROM message_copy c JOIN message m ON m.id = c.message_id
        WHERE m.internet_id = :id AND c.account_id = :account
        """,
        id=f"<{key}@x.test>",
        account=office.accounts[address].id,
    )
    mail.originals[address, rows[0].provider_id] = content
    return str(rows[0].provider_id)


def written(html: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = BEA
    message.set_content("plain")
    message.add_alternative(html, subtype="html")
    return message


def get(page: Page, path: str) -> TestResponse:
    return page.client.get(path)


def test_the_original_is_shown_in_a_frame_that_may_load_nothing(
    office: Office, mail: ObedientMail, browse: Callable[[str], Page]
) -> None:
    office.mail("m1", BEA, ADA)
    content = written('<p onclick=x>Hello <img src="https://tracker.test/p.gif"></p><script>x()</script>')
    provider_id = keep(office, mail, "m1", ADA, content.as_bytes())
    answer = get(browse(ADA), f"{path_of(office, 'm1')}/original")
    assert answer.status_code == 200
    assert "<p>Hello <img></p>" in answer.text
    assert "tracker.test" not in answer.text
    assert mail.asked == [(ADA, provider_id)]
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "sandbox allow-popups" in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_attachment_is_saved_and_never_shown(
    office: Office, mail: ObedientMail, browse: Callable[[str], Page]
) -> None:
    listed = [Attachment("a/ölçü\u202e.html", 9, "text/html"), Attachment("gone.pdf", 1, "application/pdf")]
    office.mail("m1", BEA, ADA, attachments=listed)
    content = written("<p>x</p>")
    content.add_attachment(PDF, "text", "html", filename="a/ölçü\u202e.html")
    keep(office, mail, "m1", ADA, content.as_bytes())
    path = f"{path_of(office, 'm1')}/attachments"
    ada = browse(ADA)
    answer = get(ada, f"{path}/0")
    assert answer.data == PDF
    assert (
        answer.headers["Content-Disposition"]
        == "attachment; filename=\"a_olcu .html\"; filename*=UTF-8''a_%C3%B6l%C3%A7%C3%BC%20.html"
    )
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    gone = get(ada, f"{path}/1")
    assert gone.status_code == 410
    assert "no longer in the mailbox" in gone.text
    assert ada.status(f"{path}/2") == 404


def test_only_who_reads_the_text_sees_the_original_and_through_the_same_copy(
    office: Office, mail: ObedientMail, browse: Callable[[str], Page]
) -> None:
    office.mail("m1", BEA, ADA)  # Bea's only deal: everybody who sees it may read
    keep(office, mail, "m1", ADA, written("<p>shared</p>").as_bytes())
    office.mail("m2", BEA, [ADA, CAN], at=[ADA, CAN], answers="m1")
    keep(office, mail, "m2", ADA, written("<p>of Ada</p>").as_bytes())
    keep(office, mail, "m2", CAN, written("<p>of Can</p>").as_bytes())
    eve = browse(EVE)
    assert "<p>shared</p>" in get(eve, f"{path_of(office, 'm1')}/original").text
    assert "of Can" in get(browse(CAN), f"{path_of(office, 'm2')}/original").text
    assert "of Ada" in get(browse(ADA), f"{path_of(office, 'm2')}/original").text
    paths = [f"{path_of(office, 'm1')}/{what}" for what in ("original", "attachments/0", "open")]
    office.share(ADA, office.conversation_of("m1"), "metadata")
    asked = list(mail.asked)
    for email in (EVE, DAN):  # an administrator sees people and dates
        assert [browse(email).status(path) for path in paths] == [404, 404, 404]
    assert mail.asked == asked


def test_a_mail_is_opened_in_an_own_mailbox_alone(office: Office, browse: Callable[[str], Page]) -> None:
    office.mail("m1", BEA, ADA)
    answer = get(browse(ADA), f"{path_of(office, 'm1')}/open")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"https://mail.test/{ADA}/")
    assert browse(EVE).status(f"{path_of(office, 'm1')}/open") == 404


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (Unavailable(), 503, "does not answer"),
        (Rejected(), 413, "too large"),
        (AccessRevoked(), 409, "no longer accepts our access"),
        (None, 410, "no longer in the mailbox"),
    ],
)
def test_trouble_has_words_and_a_way_on(
    office: Office,
    mail: ObedientMail,
    browse: Callable[[str], Page],
    error: Exception | None,
    status: int,
    told: str,
) -> None:
    office.mail("m1", BEA, ADA, attachments=[Attachment("a.pdf", 1)])
    mail.fails_with = error
    ada = browse(ADA)
    frame = get(ada, f"{path_of(office, 'm1')}/original")
    assert (frame.status_code, told in frame.text) == (status, True)
    assert "sandbox" in frame.headers["Content-Security-Policy"]
    page = get(ada, f"{path_of(office, 'm1')}/attachments/0")
    assert (page.status_code, told in page.text) == (status, True)
    assert "Back to the conversation" in page.text


def test_an_account_that_was_disconnected_is_not_asked(
    office: Office, mail: ObedientMail, browse: Callable[[str], Page]
) -> None:
    office.mail("m1", BEA, ADA)
    with office.database.for_team(office.team_id) as connection:
        connection.exec_driver_sql("UPDATE account SET state = 'disconnected'")
    assert get(browse(ADA), f"{path_of(office, 'm1')}/original").status_code == 409
    assert mail.asked == []
