"""What an operator may set about Microsoft Graph; read from the environment an installation was given, nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.errors import SettingsError

PREFIX = "GRAPH_"
_TENANT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class GraphSettings(BaseSettings):
    """Graph's part of the environment; every address of Microsoft is a setting, for national clouds and simulators."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    client_id: str = Field(default="", description="Application (client) id of your Entra app registration.")
    client_secret: SecretStr = Field(
        default=SecretStr(""), description="Client secret of the registration; not needed with a certificate."
    )
    certificate: str = Field(
        default="", description="PEM file with private key and certificate of the registration, instead of a secret."
    )
    tenant: str = Field(
        default="organizations",
        description="Your tenant's id or domain; organizations accepts people of every tenant.",
    )
    scopes: Literal["read", "basic"] = Field(
        default="read", description="read asks for Mail.Read; basic asks for Mail.ReadBasic and reads no texts."
    )
    team_access: Literal["delegated", "application"] = Field(
        default="delegated",
        description="How team mailboxes are read: with somebody's own access (polled), or as the application.",
    )
    notifications: Literal["basic", "rich", "off"] = Field(
        default="basic",
        description="rich also proves who sent each notification and needs a certificate; off only polls.",
    )
    notification_certificate: str = Field(
        default="", description="PEM file with private key and certificate that rich notifications are encrypted for."
    )
    pane_tenants: tuple[str, ...] = Field(
        default=(),
        description="Ids of the tenants whose people may use the Outlook pane, comma separated; empty: GRAPH_TENANT's.",
    )
    office_js_url: str = Field(
        default="https://appsforoffice.microsoft.com/lib/1/hosted/office.js",
        description="Microsoft's script that the Outlook pane speaks with Outlook through.",
    )
    api_url: str = Field(default="https://graph.microsoft.com/v1.0", description="Graph endpoint with its version.")
    login_url: str = Field(default="https://login.microsoftonline.com", description="Entra's sign-in endpoint.")
    page_size: int = Field(default=500, ge=10, le=1000, description="Changes asked for in one page of a folder.")
    initial_round_interval_s: int = Field(
        default=3600, ge=60, description="Seconds before positions that Graph forgot are built again a second time."
    )
    timeout_s: int = Field(default=30, ge=1, le=300, description="Seconds Graph may take to answer.")

    @field_validator("pane_tenants", mode="before")
    @classmethod
    def _are_ids(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        ids = tuple(part.strip().lower() for part in value.split(",") if part.strip())
        if not all(_TENANT_ID.fullmatch(each) for each in ids):
            raise ValueError("must be tenant ids")
        return ids

    @field_validator("api_url", "login_url", "office_js_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an http or https address")
        return value.rstrip("/")

    @field_validator("tenant")
    @classmethod
    def _is_tenant(cls, value: str) -> str:
        if value == "common" or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", value):
            raise ValueError("must be organizations, consumers, a tenant id or a domain")
        return value

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # pydantic calls it by keyword
        cls, *_: Any, init_settings: PydanticBaseSettingsSource, **_other_sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what load() hands over."""
        return (init_settings,)

    @property
    def names_a_tenant(self) -> bool:
        """Whether one tenant is meant: only there the application may read without anybody signed in."""
        return self.tenant not in {"organizations", "consumers"}

    @property
    def resource(self) -> str:
        """The address that permissions are named after: Graph without its version."""
        parts = urlsplit(self.api_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def changed_urls(self) -> tuple[str, ...]:
        """The addresses the operator moved away from Microsoft's."""
        fields = type(self).model_fields
        return tuple(value for name, value in self if name.endswith("_url") and value != fields[name].default)


def load(environ: Mapping[str, str]) -> GraphSettings:
    """Read Graph's settings, or raise SettingsError naming each wrong one without its value."""
    names = {name: f"{PREFIX}{name.upper()}" for name in GraphSettings.model_fields}
    given = {name: environ[key] for name, key in names.items() if environ.get(key, "") != ""}
    try:
        return GraphSettings.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(f"{names.get(str(e['loc'][0]), PREFIX)}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Settings are wrong: {wrong}. See .env.example.") from None
