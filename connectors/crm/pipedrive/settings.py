"""What an operator may set about Pipedrive; read from the environment an installation was given, nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app import smtp
from app.errors import SettingsError

PREFIX = "PIPEDRIVE_"


class PipedriveSettings(BaseSettings):
    """Pipedrive's part of the environment; every address of theirs is a setting, so that a simulator can stand in."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    client_id: str = Field(
        default="", description="Client id of your Pipedrive app; empty means teams connect with an API token."
    )
    client_secret: SecretStr = Field(default=SecretStr(""), description="Client secret of the same app.")
    panel_secret: SecretStr = Field(
        default=SecretStr(""), description="JWT secret of your app's custom panel; empty means the client secret."
    )
    api_url: str = Field(default="https://api.pipedrive.com", description="Pipedrive's API, for API tokens.")
    authorize_url: str = Field(
        default="https://oauth.pipedrive.com/oauth/authorize", description="Pipedrive's consent page."
    )
    token_url: str = Field(default="https://oauth.pipedrive.com/oauth/token", description="Pipedrive's token endpoint.")
    revoke_url: str = Field(
        default="https://oauth.pipedrive.com/oauth/revoke", description="Pipedrive's revocation endpoint."
    )
    write_mode: Literal["note", "activity", "native_thread", "smart_bcc"] = Field(
        default="note",
        description="How a linked conversation is shown: note, activity, native_thread or smart_bcc.",
    )
    smtp_server: SecretStr = Field(
        default=SecretStr(""),
        description="SMTP server for the mode smart_bcc: smtp://name:password@host:587 (STARTTLS) or smtps://…:465.",
    )
    mail_from: str = Field(
        default="", description="Address the mode smart_bcc mails from; a Pipedrive user must have registered it."
    )
    daily_tokens: int = Field(
        default=30_000,
        ge=1000,
        description="API tokens a company may spend in a day: 30,000 x plan multiplier x seats.",
    )
    reserve_percent: int = Field(
        default=20, ge=0, le=90, description="Share of the daily tokens kept back for what people click."
    )
    requests_per_2s: int = Field(
        default=20,
        ge=1,
        description="Requests sent in two seconds; 20 suits API tokens of every plan, OAuth allows 80.",
    )
    searches_per_2s: int = Field(default=10, ge=1, description="Searches sent in two seconds; 10 on every plan.")
    catch_up_s: int = Field(
        default=1800, ge=0, description="Changes are listed at most this often; webhooks tell them in between."
    )
    page_size: int = Field(default=500, ge=1, le=500, description="Records asked for in one page.")
    timeout_s: int = Field(default=15, ge=1, le=300, description="Seconds Pipedrive may take to answer.")

    @field_validator("smtp_server")
    @classmethod
    def _is_smtp(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not smtp.is_server(value.get_secret_value()):
            raise ValueError("must be smtp://… or smtps://…")
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_mailbox(cls, value: str) -> str:
        if value and not smtp.is_mailbox(value):
            raise ValueError("must be one address")
        return value

    @field_validator("api_url", "authorize_url", "token_url", "revoke_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http or https address")
        return value.rstrip("/")

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # pydantic calls it by keyword
        cls, *_: Any, init_settings: PydanticBaseSettingsSource, **_other_sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what load() hands over."""
        return (init_settings,)

    @property
    def changed_urls(self) -> tuple[str, ...]:
        """The addresses the operator moved away from Pipedrive's."""
        fields = type(self).model_fields
        return tuple(value for name, value in self if name.endswith("_url") and value != fields[name].default)


def load(environ: Mapping[str, str]) -> PipedriveSettings:
    """Read Pipedrive's settings, or raise SettingsError naming each wrong one without its value."""
    names = {name: f"{PREFIX}{name.upper()}" for name in PipedriveSettings.model_fields}
    given = {name: environ[key] for name, key in names.items() if environ.get(key, "") != ""}
    try:
        return PipedriveSettings.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(f"{names.get(str(e['loc'][0]), PREFIX)}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Settings are wrong: {wrong}. See .env.example.") from None
