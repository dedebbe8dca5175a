"""Gmail's settings: read from what they are given, wrong ones named without their value."""

from __future__ import annotations

import pytest

from app.errors import SettingsError
from connectors.mail.gmail.settings import GmailSettings, load


def test_nothing_has_to_be_set() -> None:
    settings = load({})
    assert settings.api_url == "https://gmail.googleapis.com"
    assert settings.changed_urls == ()


def test_only_what_is_handed_over_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GMAIL_CLIENT_ID", "from the process")
    assert load({}).client_id == ""
    assert load({"GMAIL_CLIENT_ID": "mine"}).client_id == "mine"


def test_an_empty_value_means_the_default() -> None:
    assert load({"GMAIL_UNITS_PER_MINUTE": "", "GMAIL_SCOPES": ""}).units_per_minute == 4500


def test_addresses_the_operator_moved_are_known() -> None:
    settings = load({"GMAIL_TOKEN_URL": "http://127.0.0.1:9/token/", "GMAIL_API_URL": "https://gmail.googleapis.com"})
    assert settings.changed_urls == ("http://127.0.0.1:9/token",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GMAIL_API_URL", "gmail"),
        ("GMAIL_TOKEN_URL", "ftp://secret.test"),
        ("GMAIL_SCOPES", "everything"),
        ("GMAIL_BATCH_SIZE", "1000"),
        ("GMAIL_UNITS_PER_MINUTE", "many"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        load({name: value})
    assert value not in str(raised.value)


def test_a_secret_is_not_printed() -> None:
    assert "hush" not in repr(load({"GMAIL_CLIENT_SECRET": "hush"}))


def test_every_setting_is_described() -> None:
    assert all(field.description for field in GmailSettings.model_fields.values())
