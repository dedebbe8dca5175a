"""What Graph and Entra's token endpoint answer when they refuse, as the errors of app.errors.

The one table (mail-connectors.md 2.11); the tests hold every row of it. Codes are compared in lower case: Graph itself
is not consistent. Vendor pages: learn.microsoft.com/graph/errors,
learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    CursorExpired,
    Gone,
    MailboxUnavailable,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
)
from connectors.http import Answer, Finding, error_of

PROVIDER = "graph"
DEFAULT_WAIT_S = 30.0  # throttled without being told how long: what Graph itself names most often

_NO_MAILBOX = Finding(MailboxUnavailable, "This account has no mailbox in Exchange Online")
_SHORT_OF_PERMISSION = Finding(
    AdminBlocked, "The permission to read this mailbox is missing: an administrator has to give Mail.Read"
)
_EXPIRED = Finding(CursorExpired)
_BUSY = Finding(Unavailable, "Exchange cannot answer for this mailbox at the moment")

# The code of an error body, whatever its status.
_CODES: Mapping[str, Finding] = {
    "erroraccessdenied": _SHORT_OF_PERMISSION,
    "authorization_requestdenied": _SHORT_OF_PERMISSION,
    "mailboxnotenabledforrestapi": _NO_MAILBOX,
    "mailboxnothostedinexchangeonline": _NO_MAILBOX,
    "errornonexistentmailbox": _NO_MAILBOX,
    "erroritemnotfound": Finding(Gone),
    "erroraccountsuspend": Finding(AdminBlocked, "The account is suspended"),
    "syncstatenotfound": _EXPIRED,
    "syncstateinvalid": _EXPIRED,
    "invalidsyncstatedata": _EXPIRED,
    "resyncrequired": _EXPIRED,
    "toomanyrequests": Finding(RateLimited),
    "applicationthrottled": Finding(RateLimited),
    "mailboxinfostale": _BUSY,
    "servicenotavailable": _BUSY,
    "serverbusy": _BUSY,
    "errorserverbusy": _BUSY,
    "errormailboxmoveinprogress": _BUSY,
    "errormailboxstoreunavailable": _BUSY,
    "errorinternalservererror": _BUSY,
    "errorinternalservertransienterror": _BUSY,
}
# Words of the message that say more than the code; the first that is found counts.
_MESSAGES: tuple[tuple[str, Finding], ...] = (
    ("inactive, soft-deleted, or is hosted on-premise", _NO_MAILBOX),
    ("rest api is not yet supported for this mailbox", _NO_MAILBOX),
    ("mailbox info is stale", _BUSY),
    ("[serviceunavailable", _BUSY),  # how an ExtensionError names what Exchange answered
    ("mailboxconcurrency limit", Finding(RateLimited, "Too many requests to this mailbox at once")),
    (
        "subscription validation request",
        Finding(ApplicationMisconfigured, "Graph could not reach PUBLIC_BASE_URL/webhooks/graph"),
    ),
)

_CONNECT_AGAIN = Finding(AccessRevoked, "Microsoft no longer accepts the consent: connect again")
_ASK_ADMIN = Finding(AdminBlocked, "An administrator of the tenant has to give consent")
_POLICY = Finding(AdminBlocked, "A policy of the tenant blocks this application")
_APPLICATION = Finding(
    ApplicationMisconfigured, "Entra does not accept GRAPH_CLIENT_ID with GRAPH_CLIENT_SECRET or GRAPH_CERTIFICATE"
)
_TENANT = Finding(ApplicationMisconfigured, "Entra does not know GRAPH_TENANT, or not this application in it")

# Entra's numbered errors (AADSTS…). What is wrong with our own application must not disconnect anybody.
_AADSTS: Mapping[int, Finding] = {
    **dict.fromkeys((50173, 70000, 70008, 700082, 700084, 50132, 50133, 50076, 50079, 50158), _CONNECT_AGAIN),
    **dict.fromkeys((50034, 50057), Finding(AccessRevoked, "The account was disabled or deleted: connect again")),
    65004: Finding(AccessRevoked, "The consent was refused"),
    **dict.fromkeys((65001, 90093, 90094), _ASK_ADMIN),
    **dict.fromkeys((50105, 53000, 53001, 53003), _POLICY),
    **dict.fromkeys((7000215, 7000218, 700027, 7000112, 50011, 70011), _APPLICATION),
    7000222: Finding(ApplicationMisconfigured, "GRAPH_CLIENT_SECRET has expired: make a new one"),
    **dict.fromkeys((700016, 90002, 500011), _TENANT),
}
_OAUTH: Mapping[str, Finding] = {
    "invalid_grant": _CONNECT_AGAIN,
    "interaction_required": _CONNECT_AGAIN,
    "login_required": _CONNECT_AGAIN,
    "consent_required": _ASK_ADMIN,
    "access_denied": Finding(AccessRevoked, "The consent was refused"),
    "temporarily_unavailable": Finding(Unavailable),
    "server_error": Finding(Unavailable),
}


def api_error(answer: Answer, *, operation: str, now: datetime) -> ProviderError:
    """Return what an unsuccessful answer of Graph stands for."""
    return error_of(answer, provider=PROVIDER, operation=operation, now=now, reason=lambda a: _reason(a, operation))


def token_error(result: Mapping[str, Any], *, operation: str, consent_url: str = "") -> ProviderError:
    """Return what the `error` in a result of msal stands for; `consent_url` is where an administrator gives consent."""
    numbers = result.get("error_codes")
    numbers = [number for number in numbers if isinstance(number, int)] if isinstance(numbers, list) else []
    named = re.search(r"AADSTS([0-9]{4,9})", str(result.get("error_description", ""))[:2_000])
    numbers += [int(named[1])] if named else []
    finding = next((_AADSTS[number] for number in numbers if number in _AADSTS), None)
    # An unknown refusal is the application's: no user is told to connect again for it.
    finding = finding or _OAUTH.get(str(result.get("error"))) or _APPLICATION
    message = f"{finding.message}: {consent_url}" if finding is _ASK_ADMIN and consent_url else finding.message
    return finding.kind(message, provider=PROVIDER, operation=operation)


def codes_of(answer: Answer) -> frozenset[str]:
    """Return the codes of an error body, the inner ones included, in lower case."""
    error, found = _error_body(answer), set()
    for _ in range(10):
        code = error.get("code")
        if isinstance(code, str):
            found.add(code[:100].lower())
        inner = error.get("innerError") or error.get("innererror")
        if not isinstance(inner, dict):
            break
        error = inner
    return frozenset(found)


def is_storage_full(answer: Answer) -> bool:
    """Whether Graph's own hidden positions have filled the mailbox: it can be read, but not with delta."""
    return answer.status == 403 and "errorquotaexceeded" in codes_of(answer)


def _reason(answer: Answer, operation: str) -> Finding | None:
    finding = _finding(answer, operation)
    if finding is None and answer.status == 429:
        finding = Finding(RateLimited)
    if finding is None and answer.status == 509:
        finding = Finding(RateLimited, "The bandwidth of this mailbox is used up")
    if finding is not None and finding.kind is RateLimited and "retry-after" not in answer.headers:
        return Finding(RateLimited, finding.message, DEFAULT_WAIT_S)
    return finding


def _finding(answer: Answer, operation: str) -> Finding | None:
    message = _error_body(answer).get("message")
    message = message[:2_000].lower() if isinstance(message, str) else ""
    finding = next((found for words, found in _MESSAGES if words in message), None)
    finding = finding or next((_CODES[code] for code in sorted(codes_of(answer)) if code in _CODES), None)
    if finding is None and operation == "delta" and answer.status == 410:
        return _EXPIRED
    if finding is None and operation == "user" and answer.status == 404:
        return Finding(MailboxUnavailable, "Entra knows this user no longer")
    if finding is None and answer.status == 400:
        return Finding(Rejected, "Graph refused the request")
    return finding


def _error_body(answer: Answer) -> Mapping[str, Any]:
    body = answer.json()
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}
