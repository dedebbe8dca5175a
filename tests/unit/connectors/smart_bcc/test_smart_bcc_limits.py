"""Limits and settings of the mail server."""

from __future__ import annotations

import pytest

from app.errors import SettingsError
from connectors.mail.smart_bcc import limits
from connectors.mail.smart_bcc.limits import Connections, Rate
from connectors.mail.smart_bcc.settings import is_within, load

pytestmark = pytest.mark.smtp


def test_a_rate_counts_each_name_in_its_own_window() -> None:
    now = 0.0
    rate = Rate(2, 60, lambda: now)
    for name in ("a", "a", "b"):
        rate.count(name)
    assert (rate.is_over("a"), rate.is_over("b"), rate.is_over("c")) == (True, False, False)
    now = 61.0
    assert not rate.is_over("a")
    rate.count("a")
    assert not rate.is_over("a")


def test_a_flood_of_names_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_REMEMBERED", 10)
    rate = Rate(1, 60, lambda: 0.0)
    for name in range(1000):
        rate.count(name)
    assert len(rate._counted) == 10
    assert rate.is_over(999)


def test_connections_are_counted_by_who_makes_them() -> None:
    connections = Connections(3, 2)
    assert [connections.enter(peer) for peer in ("a", "a", "a", "b", "c")] == [True, True, False, True, False]
    connections.leave("a")
    assert connections.enter("c")


@pytest.mark.parametrize(
    "wrong",
    [
        {"SMART_BCC_LISTEN": "25"},
        {"SMART_BCC_LISTEN": "host:99999"},
        {"SMART_BCC_PROXIES": "10.0.0.0/40"},
        {"SMART_BCC_PROTOCOL": "uucp"},
    ],
)
def test_a_wrong_setting_is_named_without_its_value(wrong: dict[str, str]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(SettingsError, match=name) as raised:
        load(wrong)
    assert value not in str(raised.value).replace(name, "")


def test_who_sets_nothing_has_the_limits_of_the_design() -> None:
    usual = load({})
    assert (usual.mails_per_address, usual.mails_per_sender) == (300, 200)  # in an hour
    assert (usual.connections, usual.connections_per_ip) == (200, 10)


def test_networks_hold_addresses_of_either_spelling() -> None:
    networks = load({"SMART_BCC_TRUSTED_NETWORKS": "10.0.0.0/8, 2001:db8::/32"}).trusted_networks
    assert is_within("10.1.2.3", networks)
    assert is_within("::ffff:10.1.2.3", networks)
    assert is_within("2001:db8::1", networks)
    assert not is_within("192.0.2.1", networks)
    assert not is_within("mx.northwind.test", networks)
