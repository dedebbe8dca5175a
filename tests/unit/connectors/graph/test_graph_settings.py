"""Graph's settings: read from what they are given, wrong ones named without their value."""

from __future__ import annotations

import pytest

from app.errors import SettingsError
from connectors.mail.graph.settings import load


def test_nothing_has_to_be_set() -> None:
    settings = load({})
    assert (settings.api_url, settings.login_url) == (
        "https://graph.microsoft.com/v1.0",
        "https://login.microsoftonline.com",
    )
    assert settings.changed_urls == ()
    assert not settings.names_a_tenant


def test_only_what_is_handed_over_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_CLIENT_ID", "from the process")
    assert load({}).client_id == ""
    assert load({"GRAPH_CLIENT_ID": "mine"}).client_id == "mine"


def test_an_empty_value_means_the_default() -> None:
    assert load({"GRAPH_PAGE_SIZE": "", "GRAPH_TENANT": ""}).page_size == 500


def test_a_national_cloud_is_two_addresses() -> None:
    china = {
        "GRAPH_API_URL": "https://microsoftgraph.chinacloudapi.cn/v1.0/",
        "GRAPH_LOGIN_URL": "https://login.chinacloudapi.cn",
    }
    settings = load(china)
    assert settings.resource == "https://microsoftgraph.chinacloudapi.cn"
    assert settings.changed_urls == (
        "https://microsoftgraph.chinacloudapi.cn/v1.0",
        "https://login.chinacloudapi.cn",
    )


@pytest.mark.parametrize(
    ("tenant", "names_one"), [("organizations", False), ("consumers", False), ("northwind.test", True)]
)
def test_the_application_reads_in_one_tenant_only(tenant: str, names_one: bool) -> None:
    assert load({"GRAPH_TENANT": tenant}).names_a_tenant is names_one


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRAPH_API_URL", "graph"),
        ("GRAPH_API_URL", "https://graph.test/v1.0?secret=1"),
        ("GRAPH_LOGIN_URL", "ftp://secret.test"),
        ("GRAPH_TENANT", "common"),
        ("GRAPH_TENANT", "secret/../x"),
        ("GRAPH_SCOPES", "secret"),
        ("GRAPH_TEAM_ACCESS", "secret"),
        ("GRAPH_NOTIFICATIONS", "secret"),
        ("GRAPH_PAGE_SIZE", "9999"),
        ("GRAPH_TIMEOUT_S", "secret"),
        ("GRAPH_INITIAL_ROUND_INTERVAL_S", "1"),
    ],
)
def test_a_wrong_value_is_named_without_being_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        load({name: value})
    assert "secret" not in str(raised.value)
