"""Graph's $batch: up to 20 requests as JSON, answered in any order, each with its headers. Part of the simulator."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from connectors.mail.graph.simulator_replies import CONCURRENCY, error_reply
from connectors.simulated_http import Call, Reply, json_reply

MAX_BATCH = 20
VERSION = "/v1.0"


def asks_for(call: Call) -> list[Call]:
    """Return the parts of a batch as calls; a part gets the batch' authorization, but none of its Prefer headers."""
    try:
        parts = json.loads(call.body)["requests"]
        return [_part_call(part, call.headers.get("authorization", "")) for part in parts]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def answer_batch(
    call: Call, answer_part: Callable[[Call], Reply], is_missing: Callable[[], bool], *, busy: bool
) -> Reply:
    """Answer a batch; `is_missing` says of each part, after it was answered, whether its answer gets lost."""
    parts = asks_for(call)
    if not parts or len(parts) > MAX_BATCH:
        return error_reply(400, "BadRequest", f"A batch holds 1 to {MAX_BATCH} requests.")
    requests = json.loads(call.body)["requests"]
    ids = [str(request.get("id", "")) for request in requests]
    if len(set(ids)) < len(ids) or "" in ids:
        return error_reply(400, "BadRequest", "Every request of a batch needs an id of its own.")
    answered: dict[str, Reply] = {}
    for part_id, request, part in zip(ids, requests, parts, strict=True):
        needed = [str(name) for name in request.get("dependsOn", [])]
        if busy:
            answered[part_id] = error_reply(429, "ApplicationThrottled", CONCURRENCY, Retry_After="1")
        elif any(name not in answered or answered[name].status >= 400 for name in needed):
            answered[part_id] = error_reply(424, "FailedDependency", "A request this one depends on has failed.")
        else:
            answered[part_id] = answer_part(part)
    shown = [_shown(part_id, reply) for part_id, reply in answered.items() if not is_missing()]
    return json_reply({"responses": shown[::-1]})  # the last one first: the order means nothing


def _part_call(part: Mapping[str, Any], authorization: str) -> Call:
    headers = {name.lower(): str(value) for name, value in dict(part.get("headers", {})).items()}
    body = json.dumps(part["body"]).encode() if "body" in part else b""
    target = f"{VERSION}/{str(part['url']).lstrip('/')}"
    return Call.of(str(part["method"]).upper(), target, {"authorization": authorization, **headers}, body)


def _shown(part_id: str, reply: Reply) -> dict[str, Any]:
    headers = {name.replace("_", "-"): value for name, value in reply.headers.items()}
    shown: dict[str, Any] = {"id": part_id, "status": reply.status, "headers": headers}
    if not reply.body:
        return shown
    headers["Content-Type"] = reply.content_type
    if "json" in reply.content_type:
        return {**shown, "body": json.loads(reply.body)}
    return {**shown, "body": base64.b64encode(reply.body).decode()}  # what is no JSON comes as base64
