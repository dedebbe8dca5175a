"""Tryton's settings, and where a connection leads."""

from __future__ import annotations

import pytest

from app.errors import SettingsError
from connectors.crm.tryton.auth import Place, place
from connectors.crm.tryton.settings import TrytonSettings, load


def test_nothing_has_to_be_set() -> None:
    assert load({}).operator_urls == ()
    assert load({"TRYTON_TIMEOUT_S": ""}).timeout_s == 15


def test_only_what_is_handed_over_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRYTON_TIMEOUT_S", "7")
    assert load({}).timeout_s == 15


def test_the_operator_lists_servers() -> None:
    urls = "http://10.0.0.7:8000, https://tryton.internal,"
    assert load({"TRYTON_ALLOWED_URLS": urls}).operator_urls == ("http://10.0.0.7:8000", "https://tryton.internal")


@pytest.mark.parametrize(
    ("name", "value"),
    [("TRYTON_ALLOWED_URLS", "secret.test"), ("TRYTON_ALLOWED_URLS", "ftp://s.test"), ("TRYTON_TIMEOUT_S", "1000")],
)
def test_a_wrong_value_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        load({name: value})
    assert value not in str(raised.value)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in TrytonSettings.model_fields.values())


def test_a_connection_says_where_its_server_is() -> None:
    options = {"url": " https://tryton.test:8000/ ", "database": "crm", "organization_relation": None}
    assert place(options) == Place("https://tryton.test:8000", "crm", "")
    assert place(options).host == "tryton.test"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "https://tryton.test"},
        {"url": "tryton.test", "database": "crm"},
        {"url": "ftp://tryton.test", "database": "crm"},
        {"url": "https://user:password@tryton.test", "database": "crm"},
        {"url": "https://tryton.test?x=1", "database": "crm"},
    ],
)
def test_a_place_that_is_none_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        place(options)
