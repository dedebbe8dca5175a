"""The OpenAPI 3.1 document: what the routes say of themselves, made whole by what is true of all of them.

Every route gets an example, its errors as problem documents and, when it writes, the Idempotency-Key; what webhooks are
told stands under `webhooks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel

from app.store.outgoing_webhooks import KINDS
from app.web.api.answered import WebhookEvent
from app.web.api.examples import EVENTS, EXAMPLES, PATHS, PROBLEM

LONGEST_IDEMPOTENCY_KEY = 200
REF = "#/components/schemas/"
ABOUT = """\
Everything a member may see and do in threadlink, with the rights of that member. Make a key under Personal preferences,
API keys, or with `threadlink api-keys add NAME --as MEMBER`, and send it as `Authorization: Bearer tl_…`. A write may
carry an `Idempotency-Key`: repeated within a day it is answered as the first time, and done once. Errors are problem
documents (RFC 9457); their `reason` is stable, and what is not yours is answered like what is not there."""

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_IDEMPOTENCY_KEY},
    "description": "Any text that is yours alone for this write, such as a uuid.",
}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait before asking again."}}
_SAYS = {
    "conversation.linked": "A conversation was linked, by the rules or by somebody.",
    "conversation.unlinked": "A conversation was taken off its item.",
    "conversation.needs_review": "A conversation needs somebody's choice.",
}
_SIGNED = (
    "Signed as Standard Webhooks 1.0 says: verify it before you believe it. Answer 2xx; anything else is tried again."
)


def finished(spec: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    """Return the document of the routes with what they have in common."""
    document = deepcopy(dict(spec))
    document["servers"] = [{"url": base_url}]
    for methods in document["paths"].values():
        for method, operation in methods.items():
            _finish(operation, is_write=method != "get")
    document["components"]["schemas"] |= _schemas(WebhookEvent)
    document["webhooks"] = {kind: {"post": _told(kind)} for kind in KINDS}
    return document


def _finish(operation: dict[str, Any], *, is_write: bool) -> None:
    example, answers = EXAMPLES[operation["operationId"]], operation["responses"]
    for status, answer in answers.items():
        if status >= "400":
            answer["content"] = {"application/problem+json": {"schema": {"$ref": f"{REF}Problem"}, "example": PROBLEM}}
        if status in ("429", "503"):
            answer["headers"] = _RETRY_AFTER
    answers["200"]["content"]["application/json"]["example"] = example.answer
    if "requestBody" in operation:
        operation["requestBody"]["content"]["application/json"]["example"] = example.body
    for parameter in operation.setdefault("parameters", []):
        given = PATHS if parameter["in"] == "path" else example.query
        if parameter["name"] in given:
            parameter["example"] = given[parameter["name"]]
    if is_write:
        operation["parameters"].append(_IDEMPOTENCY_KEY)


def _told(kind: str) -> dict[str, Any]:
    body = {"schema": {"$ref": f"{REF}{WebhookEvent.__name__}"}, "example": EVENTS[kind]}
    return {
        "operationId": kind,
        "summary": _SAYS[kind],
        "description": _SIGNED,
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": meaning}
            for name, meaning in (
                ("webhook-id", "The same whenever this is tried again."),
                ("webhook-timestamp", "Seconds since 1970, of this try."),
                ("webhook-signature", "v1, and the signature; two for a day after the secret was changed."),
            )
        ],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {"2XX": {"description": "Understood."}, "410": {"description": "Turns the webhook off."}},
    }


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a shape and of those it is made of, by name."""
    schema = model.model_json_schema(ref_template=f"{REF}{{model}}")
    return {**schema.pop("$defs", {}), model.__name__: schema}
