"""The Flask application around the blueprints: which hosts, how much a request may bring, how errors are answered.

Errors are answered as RFC 9457 problem documents, to a browser as a page. Neither holds a traceback, a query or
anything else that the class of the error does not promise.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, g, jsonify, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    Conflict,
    CrmNotReached,
    DatabaseUnreachable,
    InvalidRequest,
    IssuerUnavailable,
    MailboxUnavailable,
    NotAllowed,
    NotFound,
    RequestRefused,
    ThreadlinkError,
    TooManyRequests,
    TransientError,
    Unsupported,
)
from app.installation import Installation
from app.linking.reasons import REASONS, sentence
from app.web import (
    addon_connect,
    api,
    audit,
    connect,
    connect_crm,
    conversation,
    crm_settings,
    doctor,
    edge,
    email_sync,
    gmail_addon,
    health,
    icons,
    inbox,
    items,
    limits,
    mail_folders,
    members,
    openid,
    original,
    outlook_pane,
    panels,
    personal_access,
    picking,
    policy,
    review,
    settings,
    smart_bcc,
    webhook_settings,
    webhooks,
    work,
)
from app.web.security import hardening
from app.web.signed_in import Browser
from app.web.wording import browser_locale, words

LONGEST_BODY = 64_000  # bytes, of every route that does not set its own
ASK_AGAIN_S = 30
PARTS = ("webhooks", "pages")

# Status and reason of the answer to an error; the first class that fits counts. A RequestRefused brings its reason.
ANSWERS: tuple[tuple[type[ThreadlinkError], int, str], ...] = (
    (InvalidRequest, 422, ""),
    (NotAllowed, 403, ""),
    (NotFound, 404, ""),
    (Conflict, 409, ""),
    (CrmNotReached, 503, ""),
    (TooManyRequests, 429, ""),
    (DatabaseUnreachable, 503, "database_unreachable"),
    (IssuerUnavailable, 503, "issuer_unavailable"),
    (TransientError, 503, "provider_unavailable"),
    (AccessRevoked, 403, "consent_refused"),
    (AdminBlocked, 403, "admin_blocked"),
    (MailboxUnavailable, 409, "mailbox_unavailable"),
    (ApplicationMisconfigured, 502, "misconfigured"),
)

# Reasons of what is refused before a view is asked.
HTTP_REASONS = {
    400: "bad_request",
    401: "key_not_valid",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "not_json",
}

log = structlog.get_logger(__name__)


def application(installation: Installation, parts: Collection[str] = PARTS) -> Flask:
    """Build the web application; `parts` leaves the webhooks or the pages to another process (W5)."""
    chosen = installation.settings
    flask = Flask("app.web")
    flask.config.update(
        TRUSTED_HOSTS=sorted(
            {_host(url) for url in (chosen.public_base_url, chosen.pane_base_url, f"//{chosen.listen}") if url}
        ),
        MAX_CONTENT_LENGTH=LONGEST_BODY,
        MAX_FORM_MEMORY_SIZE=LONGEST_BODY,
        MAX_FORM_PARTS=20,
    )
    edge.check(flask)
    flask.register_blueprint(health.blueprint(installation))
    if "webhooks" in parts:
        flask.register_blueprint(webhooks.blueprint(installation))
    if "pages" in parts:
        limits.limit(flask, chosen)
        browser = Browser(installation)
        flask.register_blueprint(connect.blueprint(installation, browser))
        flask.register_blueprint(connect_crm.blueprint(installation, browser))
        flask.register_blueprint(api.blueprint(installation))
        flask.register_blueprint(browser.blueprint())
        flask.register_blueprint(openid.blueprint(installation, browser))
        flask.register_blueprint(members.blueprint(installation, browser))
        flask.register_blueprint(personal_access.blueprint(installation, browser))
        flask.register_blueprint(audit.blueprint(installation, browser))
        flask.register_blueprint(inbox.blueprint(installation, browser))
        flask.register_blueprint(items.blueprint(installation, browser))
        flask.register_blueprint(picking.blueprint(installation, browser))
        flask.register_blueprint(review.blueprint(installation, browser))
        flask.register_blueprint(conversation.blueprint(installation, browser))
        flask.register_blueprint(original.blueprint(installation, browser))
        flask.register_blueprint(settings.blueprint(installation, browser))
        flask.register_blueprint(webhook_settings.blueprint(installation, browser))
        flask.register_blueprint(doctor.blueprint(installation, browser))
        flask.register_blueprint(policy.blueprint(installation, browser))
        flask.register_blueprint(work.blueprint(installation, browser))
        flask.register_blueprint(email_sync.blueprint(installation, browser))
        flask.register_blueprint(email_sync.changes(installation, browser))
        flask.register_blueprint(mail_folders.blueprint(installation, browser))
        flask.register_blueprint(smart_bcc.blueprint(installation, browser))
        flask.register_blueprint(icons.blueprint())
        flask.register_blueprint(gmail_addon.blueprint(installation))
        flask.register_blueprint(outlook_pane.blueprint(installation))
        flask.register_blueprint(addon_connect.blueprint(installation, browser))
        flask.register_blueprint(crm_settings.blueprint(installation, browser))
        flask.register_blueprint(crm_settings.installing(installation, browser))
        flask.register_blueprint(panels.blueprint(installation, browser))
    if chosen.proxies:  # the address of who asks, as the nearest of our own proxies saw it (W15)
        flask.wsgi_app = ProxyFix(flask.wsgi_app, x_for=chosen.proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]  # Flask's own way
    flask.after_request(hardening(is_https=chosen.public_base_url.startswith("https:")))
    flask.register_error_handler(HTTPException, _http_error)
    flask.register_error_handler(ThreadlinkError, _foreseen)
    flask.register_error_handler(Exception, _unforeseen)
    return flask


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    answer = _problem(status, HTTP_REASONS.get(status, "http"))
    for name, value in error.get_headers():
        if name in ("Allow", "WWW-Authenticate"):
            answer.headers[name] = value
    return answer


def _foreseen(error: ThreadlinkError) -> Response:
    if isinstance(error, Unsupported):
        return _problem(409, "not_supported", told=str(error))
    for kind, status, reason in ANSWERS:
        if isinstance(error, RequestRefused) and isinstance(error, kind):
            fields = error.fields if isinstance(error, InvalidRequest) else None
            wait_s = error.retry_after_s if isinstance(error, CrmNotReached | TooManyRequests) else None
            return _problem(status, error.reason, error.params, fields, retry_after_s=wait_s)
        if isinstance(error, kind):
            return _problem(status, reason)
    return _unforeseen(error)


def _unforeseen(error: Exception) -> Response:
    log.error("request failed", route=request.url_rule.rule if request.url_rule else "none", exc_info=error)
    return _problem(500, "internal")


def _problem(
    status: int,
    reason: str,
    params: Mapping[str, object] | None = None,
    fields: Sequence[Mapping[str, str]] | None = None,
    *,
    told: str | None = None,
    retry_after_s: float | None = None,
) -> Response:
    """Answer with a problem; `told` is its sentence where the reason alone says too little."""
    browsing = g.get("browsing")
    locale = browsing.locale if browsing else browser_locale(request)
    text = words(locale)
    told = told or (sentence(reason, params, locale) if reason in REASONS else text.get(f"problem_{reason}"))
    title = told or text.get(f"status_{status}") or text["status_other"]
    wants_page = request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
    if wants_page and not request.path.startswith("/api/"):
        again = request.path if browsing and request.method == "GET" and status >= 500 else ""
        shown = {"title": title, "again": again, "browsing": browsing}
        answer = Response(render_template("problem.html", text=text, locale=locale, **shown), status)
    else:
        more = {"fields": fields} if fields else {}
        answer = jsonify({"type": "about:blank", "status": status, "title": title, "reason": reason, **more})
        answer.status_code, answer.mimetype = status, "application/problem+json"
    if status in (429, 503):
        answer.headers["Retry-After"] = str(math.ceil(retry_after_s or ASK_AGAIN_S))
    return answer
