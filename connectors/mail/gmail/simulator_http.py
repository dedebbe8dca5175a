"""How Google's APIs refuse, and Google's batch format: several requests in one. Part of the simulator."""

from __future__ import annotations

import email
from collections.abc import Callable

from connectors.simulated_http import Call, Reply, head_of, json_reply

MAX_BATCH = 100
BOUNDARY = "batch_simulated"


def error_reply(status: int, reason: str, message: str, **headers: str) -> Reply:
    """Answer the way Google's APIs refuse."""
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
    names |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
    error = {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
        "status": names.get(status, "UNKNOWN"),
    }
    return json_reply({"error": error}, status, **headers)


def answer_batch(call: Call, answer_part: Callable[[Call], Reply], is_missing: Callable[[], bool]) -> Reply:
    """Answer a multipart/mixed batch; every part gets the outer request's authorization unless it has its own.

    `is_missing` says of each part, after it was answered, whether its answer gets lost.
    """
    head = f"Content-Type: {call.headers.get('content-type', '')}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + call.body).get_payload()
    if not isinstance(parts, list) or not parts:
        return error_reply(400, "badRequest", "Failed to parse batch request, error: 0 items.")
    if len(parts) > MAX_BATCH:
        return error_reply(400, "badRequest", f"The batch request has more than {MAX_BATCH} calls.")
    answers = []
    for part in parts:
        if isinstance(part, str):
            continue
        reply = answer_part(_part_call(str(part.get_payload()), call.headers.get("authorization", "")))
        if is_missing():
            continue
        content_id = "".join(str(part.get("Content-ID", "")).splitlines()).replace("<", "<response-", 1)
        answers.append(
            f"--{BOUNDARY}\r\nContent-Type: application/http\r\nContent-ID: {content_id}\r\n\r\n".encode()
            + head_of(reply)
            + reply.body
            + b"\r\n"
        )
    body = b"".join(answers) + f"--{BOUNDARY}--\r\n".encode()
    return Reply(200, body, f"multipart/mixed; boundary={BOUNDARY}")


def _part_call(text: str, authorization: str) -> Call:
    request_line, _, rest = text.replace("\r\n", "\n").partition("\n")
    method, target, _ = request_line.split(" ", 2)
    head, _, body = rest.partition("\n\n")
    headers = {name.lower(): value for name, value in email.message_from_string(head + "\n\n").items()}
    return Call.of(method, target, {"authorization": authorization, **headers}, body.encode())
