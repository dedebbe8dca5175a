"""The simulated Graph on the wire: subscriptions, and what is pushed to them."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509 import CertificateBuilder, Name, NameAttribute, NameOID, random_serial_number

from app.testing.fakes import PushListener
from connectors.mail.graph.simulator_view import time_shown
from tests.integration.graph.wire import ADDRESS, Wire, items

pytestmark = pytest.mark.integration


# --- subscriptions and pushes ---


def test_both_addresses_are_asked_before_a_subscription_is_made(wire: Wire, wire_listener: PushListener) -> None:
    made = wire.subscribe()
    assert made.status_code == 201
    assert [dict(request.args).get("kind") for request in wire_listener.requests] == [None, "lifecycle"]
    token = wire_listener.requests[0].args["validationToken"]
    assert "a+b&c=<d>" in token


def test_without_an_answer_no_subscription_is_made(wire: Wire) -> None:
    answer = wire.subscribe()
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ValidationError")


@pytest.mark.usefixtures("wire_listener")
def test_a_subscription_is_checked(wire: Wire) -> None:
    assert wire.subscribe(expirationDateTime=time_shown(wire.clock.now() + timedelta(days=8))).status_code == 400
    assert wire.subscribe(clientState="x" * 129).status_code == 400
    assert wire.subscribe(resource="users/nobody/messages").status_code == 404
    made = wire.subscribe().json()
    second = wire.subscribe()
    assert second.status_code == 409
    assert "already exists for the requested combination" in second.json()["error"]["message"]
    assert [found["id"] for found in wire.get("/subscriptions")["value"]] == [made["id"]]
    later = {"expirationDateTime": time_shown(wire.clock.now() + timedelta(days=6, hours=2))}
    assert (
        wire.ask("PATCH", f"/subscriptions/{made['id']}", json=later).json()["expirationDateTime"]
        == later["expirationDateTime"]
    )
    assert wire.ask("DELETE", f"/subscriptions/{made['id']}").status_code == 204
    assert wire.ask("PATCH", f"/subscriptions/{made['id']}", json=later).status_code == 404


def test_a_push_names_subscription_message_and_state(wire: Wire, wire_listener: PushListener) -> None:
    made = wire.subscribe().json()
    name = wire.deliver(1)
    wire.simulator.settle()
    (item,) = items(wire_listener)
    assert (item["subscriptionId"], item["clientState"], item["resourceData"]["id"]) == (made["id"], "state", name)
    wire.clock.step(days=7)  # it has ended by then
    wire.deliver(2)
    wire.simulator.settle()
    assert len(items(wire_listener)) == 1


@pytest.mark.parametrize(
    ("fault", "events"),
    [("missed", ["missed"]), ("subscription_removed", ["subscriptionRemoved"]), ("subscription_ended", [])],
)
def test_graph_says_what_became_of_a_subscription(
    wire: Wire, wire_listener: PushListener, fault: str, events: list[str]
) -> None:
    wire.subscribe()
    wire.simulator.fault(fault)
    wire.simulator.settle()
    assert [item["lifecycleEvent"] for item in items(wire_listener)] == events
    assert wire.simulator.is_watched(ADDRESS) == (fault == "missed")


def test_pushes_wait_until_a_subscription_is_authorized_again(wire: Wire, wire_listener: PushListener) -> None:
    made = wire.subscribe().json()
    wire.simulator.fault("reauthorization_required")
    name = wire.deliver(1)
    wire.simulator.settle()
    assert [item.get("lifecycleEvent") for item in items(wire_listener)] == ["reauthorizationRequired"]
    assert wire.ask("POST", f"/subscriptions/{made['id']}/reauthorize").status_code == 204
    wire.simulator.settle()
    assert items(wire_listener)[-1]["resourceData"]["id"] == name


@pytest.mark.parametrize(("fault", "count"), [("duplicate_push", 3), ("lost_push", 1), ("mixed_push", 4)])
def test_pushes_come_as_they_like(wire: Wire, wire_listener: PushListener, fault: str, count: int) -> None:
    wire.subscribe()
    wire.simulator.fault(fault)
    wire.deliver(1)
    wire.deliver(2)
    wire.simulator.settle()
    assert len(items(wire_listener)) == count


def test_a_rich_push_is_encrypted_and_proves_its_sender(wire: Wire, wire_listener: PushListener) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = Name([NameAttribute(NameOID.COMMON_NAME, "threadlink")])
    now = wire.clock.now()
    builder = CertificateBuilder(name, name, key.public_key(), random_serial_number(), now, now + timedelta(days=9))
    der = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    made = wire.subscribe(
        resource="me/messages?$select=id,subject",
        includeResourceData=True,
        encryptionCertificate=base64.b64encode(der).decode(),
        encryptionCertificateId="mine",
        expirationDateTime=time_shown(now + timedelta(hours=23)),
    )
    assert made.status_code == 201
    wire.deliver(1)
    wire.simulator.settle()
    body = json.loads(wire_listener.requests[-1].body)
    content = body["value"][0]["encryptedContent"]
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303  # Graph's
    secret = key.decrypt(base64.b64decode(content["dataKey"]), oaep)
    decryptor = Cipher(algorithms.AES(secret), modes.CBC(secret[:16])).decryptor()
    plain = decryptor.update(base64.b64decode(content["data"])) + decryptor.finalize()
    assert json.loads(plain[: -plain[-1]])["subject"] == "Prices 1"
    assert len(body["validationTokens"]) == 1


def test_every_fault_is_one_that_strikes(wire: Wire) -> None:
    with pytest.raises(ValueError, match="there are: access_denied"):
        wire.simulator.fault("flood")
    wire.simulator.fault("rate_limited", header="date", retry_after_s=60)
    answer = wire.ask("GET", "/me")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "Mon, 02 Mar 2026 08:01:00 GMT")
