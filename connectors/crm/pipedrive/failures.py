"""What Pipedrive answers when it refuses, as the errors of app.errors. Source: pipedrive.readme.io, rate limiting.

Pipedrive sends no Retry-After. A 429 says nowhere reliably whether two seconds or the day are used up, and asking on
after it ends at Cloudflare, whose 403 is a page and not JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    DailyLimitReached,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
)
from connectors.http import Answer, Finding, error_of

PROVIDER = "pipedrive"
BURST_S = 2.1  # the window of Pipedrive's burst limits is 2 s; a little more, for calls reach it unevenly
CLOUDFLARE_PAUSE_S = 300.0
DAY_GONE_PAUSE_S = 900.0  # the day ends at a midnight that Pipedrive does not name: asking now and then finds it
LONGEST_RESET_S = 3600.0

_DAY_IS_GONE = re.compile(r"\bdaily\b|\bbudget\b", re.IGNORECASE)
_TOKEN_ERRORS: Mapping[str, Finding] = {
    "invalid_grant": Finding(AccessRevoked, "Pipedrive no longer accepts the consent: connect it again"),
    "access_denied": Finding(AccessRevoked, "The consent was refused"),
    "user_denied": Finding(AccessRevoked, "The consent was refused"),
    **dict.fromkeys(
        ("invalid_client", "unauthorized_client"),
        Finding(ApplicationMisconfigured, "Pipedrive does not accept PIPEDRIVE_CLIENT_ID and PIPEDRIVE_CLIENT_SECRET"),
    ),
    **dict.fromkeys(
        ("invalid_scope", "redirect_uri_mismatch"),
        Finding(ApplicationMisconfigured, "The app is set up differently at Pipedrive"),
    ),
}


def api_error(answer: Answer, *, operation: str, now: datetime) -> ProviderError:
    """Return what an unsuccessful answer of the API stands for."""
    return error_of(answer, provider=PROVIDER, operation=operation, now=now, reason=_api_reason)


def token_error(answer: Answer, *, operation: str, now: datetime) -> ProviderError:
    """Return what an unsuccessful answer of the token or revocation endpoint stands for."""
    return error_of(answer, provider=PROVIDER, operation=operation, now=now, reason=_token_reason)


def consent_error(code: str, *, operation: str) -> ProviderError:
    """Return what the `error` a browser brought back from the consent page stands for."""
    finding = _TOKEN_ERRORS.get(code) or Finding(Rejected, "Pipedrive did not give consent")
    return finding.kind(finding.message, provider=PROVIDER, operation=operation)


def _api_reason(answer: Answer) -> Finding | None:
    body = answer.json()
    if answer.status == 403 and not isinstance(body, dict):
        return Finding(RateLimited, "Pipedrive's firewall turns us away after too many requests", CLOUDFLARE_PAUSE_S)
    if answer.status == 429:
        return _too_many(answer, body)
    return {
        401: Finding(AccessRevoked, "Pipedrive no longer accepts our access: connect it again"),
        402: Finding(AdminBlocked, "The Pipedrive company is not active, or its plan does not include this"),
        403: Finding(AdminBlocked, "The Pipedrive user, app or plan may not do this"),
        410: Finding(Unsupported, "Pipedrive no longer offers this call: threadlink must be updated"),
    }.get(answer.status)


def _too_many(answer: Answer, body: object) -> Finding:
    said = " ".join(str(body.get(name, ""))[:500] for name in ("error", "error_info")) if isinstance(body, dict) else ""
    if _DAY_IS_GONE.search(said):
        return Finding(DailyLimitReached, "Pipedrive's API tokens of the day are used up", DAY_GONE_PAUSE_S)
    reset = answer.headers.get("x-ratelimit-reset", "")
    reset_s = float(reset) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", reset) else BURST_S
    return Finding(RateLimited, "Pipedrive asks us to slow down", min(max(reset_s, BURST_S), LONGEST_RESET_S))


def _token_reason(answer: Answer) -> Finding | None:
    body = answer.json()
    if answer.status >= 500 or answer.status == 429:
        return None
    if not isinstance(body, dict):
        return Finding(Unavailable)
    code = body.get("error")
    if isinstance(code, str) and code in _TOKEN_ERRORS:
        return _TOKEN_ERRORS[code]
    # An unknown refusal of the application's request is the application's: no team is told to connect again for it.
    return Finding(ApplicationMisconfigured, "Pipedrive refused a token request")
