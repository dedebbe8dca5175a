"""The page where labels or folders of an account are chosen; the provider is asked for their names when it opens."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import accounts, mail_folders
from app.errors import AccessRevoked, AdminBlocked, InvalidRequest, MailboxUnavailable, ProviderError, Unsupported
from app.installation import Installation
from app.model import Account
from app.web.email_sync import OWN, back_to_accounts
from app.web.settings_frame import settings_page
from app.web.signed_in import Browser, who

LONGEST_CHOICE = 512_000  # bytes: the ids of a thousand folders and more
_NO_ACCESS = (AccessRevoked, AdminBlocked, MailboxUnavailable)


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the page."""
    pages = Blueprint("mail_folders", __name__)

    def changeable(account: UUID) -> Account:
        with installation.database.for_team(who().team.id) as connection:
            return accounts.changeable(connection, who().member, str(account))

    @pages.get(f"{OWN}/<uuid:account>/folders")
    @browser.members_only
    def ask(account: UUID) -> Response:
        return page(changeable(account))

    @pages.post(f"{OWN}/<uuid:account>/folders")
    @browser.members_only
    def choose(account: UUID) -> WerkzeugResponse:
        request.max_content_length = request.max_form_memory_size = LONGEST_CHOICE
        is_limited = request.form.get("reads") == "chosen"
        found = changeable(account)
        try:
            mail_folders.choose(
                installation, who().member, found, request.form.getlist("folder") if is_limited else None
            )
        except InvalidRequest:
            return page(found, is_empty=True)
        except ProviderError as error:
            return trouble(found, error)
        return back_to_accounts("saved")

    def page(account: Account, *, is_empty: bool = False) -> Response:
        try:
            offered = mail_folders.offered(installation, account)
        except ProviderError as error:
            return trouble(account, error)
        gone = account.folders - {each.id for each in offered}
        answer = settings_page(
            "folders.html", account=account, offered=offered, gone=len(gone), is_empty=is_empty, back=_back()
        )
        answer.status_code = 422 if is_empty else 200
        return answer

    def trouble(account: Account, error: ProviderError) -> Response:
        if isinstance(error, Unsupported):
            raise error
        has_no_access = isinstance(error, _NO_ACCESS)
        told = "folders_no_access" if has_no_access else "folders_unreachable"
        answer = settings_page("folders.html", account=account, trouble=told, back=_back())
        answer.status_code = 409 if has_no_access else 503
        return answer

    return pages


def _back() -> str:
    return "team" if request.values.get("back") == "team" else ""
