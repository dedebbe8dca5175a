"""What an operator may set about Tryton; read from the environment an installation was given, nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.errors import SettingsError

PREFIX = "TRYTON_"


class TrytonSettings(BaseSettings):
    """Tryton's part of the environment; where a team's server is belongs to its connection."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    allowed_urls: str = Field(
        default="",
        description="Tryton servers with a private address, plain http or a port of their own; comma separated.",
    )
    timeout_s: int = Field(default=15, ge=1, le=300, description="Seconds Tryton may take to answer.")

    @field_validator("allowed_urls")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        for url in _listed(value):
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("must be http or https addresses")
        return value

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # pydantic calls it by keyword
        cls, *_: Any, init_settings: PydanticBaseSettingsSource, **_other_sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what load() hands over."""
        return (init_settings,)

    @property
    def operator_urls(self) -> tuple[str, ...]:
        """The servers that the operator vouches for."""
        return _listed(self.allowed_urls)


def load(environ: Mapping[str, str]) -> TrytonSettings:
    """Read Tryton's settings, or raise SettingsError naming each wrong one without its value."""
    names = {name: f"{PREFIX}{name.upper()}" for name in TrytonSettings.model_fields}
    given = {name: environ[key] for name, key in names.items() if environ.get(key, "") != ""}
    try:
        return TrytonSettings.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(f"{names.get(str(e['loc'][0]), PREFIX)}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Settings are wrong: {wrong}. See .env.example.") from None


def _listed(value: str) -> tuple[str, ...]:
    return tuple(url for url in (part.strip() for part in value.split(",")) if url)
