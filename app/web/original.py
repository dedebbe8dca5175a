"""A mail as it was sent: a document for a frame without rights, its attachments to save, and the way to the mailbox.

The document may load nothing at all: its pictures and its few lines of style stand in it. It keeps the lines of
threats.md P4 and P5 also when somebody opens its address by itself.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, send_file
from werkzeug.wrappers import Response as WerkzeugResponse

from app import original as core
from app.errors import (
    AccessRevoked,
    AdminBlocked,
    Gone,
    MailboxUnavailable,
    ProviderError,
    Rejected,
    TransientError,
    Unsupported,
)
from app.installation import Installation
from app.linking.original import Original
from app.original import Place
from app.web.choosing import reading
from app.web.member_page import member_page
from app.web.signed_in import Browser, who
from app.web.wording import words

_STYLE = (Path(__file__).parent / "static" / "mail.css").read_text()
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
FRAME_POLICY = (
    f"default-src 'none'; img-src data:; style-src 'sha256-{_STYLE_HASH}'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'; sandbox allow-popups"
)
# What a person reads when the provider did not give the mail, and the status beside it.
_TROUBLE: tuple[tuple[type[ProviderError], str, int], ...] = (
    (TransientError, "original_unreachable", 503),
    (Gone, "original_gone", 410),
    (Rejected, "original_too_large", 413),
    (AccessRevoked, "original_no_access", 409),
    (AdminBlocked, "original_no_access", 409),
    (MailboxUnavailable, "original_no_access", 409),
    (Unsupported, "original_unsupported", 409),
)


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages."""
    pages = Blueprint("original", __name__)

    def place(conversation: UUID, message: UUID, *, own: bool = False) -> Place:
        with reading(installation) as connection:
            return core.place(connection, who().member, str(conversation), str(message), own=own)

    def page_of_trouble(conversation: UUID, work: Callable[[], WerkzeugResponse]) -> WerkzeugResponse:
        try:
            return work()
        except ProviderError as error:
            told, status = _told(error)
            page = member_page("original_trouble.html", trouble=told, conversation=conversation)
            page.status_code = status
            return page

    @pages.get("/conversations/<uuid:conversation>/messages/<uuid:message>/original")
    @browser.members_only
    def show(conversation: UUID, message: UUID) -> Response:
        where = place(conversation, message)
        told, status, original = "", 200, Original("", "")
        try:
            original = core.read(installation, where)
        except ProviderError as error:
            told, status = _told(error)
        text = words(who().locale)
        again = request.path
        page = render_template(
            "original.html", text=text, locale=who().locale, style=_STYLE, original=original, told=told, again=again
        )
        answer = Response(page, status)
        answer.headers["Content-Security-Policy"] = FRAME_POLICY
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["X-Frame-Options"] = "SAMEORIGIN"
        return answer

    @pages.get("/conversations/<uuid:conversation>/messages/<uuid:message>/attachments/<int:number>")
    @browser.members_only
    def save(conversation: UUID, message: UUID, number: int) -> WerkzeugResponse:
        where = place(conversation, message)

        def work() -> WerkzeugResponse:
            file = core.attachment(installation, where, number)
            answer = send_file(BytesIO(file.content), "application/octet-stream", True, file.name)
            answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
            return answer

        return page_of_trouble(conversation, work)

    @pages.get("/conversations/<uuid:conversation>/messages/<uuid:message>/open")
    @browser.members_only
    def open_there(conversation: UUID, message: UUID) -> WerkzeugResponse:
        where = place(conversation, message, own=True)
        return page_of_trouble(conversation, lambda: redirect(core.web_url(installation, where), 303))

    return pages


def _told(error: ProviderError) -> tuple[str, int]:
    """Return the key of the words for what went wrong, and the status. Raises what is no trouble of one mail."""
    for kind, told, status in _TROUBLE:
        if isinstance(error, kind):
            return told, status
    raise error
