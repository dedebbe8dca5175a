"""Every row of Graph's error table (mail-connectors.md 2.11), and what Entra's token endpoint says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

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
from connectors.http import Answer
from connectors.mail.graph.failures import DEFAULT_WAIT_S, api_error, codes_of, is_storage_full, token_error

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def refusal(status: int, code: str = "", message: str = "", inner: Any = None, **headers: str) -> Answer:
    error = {"code": code, "message": message, **({"innerError": inner} if inner is not None else {})}
    return Answer(status, headers, json.dumps({"error": error}).encode())


def read(answer: Answer, operation: str = "message") -> ProviderError:
    return api_error(answer, operation=operation, now=NOW)


@pytest.mark.parametrize(
    ("answer", "operation", "kind"),
    [
        (refusal(401, "InvalidAuthenticationToken"), "delta", AccessRevoked),
        (refusal(401, "CompactToken validation failed"), "delta", AccessRevoked),
        (refusal(403, "ErrorAccessDenied"), "delta", AdminBlocked),
        (refusal(403, "Authorization_RequestDenied"), "user", AdminBlocked),
        (refusal(403, "something else"), "delta", AdminBlocked),
        (refusal(404, "MailboxNotEnabledForRESTAPI"), "delta", MailboxUnavailable),
        (
            refusal(404, "x", "The mailbox is either inactive, soft-deleted, or is hosted on-premise."),
            "delta",
            MailboxUnavailable,
        ),
        (refusal(403, "ErrorAccessDenied", "REST API is not yet supported for this mailbox."), "d", MailboxUnavailable),
        (refusal(404, "ErrorNonExistentMailbox"), "delta", MailboxUnavailable),
        (refusal(404, "Request_ResourceNotFound"), "user", MailboxUnavailable),
        (refusal(404, "ErrorItemNotFound"), "message", Gone),
        (refusal(404), "message", Gone),
        (refusal(410, "syncStateNotFound"), "delta", CursorExpired),
        (refusal(410, "resyncRequired"), "delta", CursorExpired),
        (refusal(410), "delta", CursorExpired),
        (refusal(410), "message", Gone),
        (refusal(400, "SyncStateInvalid"), "delta", CursorExpired),
        (refusal(400, "InvalidSyncStateData"), "delta", CursorExpired),
        (refusal(429, "TooManyRequests"), "delta", RateLimited),
        (refusal(429), "delta", RateLimited),
        (refusal(429, "ApplicationThrottled", "over its MailboxConcurrency limit."), "delta", RateLimited),
        (refusal(509), "delta", RateLimited),
        (refusal(502), "delta", Unavailable),
        (refusal(503, "serviceNotAvailable"), "delta", Unavailable),
        (refusal(504), "delta", Unavailable),
        (refusal(404, "MailboxInfoStale", "Mailbox info is stale."), "delta", Unavailable),
        (refusal(409, "ErrorMailboxMoveInProgress"), "delta", Unavailable),
        (refusal(400, "ExtensionError", "[ServiceUnavailable: try again]"), "subscribe", Unavailable),
        (
            refusal(400, "ValidationError", "Subscription validation request timed out."),
            "subscribe",
            ApplicationMisconfigured,
        ),
        (refusal(400, "BadRequest", "Invalid filter clause"), "delta", Rejected),
        (Answer(500, {}, b"<html>"), "delta", Unavailable),
        (Answer(400, {}, b"[1]"), "delta", Rejected),
        (Answer(400, {}, b'{"error": "text"}'), "delta", Rejected),
        (Answer(400, {}, b'{"error": {"code": 7, "message": null}}'), "delta", Rejected),
    ],
)
def test_what_an_answer_stands_for(answer: Answer, operation: str, kind: type[ProviderError]) -> None:
    error = read(answer, operation)
    assert type(error) is kind
    assert (error.provider, error.operation) == ("graph", operation)


@pytest.mark.parametrize("name", ["innerError", "innererror"])
def test_inner_codes_count_and_case_does_not(name: str) -> None:
    body = {"error": {"code": "UnknownError", name: {"code": "SYNCSTATENOTFOUND"}}}
    answer = Answer(400, {}, json.dumps(body).encode())
    assert codes_of(answer) == {"unknownerror", "syncstatenotfound"}
    assert type(read(answer, "delta")) is CursorExpired


def test_an_endless_error_body_ends() -> None:
    inner: dict[str, Any] = {"code": "last"}
    for number in range(100):
        inner = {"code": f"c{number}", "innerError": inner}
    assert len(codes_of(refusal(400, "first", inner=inner))) == 10


def test_a_wait_is_as_long_as_graph_says_or_its_usual_one() -> None:
    told, untold = read(refusal(429, **{"retry-after": "120"})), read(refusal(429))
    assert isinstance(told, RateLimited)
    assert isinstance(untold, RateLimited)
    assert (told.retry_after_s, untold.retry_after_s) == (120, DEFAULT_WAIT_S)


def test_a_full_mailbox_is_no_lack_of_permission() -> None:
    assert is_storage_full(refusal(403, "ErrorQuotaExceeded"))
    assert not is_storage_full(refusal(403, "ErrorAccessDenied"))
    assert not is_storage_full(refusal(507, "ErrorQuotaExceeded"))


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        *[
            ((code,), AccessRevoked)
            for code in (50173, 700082, 70008, 700084, 50076, 50079, 50158, 50034, 50057, 70000)
        ],
        *[((code,), AdminBlocked) for code in (65001, 90094, 90093, 53003, 50105)],
        *[((code,), ApplicationMisconfigured) for code in (7000215, 7000222, 700016, 90002, 500011, 70011)],
        ((12345678,), ApplicationMisconfigured),
        ((12345678, 50173), AccessRevoked),
    ],
)
def test_entras_numbers(codes: tuple[int, ...], kind: type[ProviderError]) -> None:
    error = token_error({"error": "some_error", "error_codes": list(codes)}, operation="refresh")
    assert type(error) is kind
    described = {"error": "some_error", "error_description": f"AADSTS{codes[-1]}: no"}
    assert type(token_error(described, operation="refresh")) is kind


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        ({"error": "invalid_grant"}, AccessRevoked),
        ({"error": "interaction_required"}, AccessRevoked),
        ({"error": "consent_required"}, AdminBlocked),
        ({"error": "access_denied"}, AccessRevoked),
        ({"error": "temporarily_unavailable"}, Unavailable),
        ({"error": "server_error"}, Unavailable),
        ({"error": "invalid_client"}, ApplicationMisconfigured),
        ({"error": None, "error_codes": "50173", "error_description": None}, ApplicationMisconfigured),
        ({}, ApplicationMisconfigured),
    ],
)
def test_the_words_of_oauth_where_there_is_no_number(result: dict[str, Any], kind: type[ProviderError]) -> None:
    assert type(token_error(result, operation="refresh")) is kind


def test_an_administrator_is_shown_where_to_give_consent_and_nothing_of_the_answer_is_repeated() -> None:
    said = {"error": "consent_required", "error_codes": [65001], "error_description": "AADSTS65001: CANARY"}
    error = token_error(said, operation="connect", consent_url="https://login.test/adminconsent")
    assert "https://login.test/adminconsent" in str(error)
    assert "CANARY" not in str(error)
