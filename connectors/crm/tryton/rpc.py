"""Tryton's JSON-RPC: one request, one answer, and what each kind of refusal stands for.

trytond 8.x: POST /DATABASE/rpc/. A refusal comes as HTTP 200 with "error": [kind, ...], a failed sign-in or an ended
session as 401, a database that is not there as 404 (trytond/protocols/jsonrpc.py, dispatcher.py). Tryton's own
sentences name records, so none of them goes into an error of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from app.errors import AccessRevoked, AdminBlocked, ProviderError, RateLimited, Rejected, Unavailable
from app.ports import Clock
from connectors.http import Answer, Finding, OutgoingHttp, error_of

PROVIDER = "tryton"
_REFUSALS = {
    "UserError": Finding(Rejected, "Tryton refused this: its rules or the rights of its user do not allow it"),
    "UserWarning": Finding(Rejected, "Tryton wants a person to confirm this first"),
    "ConcurrencyException": Finding(Unavailable, "Somebody changed the record in Tryton at the same time"),
    "LoginException": Finding(AdminBlocked, "Tryton asks for more than a password: give this user password sign-in"),
    "RateLimitException": Finding(RateLimited),
}


class SessionEnded(AccessRevoked):
    """Tryton knows this session no more, or refused the sign-in."""


@dataclass(frozen=True, slots=True)
class Rpc:
    """One database of one Tryton server. Raises SessionEnded and the other errors of app.errors."""

    http: OutgoingHttp
    url: str
    database: str
    clock: Clock

    def server_time(self, operation: str) -> datetime:
        """Return what time it is for Tryton, to the second; ours when it does not say."""
        answer = self.http.request(
            "POST",
            f"{self.url}/rpc/",
            operation=operation,
            json_body={"id": 1, "method": "common.server.version", "params": []},
        )
        try:
            return parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC)
        except ValueError:
            return self.clock.now()

    def call(self, method: str, params: Sequence[Any], *, operation: str, authorization: str | None = None) -> Any:
        """Send one request and return its result."""
        answer = self.http.request(
            "POST",
            f"{self.url}/{quote(self.database, safe='')}/rpc/",
            operation=operation,
            headers={"Authorization": authorization} if authorization else None,
            json_body={"id": 1, "method": method, "params": list(params)},
        )
        body = answer.json() if answer.status == 200 else None
        if isinstance(body, dict) and "result" in body:
            return body["result"]
        raise self._error(answer, body, method, operation)

    def _error(self, answer: Answer, body: object, method: str, operation: str) -> ProviderError:
        def reason(answer: Answer) -> Finding | None:
            if answer.status == 200:
                return _refusal(body, method)
            return {
                401: Finding(SessionEnded, "Tryton refused the user name or the password"),
                403: Finding(AdminBlocked, "Tryton does not let its user do this"),
                404: Finding(AdminBlocked, "There is no Tryton 8 with this database at this address"),
                405: Finding(AdminBlocked, "There is no Tryton 8 with this database at this address"),
            }.get(answer.status)

        return error_of(answer, provider=PROVIDER, operation=operation, now=self.clock.now(), reason=reason)


def _refusal(body: object, method: str) -> Finding:
    error = body.get("error") if isinstance(body, dict) else None
    kind = str(error[0]) if isinstance(error, list) and error else ""
    model = method.removeprefix("model.").rpartition(".")[0]
    if kind == f"'{model}'":  # what a KeyError of its registry says
        return Finding(AdminBlocked, f"This Tryton has no {model}: activate the module")
    return _REFUSALS.get(kind) or Finding(Unavailable, "Tryton failed at this")
