"""Every row of Gmail's error table (mail-connectors.md 1.6), and what the token endpoint says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http.client import IncompleteRead
from typing import Any

import httplib2
import pytest
from google.auth.exceptions import TransportError
from googleapiclient.errors import BatchError, HttpError

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
    TransientError,
    Unavailable,
)
from connectors.http import Answer
from connectors.mail.gmail.failures import api_error, consent_error, token_error

NOW = datetime(2025, 8, 22, 18, 20, 0, tzinfo=UTC)


def refusal(status: int, reason: str = "", message: str = "", detail: str = "", **headers: str) -> HttpError:
    error: dict[str, Any] = {"code": status, "message": message}
    if reason:
        error["errors"] = [{"domain": "global", "reason": reason, "message": message}]
    if detail:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": detail}]
    response = httplib2.Response({"status": str(status), **headers})
    return HttpError(response, json.dumps({"error": error}).encode())


def read(error: Exception, operation: str = "get") -> ProviderError:
    return api_error(error, operation=operation, now=NOW)


@pytest.mark.parametrize(
    ("error", "operation", "kind"),
    [
        (refusal(401, "authError", "Invalid Credentials"), "get", AccessRevoked),
        (refusal(403, "rateLimitExceeded"), "get", RateLimited),
        (refusal(403, "userRateLimitExceeded"), "get", RateLimited),
        (refusal(403, detail="RATE_LIMIT_EXCEEDED"), "get", RateLimited),
        (refusal(429, "rateLimitExceeded"), "get", RateLimited),
        (refusal(429), "get", RateLimited),
        (refusal(429, "", "Too many concurrent requests for user"), "get", RateLimited),
        (refusal(403, "dailyLimitExceeded"), "get", RateLimited),
        (refusal(403, "quotaExceeded"), "get", RateLimited),
        (refusal(429, "rateLimitExceeded", "User bandwidth quota exceeded"), "get", RateLimited),
        (refusal(403, "domainPolicy"), "get", AdminBlocked),
        (refusal(403, "insufficientPermissions"), "get", AccessRevoked),
        (refusal(403, detail="ACCESS_TOKEN_SCOPE_INSUFFICIENT"), "get", AccessRevoked),
        (refusal(403, "forbidden", "Delegation denied for ada@b.test"), "get", ApplicationMisconfigured),
        (refusal(403, "forbidden", "Metadata scope does not support 'q' parameter"), "list", AccessRevoked),
        (refusal(403, "forbidden", "Metadata scope doesn't allow format FULL"), "get", AccessRevoked),
        (refusal(403, "accessNotConfigured"), "get", ApplicationMisconfigured),
        (refusal(403, detail="SERVICE_DISABLED"), "get", ApplicationMisconfigured),
        (refusal(403, "something new"), "get", AdminBlocked),
        (refusal(404, "notFound"), "history", CursorExpired),
        (refusal(404, "notFound"), "get", Gone),
        (refusal(400, "failedPrecondition", "Mail service not enabled"), "profile", MailboxUnavailable),
        (refusal(400, "failedPrecondition", "Precondition check failed."), "get", Unavailable),
        (refusal(400, "invalidArgument"), "get", Rejected),
        (refusal(500, "backendError"), "get", Unavailable),
        (refusal(502), "get", Unavailable),
        (refusal(503, "backendError"), "get", Unavailable),
        (refusal(504), "get", Unavailable),
        (refusal(302), "get", Unavailable),
        (refusal(400, "", "Only one user push notification client allowed per developer"), "watch", Rejected),
        (
            refusal(403, "forbidden", "Error sending test message to Cloud PubSub projects/p/topics/t : User not"),
            "watch",
            ApplicationMisconfigured,
        ),
        (refusal(403), "watch", ApplicationMisconfigured),
        (refusal(404), "watch", ApplicationMisconfigured),
        (refusal(400, "", "Invalid topicName does not match projects/p/topics/*"), "watch", ApplicationMisconfigured),
        (TransportError("no route"), "get", Unavailable),
        (httplib2.ServerNotFoundError("dns"), "get", Unavailable),
        (TimeoutError(), "get", Unavailable),
        (ConnectionResetError(), "get", Unavailable),
        (IncompleteRead(b""), "get", Unavailable),
        (BatchError("not multipart", httplib2.Response({"status": "200"}), b"<html>"), "get", Unavailable),
        (json.JSONDecodeError("x", "y", 0), "get", Unavailable),
        (AttributeError("the library stumbled over a message that is a number"), "get", Unavailable),
        (RecursionError("the library stumbled over deep JSON"), "get", Unavailable),
    ],
    ids=lambda value: str(value)[:60],
)
def test_each_answer_has_its_error(error: Exception, operation: str, kind: type[ProviderError]) -> None:
    read_error = read(error, operation)
    assert type(read_error) is kind
    assert (read_error.provider, read_error.operation) == ("gmail", operation)


def test_an_error_of_ours_stays_as_it_is() -> None:
    error = AccessRevoked()
    assert read(error) is error


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (refusal(429, "rateLimitExceeded", "Quota. Retry after 2025-08-22T18:22:38.763Z"), 158.763),
        (refusal(403, "userRateLimitExceeded", "User-rate limit exceeded.  Retry after 2025-08-22T18:21:00Z"), 60),
        (refusal(403, "userRateLimitExceeded", "retry AFTER 2025-08-22T18:21:00.000Z (Mail sending)"), 60),
        (refusal(429, "x", "Retry after 2025-08-22T18:21:00"), 60),
        (refusal(429, "x", "Retry after 2020-01-01T00:00:00Z", **{"retry-after": "7"}), 7),
        (refusal(429, "x", "Retry after tomorrow"), None),
        (refusal(429, "x", "Retry after 2999-01-01T00:00:00Z"), 86_400),
        (refusal(429, "x", "", **{"retry-after": "30"}), 30),
        (refusal(429, "x", "", **{"retry-after": "Fri, 22 Aug 2025 18:20:45 GMT"}), 45),
        (refusal(503, "x", "", **{"retry-after": "11"}), 11),
        (refusal(429), None),
        (refusal(403, "dailyLimitExceeded"), 3600),
        (refusal(429, "x", "bandwidth"), 3600),
    ],
)
def test_the_time_to_wait_is_read(error: HttpError, seconds: float | None) -> None:
    read_error = read(error)
    assert isinstance(read_error, TransientError)
    assert read_error.retry_after_s == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"error": "text"}',
        b'{"error": {"errors": {}, "details": 7}}',
        b'{"error": {"errors": [1, null, {"reason": []}], "message": ""}}',
        b"\xff",
    ],
)
def test_a_body_that_says_nothing_leaves_it_to_the_status(body: bytes) -> None:
    assert type(read(HttpError(httplib2.Response({"status": "403"}), body))) is AdminBlocked


def test_a_message_says_nothing_of_the_mailbox() -> None:
    assert "ada@b.test" not in str(read(refusal(403, "forbidden", "Delegation denied for ada@b.test")))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_grant", AccessRevoked),
        (401, "invalid_client", ApplicationMisconfigured),
        (401, "unauthorized_client", ApplicationMisconfigured),
        (400, "redirect_uri_mismatch", ApplicationMisconfigured),
        (400, "invalid_scope", ApplicationMisconfigured),
        (400, "admin_policy_enforced", AdminBlocked),
        (403, "org_internal", AdminBlocked),
        (400, "something_new", ApplicationMisconfigured),
        (429, "rate_limit_exceeded", RateLimited),
        (503, "temporarily_unavailable", Unavailable),
    ],
)
def test_the_token_endpoint_blames_the_right_one(status: int, code: str, kind: type[ProviderError]) -> None:
    answer = Answer(status, {}, json.dumps({"error": code, "error_description": "…"}).encode())
    assert type(token_error(answer, operation="refresh", now=NOW)) is kind


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway", b"[]", b'{"error": {"code": 400}}'])
def test_a_refusal_that_cannot_be_read_blames_nobody(body: bytes) -> None:
    assert type(token_error(Answer(400, {}, body), operation="refresh", now=NOW)) is Unavailable


@pytest.mark.parametrize(
    ("code", "kind"), [("access_denied", AccessRevoked), ("org_internal", AdminBlocked), ("<script>", Rejected)]
)
def test_a_refused_consent_has_its_error(code: str, kind: type[ProviderError]) -> None:
    error = consent_error(code, operation="connect")
    assert type(error) is kind
    assert "<script>" not in str(error)
