"""How Graph refuses, and what a fault answers in its place. Part of the simulator."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime

from app.ports import Clock
from connectors.simulated_faults import Fault, Faults
from connectors.simulated_http import Call, Reply, json_reply

REQUEST_ID = "1c1d1e1f-0000-4000-8000-000000000001"
CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1772438400"}}}'
# Faults that refuse a call with one fixed answer: status, code, message.
REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "mailbox_info_stale": (503, "MailboxInfoStale", "Mailbox info is stale."),
    "unauthorized_once": (401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."),
    "access_denied": (403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."),
    "mailbox_unavailable": (
        404,
        "MailboxNotEnabledForRESTAPI",
        "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
    ),
    "user_unknown": (404, "Request_ResourceNotFound", "Resource does not exist or one of its references is missing."),
    "bad_request": (400, "RequestBroker--ParseUri", "Resource not found for the segment."),
}
CONCURRENCY = "Application is over its MailboxConcurrency limit."


def error_reply(status: int, code: str, message: str, **headers: str) -> Reply:
    """Answer the way Graph refuses."""
    inner = {"date": "2026-03-02T08:00:00", "request-id": REQUEST_ID, "client-request-id": REQUEST_ID}
    error = {"code": code, "message": message, "innerError": inner}
    return json_reply({"error": error}, status, request_id=REQUEST_ID, **headers)


def throttled(fault: Fault, clock: Clock) -> Reply:
    """Answer that calls come too fast; Retry-After is seconds, a date, or missing."""
    wait_s, form = fault.params.get("retry_after_s", 30), fault.params.get("header", True)
    status, code = fault.params.get("status", 429), fault.params.get("code", "TooManyRequests")
    if not form:
        return error_reply(status, code, "Too Many Requests")
    until = format_datetime(clock.now() + timedelta(seconds=wait_s), usegmt=True)
    return error_reply(status, code, "Too Many Requests", Retry_After=until if form == "date" else str(wait_s))


def refused_by_fault(
    faults: Faults, clock: Clock, address: str | None, operation: str, *, has_claims: bool
) -> Reply | None:
    """Return what a fault answers in place of the API."""

    def strikes(kind: str) -> Fault | None:
        return faults.take(kind, address, operation=operation)

    if fault := strikes("rate_limited"):
        return throttled(fault, clock)
    for kind, refusal in REFUSALS.items():
        if strikes(kind):
            return error_reply(*refusal)
    if not has_claims and strikes("claims_challenge"):
        claims = base64.b64encode(CLAIMS.encode()).decode()
        challenge = f'Bearer realm="", error="insufficient_claims", claims="{claims}"'
        message = "Continuous access evaluation resulted in challenge."
        return error_reply(401, "InvalidAuthenticationToken", message, WWW_Authenticate=challenge)
    if fault := strikes("server_error"):
        return error_reply(fault.params.get("status", 503), "ServiceNotAvailable", "The service is unavailable.")
    if fault := strikes("html_error"):
        page = b"<!DOCTYPE html><title>Error</title><p>Our services aren't available right now."
        return Reply(fault.params.get("status", 200), page, "text/html; charset=UTF-8")
    if strikes("empty_answer"):
        return json_reply({})
    if strikes("connection_dropped"):
        return Reply(500, drop=True)
    return None


def spoiled(reply: Reply, faults: Faults, address: str | None, operation: str) -> Reply:
    """Return the answer as a fault of the way back leaves it."""
    body, cut = reply.body, reply.cut
    if faults.take("truncated_json", address, operation=operation):
        body = body[: len(body) // 2]
    if faults.take("connection_cut", address, operation=operation):
        cut = True
    return Reply(reply.status, body, reply.content_type, reply.headers, reply.delay_s, cut, reply.drop)


def json_object(call: Call) -> dict[str, object]:
    """Read a JSON object. Raises ValueError."""
    read = json.loads(call.body or b"{}")
    if not isinstance(read, dict):
        raise ValueError("The body must be a JSON object.")  # noqa: TRY004  # what Graph calls malformed
    return read
