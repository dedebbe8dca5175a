"""The token that proves who is at the Outlook pane: Entra's, for us, of now, of a tenant that may, with our scope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.errors import NotificationForged, SettingsError, VerificationUnavailable
from app.ports import PaneConnector, Services
from app.testing.fakes import SteppedClock
from connectors.mail import graph
from connectors.mail.graph.auth import PERSONAL_TENANT
from connectors.mail.graph.simulator import GraphSimulator
from connectors.mail.graph.simulator_client import CLIENT_ID
from connectors.mail.graph.simulator_login import TENANT_ID, TOKEN_LASTS_S
from connectors.simulated_keys import Signer

pytestmark = [pytest.mark.addon, pytest.mark.integration]

ADA = "ada@northwind.test"
OTHER_TENANT = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def entra(clock: SteppedClock) -> Iterator[tuple[GraphSimulator, Mapping[str, str]]]:
    simulator = GraphSimulator()
    environ = simulator.start(clock)
    simulator.add_mailbox(ADA)
    yield simulator, environ
    simulator.stop()


Entra = tuple[GraphSimulator, Mapping[str, str]]


def connector(environ: Mapping[str, str], clock: SteppedClock, **changed: str) -> PaneConnector:
    made = graph.create(Services(clock, "https://threadlink.test", {**environ, **changed}, secret=b"s" * 32))
    assert isinstance(made, PaneConnector)
    return made


def test_a_person_is_the_tenant_and_the_object_id(entra: Entra, clock: SteppedClock) -> None:
    simulator, environ = entra
    call = connector(environ, clock).read_pane_token(simulator.pane_token(ADA))
    assert (call.user_id, call.issuer) == (f"{TENANT_ID}/{simulator.user_id(ADA)}", "microsoft")
    assert (call.address, call.tokens) == (ADA, {})


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "another-application"},
        {"aud": f"api://{CLIENT_ID}"},
        {"aud": None},
        {"iss": f"https://sts.windows.net/{TENANT_ID}/"},
        {"iss": None},
        {"tid": OTHER_TENANT},
        {"tid": None},
        {"tid": ["x"]},
        {"oid": None},
        {"oid": ADA},
        {"scp": "openid profile"},
        {"scp": "access_as_user_not"},
        {"scp": ["access_as_user"]},
        {"scp": None, "roles": ["access_as_user"]},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": None},
    ],
    ids=str,
)
def test_a_token_with_another_claim_is_refused(entra: Entra, clock: SteppedClock, changed: dict[str, Any]) -> None:
    simulator, environ = entra
    with pytest.raises(NotificationForged):
        connector(environ, clock).read_pane_token(simulator.pane_token(ADA, **changed))


def test_a_token_that_is_signed_otherwise_is_refused(entra: Entra, clock: SteppedClock) -> None:
    simulator, environ = entra
    pane, good = connector(environ, clock), simulator.pane_token(ADA)
    head, body, signature = good.split(".")
    forger = Signer()
    forger.number = 1_000
    claims = {"aud": CLIENT_ID, "tid": TENANT_ID}
    for wrong in (
        "",
        "x",
        "a.b.c",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[::-1]}",
        good + "x" * 9_000,
        forger.sign(claims, kid=simulator.signer.key_id),
        simulator.signer.sign(claims, alg="none"),
        simulator.signer.sign(claims, alg="HS256"),
        simulator.signer.sign(claims, kid="nobody's"),
    ):
        with pytest.raises(NotificationForged):
            pane.read_pane_token(wrong)


def test_a_token_counts_in_its_time(entra: Entra, clock: SteppedClock) -> None:
    simulator, environ = entra
    pane, token = connector(environ, clock), simulator.pane_token(ADA)
    clock.step(seconds=TOKEN_LASTS_S + 30)
    pane.read_pane_token(token)  # clocks differ a little
    clock.step(seconds=60)
    with pytest.raises(NotificationForged):
        pane.read_pane_token(token)


def test_the_operator_says_whose_people_may(entra: Entra, clock: SteppedClock) -> None:
    simulator, environ = entra

    def of(tenant: str) -> str:
        issuer = f"{environ['GRAPH_LOGIN_URL']}/{tenant}/v2.0"
        return simulator.pane_token(ADA, tid=tenant, iss=issuer)

    for settings, allowed in (
        ({}, {TENANT_ID, OTHER_TENANT}),
        ({"GRAPH_TENANT": TENANT_ID}, {TENANT_ID}),
        ({"GRAPH_TENANT": "consumers"}, {PERSONAL_TENANT}),
        ({"GRAPH_TENANT": "northwind.test"}, set()),
        ({"GRAPH_TENANT": "northwind.test", "GRAPH_PANE_TENANTS": f"{OTHER_TENANT}, {TENANT_ID}"},
         {OTHER_TENANT, TENANT_ID}),
    ):  # fmt: skip
        pane, let_in = connector(environ, clock, **settings), set()
        for tenant in (TENANT_ID, OTHER_TENANT, PERSONAL_TENANT):
            try:
                let_in.add(pane.read_pane_token(of(tenant)).user_id.partition("/")[0])
            except NotificationForged:
                continue
        assert let_in == allowed, settings
    with pytest.raises(SettingsError, match="GRAPH_PANE_TENANTS"):
        connector(environ, clock, GRAPH_PANE_TENANTS="northwind.test")


def test_a_new_key_is_found_and_missing_keys_are_no_forgery(entra: Entra, clock: SteppedClock) -> None:
    simulator, environ = entra
    simulator.fault("keys_down", count=1)
    pane = connector(environ, clock)
    with pytest.raises(VerificationUnavailable):
        pane.read_pane_token(simulator.pane_token(ADA))
    clock.step(minutes=2)
    pane.read_pane_token(simulator.pane_token(ADA))
    simulator.fault("keys_rotated")
    clock.step(minutes=2)
    pane.read_pane_token(simulator.pane_token(ADA))
