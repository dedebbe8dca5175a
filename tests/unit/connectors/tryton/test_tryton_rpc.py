"""What Tryton's answers stand for."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from app.errors import AccessRevoked, AdminBlocked, ProviderError, RateLimited, Rejected, Unavailable
from app.testing.fakes import BEGINNING, SteppedClock
from connectors.crm.tryton.rpc import Rpc
from connectors.http import OutgoingHttp

URL = "https://tryton.test"


@pytest.fixture
def rpc() -> Rpc:
    return Rpc(OutgoingHttp("tryton", ("tryton.test",), (URL,)), URL, "my crm", SteppedClock())


@responses.activate
def test_a_result_is_returned(rpc: Rpc) -> None:
    responses.post(f"{URL}/my%20crm/rpc/", json={"id": 1, "result": None})
    assert rpc.call("model.ir.note.delete", [[1], {}], operation="remove_link") is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 401}, AccessRevoked),
        ({"status": 403}, AdminBlocked),
        ({"status": 404}, AdminBlocked),
        ({"status": 405}, AdminBlocked),
        ({"status": 429}, RateLimited),
        ({"status": 503}, Unavailable),
        ({"body": "<html>", "status": 200}, Unavailable),
        ({"json": []}, Unavailable),
        ({"json": {"id": 1}}, Unavailable),
        ({"json": {"error": []}}, Unavailable),
        ({"json": {"error": ["UserError", ["Ada's secret", "", None]]}}, Rejected),
        ({"json": {"error": ["UserWarning", ["name", "Ada's secret", ""]]}}, Rejected),
        ({"json": {"error": ["ConcurrencyException", "Ada's secret"]}}, Unavailable),
        ({"json": {"error": ["LoginException", ["password", "Ada's secret", "password"]]}}, AdminBlocked),
        ({"json": {"error": ["RateLimitException"]}}, RateLimited),
        ({"json": {"error": ["'party.party'", ""]}}, AdminBlocked),
        ({"json": {"error": ["Ada's secret", "Traceback"]}}, Unavailable),
    ],
)
@responses.activate
def test_a_refusal_is_an_error_without_tryton_s_words(
    rpc: Rpc, answer: dict[str, Any], kind: type[ProviderError]
) -> None:
    responses.post(f"{URL}/my%20crm/rpc/", **answer)
    with pytest.raises(kind) as raised:
        rpc.call("model.party.party.search", [[], {}], operation="people_by_address")
    assert "secret" not in str(raised.value)
    assert (raised.value.provider, raised.value.operation) == ("tryton", "people_by_address")


@responses.activate
def test_tryton_s_clock_is_read_from_its_answers(rpc: Rpc) -> None:
    responses.post(f"{URL}/rpc/", json={"id": 1, "result": "8.2"}, headers={"Date": "Mon, 02 Mar 2026 09:00:00 GMT"})
    assert rpc.server_time("changes_since") == BEGINNING.replace(hour=9)
    responses.replace(responses.POST, f"{URL}/rpc/", json={}, headers={"Date": "soon"})
    assert rpc.server_time("changes_since") == BEGINNING
