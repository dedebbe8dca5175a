"""Calling an address that a team names: which ones, how, and what is read of the answer."""

from __future__ import annotations

import pytest
import responses

from app.errors import Rejected, Unavailable
from app.ports import Services
from app.testing.fakes import SteppedClock
from connectors import http as outgoing
from connectors.webhooks import MAX_ANSWER_BYTES, Sender, create

TARGET = "https://hooks.acme.test/threadlink"


@pytest.fixture
def sender() -> Sender:
    return create(Services(SteppedClock(), "https://threadlink.test", {}), ("http://10.0.0.7:8080/",))


@pytest.mark.parametrize(
    "url", [TARGET, "https://93.184.216.34/", "http://10.0.0.7:8080/hook", "https://[2606:2800:220:1::1]/"]
)
def test_public_addresses_and_what_the_operator_listed_are_accepted(sender: Sender, url: str) -> None:
    assert sender.accepts(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.acme.test/",
        "https://hooks.acme.test:8443/",
        "https://name:secret@hooks.acme.test/",
        "https://localhost/",
        "https://10.0.0.7/",
        "https://10.0.0.7:8080/",
        "http://10.0.0.7:8081/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.7]/",
        "https://[64:ff9b::a00:7]/",
        "https://[::1]/",
        "ftp://hooks.acme.test/",
        "hooks.acme.test",
        "",
    ],
)
@responses.activate
def test_every_other_address_is_refused_and_nothing_is_sent(sender: Sender, url: str) -> None:
    assert not sender.accepts(url)
    with pytest.raises(Rejected):
        sender.send(url, {}, b"{}")
    assert len(responses.calls) == 0


@responses.activate
def test_a_body_is_posted_once_and_the_status_is_all_that_is_read(sender: Sender) -> None:
    responses.post(TARGET, status=503, body=b"busy", headers={"Retry-After": "120"})
    answer = sender.send(TARGET, {"webhook-id": "1"}, b'{"type":"x"}')
    assert (answer.status, answer.retry_after_s) == (503, 120)
    (call,) = responses.calls
    assert (call.request.body, call.request.headers["webhook-id"]) == (b'{"type":"x"}', "1")


@responses.activate
def test_a_redirect_is_not_followed_and_a_flood_is_refused(sender: Sender) -> None:
    responses.post(TARGET, status=307, headers={"Location": "http://169.254.169.254/"})
    assert sender.send(TARGET, {}, b"{}").status == 307
    responses.replace(responses.POST, TARGET, body=b"x" * (MAX_ANSWER_BYTES + 1))
    with pytest.raises(Rejected, match="too much"):
        sender.send(TARGET, {}, b"{}")


@pytest.mark.parametrize("inside", ["10.0.0.7", "::ffff:10.0.0.7", "127.0.0.1"])
def test_a_name_that_came_to_point_inside_is_not_connected_to(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    found = [(2, 1, 6, "", (inside, 443))]
    monkeypatch.setattr(outgoing.socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(outgoing, "create_connection", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(Unavailable):
        sender.send(TARGET, {}, b"{}")
