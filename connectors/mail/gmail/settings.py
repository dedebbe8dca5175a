"""What an operator may set about Gmail; read from the environment an installation was given, nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.errors import SettingsError

PREFIX = "GMAIL_"


class GmailSettings(BaseSettings):
    """Gmail's part of the environment; every address of Google is a setting, so that a simulator can stand in."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    client_id: str = Field(default="", description="OAuth client id of your Google Cloud project.")
    client_secret: SecretStr = Field(default=SecretStr(""), description="OAuth client secret of the same client.")
    scopes: Literal["readonly", "metadata"] = Field(
        default="readonly",
        description="readonly reads texts as well; metadata reads headers only and cannot search by date.",
    )
    topic: str = Field(
        default="",
        description="Pub/Sub topic in the same project, projects/P/topics/T; empty means mailboxes are only polled.",
    )
    subscription: str = Field(
        default="",
        description="Pub/Sub subscription that pushes or is pulled, projects/P/subscriptions/S; empty accepts any.",
    )
    push_audience: str = Field(
        default="", description="Audience of push tokens; empty means PUBLIC_BASE_URL/webhooks/gmail."
    )
    push_service_account: str = Field(
        default="", description="Service account that signs the pushes; without it every push is refused."
    )
    pubsub_credentials: str = Field(
        default="",
        description="Key file (JSON) of a service account that pulls the subscription; empty waits for pushes.",
    )
    addon_service_accounts: tuple[str, ...] = Field(
        default=(),
        description="Service accounts in whose name Google calls the Gmail add-on, comma separated; empty refuses all.",
    )
    addon_client_id: str = Field(
        default="", description="OAuth client id of the Gmail add-on, which the id tokens of its users are made for."
    )
    api_url: str = Field(default="https://gmail.googleapis.com", description="Gmail API endpoint.")
    batch_url: str = Field(default="https://gmail.googleapis.com/batch/gmail/v1", description="Gmail batch endpoint.")
    authorize_url: str = Field(
        default="https://accounts.google.com/o/oauth2/v2/auth", description="Google's consent page."
    )
    token_url: str = Field(default="https://oauth2.googleapis.com/token", description="Google's token endpoint.")
    revoke_url: str = Field(default="https://oauth2.googleapis.com/revoke", description="Google's revocation endpoint.")
    certificates_url: str = Field(
        default="https://www.googleapis.com/oauth2/v1/certs",
        description="Google's signing certificates, as key id to PEM.",
    )
    pubsub_url: str = Field(
        default="https://pubsub.googleapis.com", description="Pub/Sub endpoint, for a subscription that is pulled."
    )
    units_per_minute: int = Field(
        default=4500, ge=2000, description="Quota units spent on one mailbox in a minute; Google allows 6,000."
    )
    batch_size: int = Field(default=25, ge=1, le=50, description="Messages read in one batch request.")
    retry_batch_size: int = Field(default=10, ge=1, le=50, description="Messages in a batch that is tried again.")
    timeout_s: int = Field(default=30, ge=1, le=300, description="Seconds Gmail may take to answer.")

    @field_validator("addon_service_accounts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator(
        "api_url", "batch_url", "authorize_url", "token_url", "revoke_url", "certificates_url", "pubsub_url"
    )
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
        """The addresses the operator moved away from Google's."""
        fields = type(self).model_fields
        return tuple(value for name, value in self if name.endswith("_url") and value != fields[name].default)


def load(environ: Mapping[str, str]) -> GmailSettings:
    """Read Gmail's settings, or raise SettingsError naming each wrong one without its value."""
    names = {name: f"{PREFIX}{name.upper()}" for name in GmailSettings.model_fields}
    given = {name: environ[key] for name, key in names.items() if environ.get(key, "") != ""}
    try:
        return GmailSettings.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(f"{names.get(str(e['loc'][0]), PREFIX)}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Settings are wrong: {wrong}. See .env.example.") from None
