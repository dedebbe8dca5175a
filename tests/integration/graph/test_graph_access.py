"""Consent and tokens: what msal is told, what Entra's numbers lead to, and shared mailboxes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    MailboxUnavailable,
    ProviderError,
    TransientError,
    Unavailable,
)
from app.ports import Mailbox

if TYPE_CHECKING:
    from tests.integration.graph.conftest import Graph

pytestmark = pytest.mark.integration


def test_consent_asks_for_no_more_than_reading(graph: Graph) -> None:
    query = parse_qs(
        urlsplit(graph.connector.authorize("https://x.test/back", "state", "ada@northwind.test").url).query
    )
    names = {name.rpartition("/")[2] for name in query["scope"][0].split()}
    assert names == {"Mail.Read", "User.Read", "openid", "profile", "offline_access"}
    assert query["code_challenge_method"] == ["S256"]
    assert query["login_hint"] == ["ada@northwind.test"]


def test_a_refresh_keeps_the_token_that_came_with_it(graph: Graph, mailbox: Mailbox, start: str) -> None:
    before = mailbox.credentials.read()
    graph.clock.step(hours=2)
    _, cursor = graph.read(mailbox, start)
    after = mailbox.credentials.read()
    assert after != before
    graph.clock.step(hours=2)
    graph.read(mailbox, cursor)
    assert mailbox.credentials.read() != after


def test_two_workers_refresh_once(graph: Graph, mailbox: Mailbox, start: str) -> None:
    graph.clock.step(hours=2)
    before = graph.simulator.login.refreshed
    connectors = [graph.connector, graph.new_connector()]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda connector: graph.read(mailbox, start, connector), connectors))
    assert graph.simulator.login.refreshed == before + 1


def test_a_token_is_refused_once_and_refreshed_once(graph: Graph, mailbox: Mailbox, start: str) -> None:
    graph.simulator.fault("unauthorized_once")
    new = graph.deliver(1)
    assert set(graph.read(mailbox, start)[0]) == {new}


def test_a_token_that_is_always_refused_is_no_access(graph: Graph, mailbox: Mailbox, start: str) -> None:
    graph.simulator.fault("unauthorized_once", count=-1)
    with pytest.raises(AccessRevoked):
        graph.read(mailbox, start)


def test_a_claims_challenge_is_answered(graph: Graph, mailbox: Mailbox, start: str) -> None:
    graph.simulator.fault("claims_challenge", count=-1)
    new = graph.deliver(1)
    assert set(graph.read(mailbox, start)[0]) == {new}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (50173, AccessRevoked),
        (700082, AccessRevoked),
        (70008, AccessRevoked),
        (50076, AccessRevoked),
        (50057, AccessRevoked),
        (50034, AccessRevoked),
        (65001, AdminBlocked),
    ],
)
def test_entras_numbers_say_what_follows(
    graph: Graph, mailbox: Mailbox, start: str, code: int, kind: type[ProviderError]
) -> None:
    graph.simulator.fault("token_revoked", code=code)
    with pytest.raises(kind):
        graph.read(mailbox, start)


@pytest.mark.parametrize("code", [7000215, 7000222, 700016, 90002])
def test_our_own_mistake_disconnects_nobody(graph: Graph, mailbox: Mailbox, start: str, code: int) -> None:
    graph.clock.step(hours=2)
    graph.simulator.fault("invalid_client", code=code, count=-1)
    with pytest.raises(ApplicationMisconfigured):
        graph.read(mailbox, start)
    graph.simulator.fault("invalid_client", count=0)
    graph.read(mailbox, start)


def test_a_token_endpoint_that_is_down_is_no_refusal(graph: Graph, mailbox: Mailbox, start: str) -> None:
    graph.clock.step(hours=2)
    graph.simulator.fault("token_endpoint_down")
    with pytest.raises(TransientError):
        graph.read(mailbox, start)
    graph.read(mailbox, start)


def test_a_refused_consent_is_told(graph: Graph) -> None:
    graph.simulator.fault("consent_refused")
    with pytest.raises(AccessRevoked):
        graph.consent()


def test_a_consent_that_needs_an_administrator_says_where(graph: Graph) -> None:
    graph.simulator.fault("admin_consent_required")
    with pytest.raises(AdminBlocked, match="/adminconsent"):
        graph.consent()


def test_a_consent_without_mail_is_told(graph: Graph) -> None:
    graph.simulator.fault("scope_not_granted")
    with pytest.raises(AccessRevoked):
        graph.consent()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("access_denied", AdminBlocked),
        ("mailbox_unavailable", MailboxUnavailable),
        ("mailbox_info_stale", Unavailable),
    ],
)
def test_what_graph_refuses_is_named(
    graph: Graph, mailbox: Mailbox, start: str, fault: str, kind: type[ProviderError]
) -> None:
    graph.simulator.fault(fault, operation="delta", count=-1)
    graph.simulator.fault(fault, operation="folder_delta", count=-1)
    graph.simulator.fault(fault, operation="batch", count=-1)
    with pytest.raises(kind):
        graph.read(mailbox, start)


def test_own_addresses_are_every_proxy_address(graph: Graph, mailbox: Mailbox) -> None:
    assert graph.connector.own_addresses(mailbox) == {"ada@northwind.test", "a.l@northwind.test"}
