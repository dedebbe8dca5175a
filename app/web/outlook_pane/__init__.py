"""The Outlook pane: a page of ours that Outlook frames beside a message, and what it asks for.

The page is the same for everybody and holds nobody's data. Its script signs the person in at Microsoft, exchanges that
token for a bearer of ten minutes, and asks for parts of the page with it: browsers keep no cookie of a framed page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Response, abort, jsonify, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import addons
from app.addons import SESSION_LASTS
from app.errors import NotificationForged, VerificationUnavailable
from app.installation import Installation
from app.ports import PaneConnector
from app.settings import Settings
from app.web.consent import page_of
from app.web.outlook_pane import choices, reading
from app.web.outlook_pane.asked import PROVIDER, Asked, speaking
from app.web.signed_in import admit
from app.web.wording import LOCALES, browser_locale, words

QUESTIONS: Mapping[str, Callable[[Asked], Response]] = {
    "item": reading.item,
    "conversation": reading.conversation,
    "search": reading.search,
    "ask_unlink": reading.ask_unlink,
    "ask_move": reading.ask_move,
    "ask_create": reading.ask_create,
    "items": reading.items,
    "smart_bcc": reading.smart_bcc,
}
CHOICES: Mapping[str, Callable[[Asked], Response]] = {
    "link": choices.link,
    "unlink": choices.unlink,
    "dismiss": choices.dismiss,
    "create_person": choices.create_person,
    "create_item": choices.create_item,
    "link_many": choices.link_many,
    "leave": choices.leave,
}
PARTS = {**QUESTIONS, **CHOICES}
_OWN_PATHS = ("/outlook/", "/static/", "/icons/")

log = structlog.get_logger(__name__)


def blueprint(installation: Installation) -> Blueprint:
    """Build the page, its sign-in and its parts."""
    pages = Blueprint("outlook_pane", __name__)
    _add_page(pages, installation)

    def run(name: str) -> Response:
        person = addons.person_of_session(installation, PROVIDER, _bearer())
        if person is None:
            abort(401)
        signed = addons.member_of(installation, PROVIDER, person.user_id, person.issuer)
        if signed is None:
            invitation = addons.invite(installation, PROVIDER, person)
            base = installation.settings.public_base_url
            return page_of("outlook_connect.html", browser_locale(request), invitation=invitation, base=base)
        signed = speaking(signed)
        admit(installation, signed, is_counted=name in CHOICES or bool(request.form.get("q")))
        return PARTS[name](Asked(installation, signed, person))

    for name in PARTS:
        pages.add_url_rule(f"/outlook/{name}", name, partial(run, name), methods=["POST"])
    return pages


def _add_page(pages: Blueprint, installation: Installation) -> None:
    settings = installation.settings

    def connector() -> PaneConnector:
        found: object = installation.mail.get(PROVIDER)
        if not isinstance(found, PaneConnector):
            abort(404)
        return found

    @pages.get("/outlook/pane")
    def show() -> Response:
        return _framed(settings, connector(), "outlook_pane.html")

    @pages.get("/outlook/dialog")
    def sign_in() -> Response:
        """Show the window that signs in where Outlook does not do it itself."""
        return _framed(settings, connector(), "outlook_dialog.html")

    @pages.post("/outlook/session")
    def begin() -> Response:
        try:
            call = connector().read_pane_token(_bearer())
        except NotificationForged:
            abort(401)
        except VerificationUnavailable:
            log.warning("pane token not verifiable now")
            abort(503)
        bearer = addons.begin_session(installation, PROVIDER, call)
        return jsonify({"bearer": bearer, "lasts_s": int(SESSION_LASTS.total_seconds())})

    @pages.before_app_request
    def keep_to_the_pane() -> WerkzeugResponse | None:
        """Serve nothing but the pane where it has an address of its own; new Outlook frames the root of it, too."""
        public = urlsplit(settings.public_base_url).netloc
        own = urlsplit(settings.pane_base_url).netloc or public
        is_apart = own != public and request.host == own
        is_framed = own == public and request.headers.get("Sec-Fetch-Dest") == "iframe"
        if request.path == "/" and (is_apart or is_framed):
            return _in_a_frame(settings, redirect("/outlook/pane", 303))
        if is_apart and not request.path.startswith(_OWN_PATHS):
            abort(404)
        return None


def _framed(settings: Settings, connector: PaneConnector, template: str) -> Response:
    """Answer with a page that speaks with Outlook and signs in at Microsoft; which language, Outlook says later."""
    sign_in = connector.pane_sign_in
    locale = browser_locale(request)
    page = page_of(template, locale, sign_in=sign_in, locales=LOCALES, words=words)
    script = _origin(sign_in.script_url)
    login = _origin(sign_in.authority)
    page.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self' {script} https://*.cdn.office.net; style-src 'self'; "
        f"connect-src 'self' {login} https://*.office.com https://*.office.net; img-src 'self'; font-src 'self'; "
        f"frame-src {login}; form-action 'self'; base-uri 'none'; {_ancestors(settings)}"
    )
    # The window that signs in comes back from Microsoft, and tells Outlook, which opened it.
    page.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
    return page


def _in_a_frame(settings: Settings, answer: WerkzeugResponse) -> WerkzeugResponse:
    answer.headers["Content-Security-Policy"] = f"default-src 'none'; {_ancestors(settings)}"
    return answer


def _ancestors(settings: Settings) -> str:
    sites = " ".join(settings.pane_ancestors) or "'none'"
    return f"frame-ancestors {sites}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _bearer() -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
