"""What Gmail and Google's token endpoint answer when they refuse, as the errors of app.errors.

The one table (mail-connectors.md 1.6); the tests hold every row of it. Vendor page:
developers.google.com/gmail/api/guides/handle-errors
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httplib2
from google.auth.exceptions import TransportError
from googleapiclient.errors import BatchError, HttpError

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    CursorExpired,
    MailboxUnavailable,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
)
from connectors.http import LONGEST_RETRY_AFTER_S, Answer, Finding, error_of

PROVIDER = "gmail"
LONG_PAUSE_S = 3600.0  # a day's quota or the bandwidth is used up: asking sooner only makes it worse

# What the library lets through when no answer came.
NO_ANSWER = (httplib2.HttpLib2Error, http.client.HTTPException, TransportError, BatchError, OSError)
# What it lets through when it stumbles over an answer: HTML, half a JSON, a batch with a part missing. JSON and Unicode
# errors are ValueErrors.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)

# The reason codes of an error body, whatever its status.
_REASONS: Mapping[str, Finding] = {
    "rateLimitExceeded": Finding(RateLimited),
    "userRateLimitExceeded": Finding(RateLimited),
    "RATE_LIMIT_EXCEEDED": Finding(RateLimited),
    "dailyLimitExceeded": Finding(RateLimited, "The project's daily Gmail quota is used up", LONG_PAUSE_S),
    "quotaExceeded": Finding(RateLimited, "The project's Gmail quota is used up", LONG_PAUSE_S),
    "domainPolicy": Finding(AdminBlocked, "The Workspace administrator has disabled this app"),
    "insufficientPermissions": Finding(AccessRevoked, "The permission to read Gmail was not given: connect again"),
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": Finding(
        AccessRevoked, "The permission to read Gmail was not given: connect again"
    ),
    "failedPrecondition": Finding(Unavailable, "Gmail cannot do this at the moment"),
    "accessNotConfigured": Finding(ApplicationMisconfigured, "The Gmail API is not enabled in the Google project"),
    "SERVICE_DISABLED": Finding(ApplicationMisconfigured, "The Gmail API is not enabled in the Google project"),
}
# Words of the message that say more than status and reason; the first that is found counts.
_MESSAGES: tuple[tuple[str, Finding], ...] = (
    ("only one user push notification client", Finding(Rejected, "Another watch of this project is in the way")),
    ("mail service not enabled", Finding(MailboxUnavailable, "This Google account has no Gmail")),
    ("delegation denied", Finding(ApplicationMisconfigured, "Gmail was asked about another user's mailbox")),
    ("metadata scope", Finding(AccessRevoked, "The consent covers headers only: connect again")),
    (
        "error sending test message to cloud pubsub",
        Finding(ApplicationMisconfigured, "Gmail may not publish to GMAIL_TOPIC"),
    ),
    ("topicname", Finding(ApplicationMisconfigured, "GMAIL_TOPIC is not a topic of the OAuth client's project")),
    ("bandwidth", Finding(RateLimited, "The mailbox has used up its bandwidth", LONG_PAUSE_S)),
)
_TOKEN_ERRORS: Mapping[str, Finding] = {
    "invalid_grant": Finding(AccessRevoked, "Google no longer accepts the consent: connect again"),
    "access_denied": Finding(AccessRevoked, "The consent was refused"),
    "admin_policy_enforced": Finding(AdminBlocked, "A Workspace policy blocks this app"),
    "org_internal": Finding(AdminBlocked, "This app is for another organisation's accounts only"),
    **dict.fromkeys(
        ("invalid_client", "unauthorized_client", "deleted_client", "disabled_client"),
        Finding(ApplicationMisconfigured, "Google does not accept GMAIL_CLIENT_ID and GMAIL_CLIENT_SECRET"),
    ),
    **dict.fromkeys(
        ("redirect_uri_mismatch", "invalid_scope"),
        Finding(ApplicationMisconfigured, "The OAuth client is set up differently at Google"),
    ),
}


def api_error(error: Exception, *, operation: str, now: datetime) -> ProviderError:
    """Return what an exception of Google's library stands for; an error of ours is returned as it is."""
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, HttpError) and not isinstance(error, BatchError):  # a broken batch is no answer
        headers = {str(name).lower(): str(value) for name, value in error.resp.items()}
        answer = Answer(int(error.resp.status), headers, error.content)
        return error_of(
            answer, provider=PROVIDER, operation=operation, now=now, reason=lambda a: _reason(a, operation, now)
        )
    return Unavailable("Gmail could not be reached or did not answer whole", provider=PROVIDER, operation=operation)


def token_error(answer: Answer, *, operation: str, now: datetime) -> ProviderError:
    """Return what an unsuccessful answer of the token or revocation endpoint stands for."""
    return error_of(answer, provider=PROVIDER, operation=operation, now=now, reason=_token_reason)


def consent_error(code: str, *, operation: str) -> ProviderError:
    """Return what the `error` a browser brought back from the consent page stands for."""
    finding = _TOKEN_ERRORS.get(code) or Finding(Rejected, "Google did not give consent")
    return finding.kind(finding.message, provider=PROVIDER, operation=operation)


def _reason(answer: Answer, operation: str, now: datetime) -> Finding | None:
    if answer.status >= 500:
        return None
    body = answer.json()
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    message = error.get("message")
    message = message[:2_000] if isinstance(message, str) else ""
    finding = next((found for words, found in _MESSAGES if words in message.lower()), None)
    finding = finding or next((_REASONS[code] for code in _codes(error) if code in _REASONS), None)
    if finding is None:
        finding = _of_status(answer.status, operation)
    if finding is None and answer.status == 429:
        finding = Finding(RateLimited)
    if finding is not None and finding.kind is RateLimited:
        named_s = _retry_after_in(message, now)
        finding = Finding(RateLimited, finding.message, finding.retry_after_s if named_s is None else named_s)
    return finding


def _of_status(status: int, operation: str) -> Finding | None:
    if status == 404 and operation == "history":
        return Finding(CursorExpired)
    if operation == "watch" and status in {403, 404}:
        return Finding(ApplicationMisconfigured, "Gmail cannot publish to GMAIL_TOPIC")
    return None


def _codes(error: Mapping[str, Any]) -> list[str]:
    entries = [entry for key in ("errors", "details") if isinstance(listed := error.get(key), list) for entry in listed]
    return [str(entry.get("reason")) for entry in entries[:20] if isinstance(entry, dict)]


def _retry_after_in(message: str, now: datetime) -> float | None:
    """Read Gmail's own "Retry after 2025-08-22T18:22:38.763Z" as seconds from now; None when absent or past."""
    named = re.search(r"(?i)retry after (\S{1,40})", message)
    if named is None:
        return None
    try:
        when = datetime.fromisoformat(named[1].rstrip(".)"))
    except ValueError:
        return None
    wait_s = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds()
    return min(wait_s, LONGEST_RETRY_AFTER_S) if wait_s > 0 else None


def _token_reason(answer: Answer) -> Finding | None:
    if answer.status >= 500 or answer.status == 429:
        return None
    body = answer.json()
    code = body.get("error") if isinstance(body, dict) else None
    if not isinstance(code, str):
        return Finding(Unavailable)
    # An unknown refusal of the application's request is the application's: no user is told to connect again for it.
    return _TOKEN_ERRORS.get(code) or Finding(ApplicationMisconfigured, "Google refused a token request")
