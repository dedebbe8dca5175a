"""Shared mailboxes: polled with somebody's own access, or read and watched as the application."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.errors import AdminBlocked, ApplicationMisconfigured, ProviderError, Rejected, Unsupported
from app.ports import MailConnector
from connectors.mail.graph.simulator_login import TENANT_ID
from tests.integration.graph.certificates import write_certificate
from tests.integration.graph.conftest import REDIRECT_URI, mailbox_of
from tests.integration.graph.wire import ADDRESS, mail

if TYPE_CHECKING:
    from tests.integration.graph.conftest import Graph

pytestmark = pytest.mark.integration

SALES = "sales@northwind.test"
APPLICATION = {"GRAPH_TEAM_ACCESS": "application", "GRAPH_TENANT": TENANT_ID}


@pytest.fixture(autouse=True)
def sales(graph: Graph) -> None:
    graph.simulator.add_mailbox(SALES)


def connect(graph: Graph, connector: MailConnector, *, as_: str = ADDRESS, **changed: str) -> Any:
    asked = connector.authorize_shared(REDIRECT_URI, "state", SALES)
    back = dict(parse_qsl(urlsplit(graph.simulator.consent(asked.url, as_)).query))
    return connector.connect(REDIRECT_URI, {**back, **changed}, asked.kept)


def test_a_shared_mailbox_is_read_with_a_members_access_and_polled(graph: Graph) -> None:
    graph.simulator.share(SALES, ADDRESS)
    connected = connect(graph, graph.connector)
    assert connected.address == SALES
    mailbox = mailbox_of(connected, "team")
    _, cursor = graph.read(mailbox, None)
    new = graph.simulator.deliver(SALES, mail(1), at=graph.clock.now())
    assert set(graph.read(mailbox, cursor)[0]) == {new}
    assert graph.connector.own_addresses(mailbox) == {SALES}
    with pytest.raises(Unsupported):
        graph.connector.subscribe(mailbox)


def test_a_mailbox_that_is_not_shared_with_the_member_is_not_connected(graph: Graph) -> None:
    with pytest.raises(ProviderError) as raised:
        connect(graph, graph.connector)
    assert "simulated-" not in str(raised.value)


@pytest.mark.parametrize("proof", ["secret", "certificate"])
def test_the_application_reads_and_watches_a_team_mailbox(graph: Graph, tmp_path: Path, proof: str) -> None:
    settings = dict(APPLICATION)
    if proof == "certificate":
        pem = write_certificate(tmp_path / "app.pem")
        graph.simulator.upload_certificate(pem)
        settings |= {"GRAPH_CERTIFICATE": str(pem), "GRAPH_CLIENT_SECRET": ""}
    connector = graph.new_connector(**settings)
    connected = connect(graph, connector)
    assert connected.mailbox == f"{TENANT_ID}/{graph.simulator.user_id(SALES)}"
    mailbox = mailbox_of(connected, "team")
    _, cursor = graph.read(mailbox, None, connector)
    new = graph.simulator.deliver(SALES, mail(1), at=graph.clock.now())
    assert set(graph.read(mailbox, cursor, connector)[0]) == {new}
    graph.simulator.push_to("http://127.0.0.1:9/nobody")
    with pytest.raises(ApplicationMisconfigured, match="PUBLIC_BASE_URL"):
        connector.subscribe(mailbox)  # it asks for one, and nobody answers the handshake here
    assert "access_token" not in str(mailbox.credentials.read())


def test_an_application_token_is_used_until_it_ends(graph: Graph) -> None:
    connector = graph.new_connector(**APPLICATION)
    mailbox = mailbox_of(connect(graph, connector), "team")
    _, cursor = graph.read(mailbox, None, connector)
    made = graph.simulator.login._made
    graph.read(mailbox, cursor, connector)
    assert graph.simulator.login._made == made
    graph.simulator.fault("unauthorized_once")
    graph.read(mailbox, cursor, connector)
    assert graph.simulator.login._made == made + 1


def test_an_unknown_certificate_is_the_operators_matter(graph: Graph, tmp_path: Path) -> None:
    pem = write_certificate(tmp_path / "app.pem")
    connector = graph.new_connector(**APPLICATION, GRAPH_CERTIFICATE=str(pem), GRAPH_CLIENT_SECRET="")
    with pytest.raises(ApplicationMisconfigured, match="GRAPH_CERTIFICATE"):
        connect(graph, connector)


def test_the_application_needs_a_tenant(graph: Graph) -> None:
    connector = graph.new_connector(GRAPH_TEAM_ACCESS="application")
    with pytest.raises(ApplicationMisconfigured, match="GRAPH_TENANT"):
        connect(graph, connector)


@pytest.mark.parametrize(
    "changed", [{"state": "another"}, {"admin_consent": "False"}, {"tenant": "00000000-0000-4000-8000-000000000000"}]
)
def test_a_browser_cannot_make_up_an_administrators_consent(graph: Graph, changed: dict[str, str]) -> None:
    connector = graph.new_connector(**APPLICATION)
    with pytest.raises(Rejected):
        connect(graph, connector, **changed)


def test_an_administrator_who_refuses_is_understood(graph: Graph) -> None:
    connector = graph.new_connector(**APPLICATION)
    graph.simulator.fault("admin_consent_required")
    with pytest.raises(AdminBlocked):
        connect(graph, connector)
