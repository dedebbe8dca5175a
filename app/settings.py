"""The settings of an installation, read from the environment once.

A vendor declares its own part in its folder (connectors/*/*/settings.py). `.env.example` lists every one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app import smtp
from app.errors import SettingsError

_ORIGIN = re.compile(r"https?://[A-Za-z0-9*.-]{1,253}(:[0-9]{1,5})?")
_DOMAIN = re.compile(r"(?=.{1,190}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


def default_data_dir() -> Path:
    """Return the user's data folder for threadlink; root's is /var/lib/threadlink, never below its 0700 home."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/threadlink")
    return platformdirs.user_data_path("threadlink")


class Settings(BaseSettings):
    """Everything that is not a vendor's."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, populate_by_name=True)

    database_url: str = Field(
        default="",
        validation_alias="DATABASE_URL",
        description="PostgreSQL 15 or newer; empty starts the embedded server in THREADLINK_DATA.",
    )
    data_dir: Path = Field(
        default_factory=default_data_dir,
        validation_alias="THREADLINK_DATA",
        description="Where the embedded server and its key live, and mail that waits for the database.",
    )
    encryption_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        validation_alias="THREADLINK_ENCRYPTION_KEYS",
        description="Fernet keys, comma separated, the first encrypts; required with DATABASE_URL.",
    )
    public_base_url: str = Field(
        default="http://127.0.0.1:8080",
        validation_alias="PUBLIC_BASE_URL",
        description="The https address at which providers and browsers reach this installation.",
    )
    pane_base_url: str = Field(
        default="",
        validation_alias="THREADLINK_PANE_BASE_URL",
        description="Another https address that serves the Outlook pane alone; empty serves it at PUBLIC_BASE_URL.",
    )
    pane_ancestors: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(
            "https://outlook.office.com",
            "https://outlook.office365.com",
            "https://outlook.live.com",
            "https://outlook.cloud.microsoft",
        ),
        validation_alias="THREADLINK_PANE_ANCESTORS",
        description="The addresses of Outlook that may frame the pane, comma separated.",
    )
    mail_domain: str = Field(
        default="",
        validation_alias="THREADLINK_MAIL_DOMAIN",
        description="Domain of the Smart BCC addresses, its MX leads to `threadlink smtp`; empty means there are none.",
    )
    listen: str = Field(
        default="127.0.0.1:8080",
        validation_alias="THREADLINK_LISTEN",
        description="Host and port of the web server.",
    )
    proxies: int = Field(
        default=0,
        ge=0,
        le=5,
        validation_alias="THREADLINK_PROXIES",
        description="How many proxies stand in front and add to X-Forwarded-For; 0 believes no such header.",
    )
    web_threads: int = Field(
        default=8, ge=1, le=256, validation_alias="THREADLINK_WEB_THREADS", description="Threads of a web process."
    )
    worker_concurrency: int = Field(
        default=8,
        ge=1,
        le=256,
        validation_alias="THREADLINK_WORKER_CONCURRENCY",
        description="Jobs a worker runs at once.",
    )
    poll_quiet_s: int = Field(
        default=600,
        ge=10,
        validation_alias="THREADLINK_POLL_QUIET_S",
        description="An account without a push for this long is polled.",
    )
    mirror_max_age_s: int = Field(
        default=60,
        ge=0,
        validation_alias="THREADLINK_MIRROR_MAX_AGE_S",
        description="CRM data older than this is refreshed before decisions.",
    )
    note_interval_s: int = Field(
        default=60,
        ge=0,
        validation_alias="THREADLINK_NOTE_INTERVAL_S",
        description="A CRM note is brought up to date at most this often.",
    )
    body_retention_days: int = Field(
        default=365,
        ge=1,
        validation_alias="THREADLINK_BODY_RETENTION_DAYS",
        description="How long message texts are kept.",
    )
    smtp_server: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="THREADLINK_SMTP_SERVER",
        description="SMTP server for letters: smtp://name:password@host:587 (STARTTLS) or smtps://…; empty sends none.",
    )
    mail_from: str = Field(
        default="", validation_alias="THREADLINK_MAIL_FROM", description="Address that letters are sent from."
    )
    google_client_id: str = Field(
        default="",
        validation_alias="SIGN_IN_GOOGLE_CLIENT_ID",
        description="OAuth client id with which people sign in with Google; empty shows no button.",
    )
    google_client_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="SIGN_IN_GOOGLE_CLIENT_SECRET",
        description="OAuth client secret of the same client.",
    )
    google_metadata_url: str = Field(
        default="https://accounts.google.com/.well-known/openid-configuration",
        validation_alias="SIGN_IN_GOOGLE_METADATA_URL",
        description="OpenID Connect metadata of Google.",
    )
    microsoft_client_id: str = Field(
        default="",
        validation_alias="SIGN_IN_MICROSOFT_CLIENT_ID",
        description="Application (client) id with which people sign in with Microsoft; empty shows no button.",
    )
    microsoft_client_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="SIGN_IN_MICROSOFT_CLIENT_SECRET",
        description="Client secret of the same registration.",
    )
    microsoft_metadata_url: str = Field(
        default="https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration",
        validation_alias="SIGN_IN_MICROSOFT_METADATA_URL",
        description="OpenID Connect metadata of Entra; your tenant's id for organizations lets in that tenant alone.",
    )
    limit_requests: int = Field(
        default=1200,
        ge=1,
        validation_alias="THREADLINK_LIMIT_REQUESTS",
        description="Requests that one client address may make in a minute.",
    )
    limit_sign_ins: int = Field(
        default=20,
        ge=1,
        validation_alias="THREADLINK_LIMIT_SIGN_INS",
        description="Links for signing in or connecting that one client address may try in a minute.",
    )
    limit_writes: int = Field(
        default=120,
        ge=1,
        validation_alias="THREADLINK_LIMIT_WRITES",
        description="Changes that one member may make in a minute; a team, five times as many.",
    )
    limit_searches: int = Field(
        default=60,
        ge=1,
        validation_alias="THREADLINK_LIMIT_SEARCHES",
        description="Searches that one member may make in a minute; a team, five times as many.",
    )
    limit_heavy: int = Field(
        default=20,
        ge=1,
        validation_alias="THREADLINK_LIMIT_HEAVY",
        description="Doctor look-ups, replays, exports, originals and attachments of a member in a minute; "
        "a team, five times.",
    )
    webhook_allowed_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        validation_alias="THREADLINK_WEBHOOK_ALLOWED_URLS",
        description="Webhook targets with a private address, plain http or a port of their own; comma separated.",
    )
    log_level: str = Field(default="INFO", validation_alias="THREADLINK_LOG_LEVEL", description="DEBUG to ERROR.")

    @field_validator("encryption_keys", "webhook_allowed_urls", "pane_ancestors", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

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

    @field_validator("pane_ancestors")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(each) for each in value):
            raise ValueError("must be https addresses without a path")
        return value

    @field_validator("pane_base_url")
    @classmethod
    def _is_origin(cls, value: str) -> str:
        value = value.rstrip("/")
        if value and not _ORIGIN.fullmatch(value):
            raise ValueError("must be an https address without a path")
        return value

    @field_validator("webhook_allowed_urls")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("must be http or https addresses")
        return value

    @field_validator("mail_domain")
    @classmethod
    def _is_domain(cls, value: str) -> str:
        if value and not _DOMAIN.fullmatch(value.lower()):
            raise ValueError("must be a domain, in ASCII")
        return value.lower()

    @field_validator("public_base_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @property
    def is_embedded(self) -> bool:
        """Whether the embedded server is used."""
        return not self.database_url


def load_settings(**overrides: object) -> Settings:
    """Read the settings, or raise SettingsError naming each wrong one without its value."""
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Settings are wrong: {wrong}. See .env.example.") from None
    if not settings.is_embedded and not settings.encryption_keys:
        raise SettingsError(
            "THREADLINK_ENCRYPTION_KEYS is required with DATABASE_URL. "
            "Make one with: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        )
    return settings
