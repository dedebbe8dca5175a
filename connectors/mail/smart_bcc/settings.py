"""What an operator may set about Smart BCC; read from the environment an installation was given, nowhere else."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from app.errors import SettingsError

PREFIX = "SMART_BCC_"


class SmartBccSettings(BaseSettings):
    """Smart BCC's part of the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    listen: str = Field(
        default="127.0.0.1:2525", description="Host and port of the mail server; 0.0.0.0:25 for the world."
    )
    protocol: Literal["smtp", "lmtp"] = Field(
        default="smtp", description="lmtp behind a mail server of your own, which then faces the world."
    )
    hostname: str = Field(default="", description="Name the server greets with; empty means the mail domain.")
    certificate: str = Field(
        default="", description="PEM file with certificate chain and private key, for STARTTLS; empty offers none."
    )
    proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Networks of load balancers that send the PROXY protocol; with any, nobody else may connect.",
    )
    trusted_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Networks of your own outgoing mail servers, whose senders need no further proof; comma separated.",
    )
    front: str = Field(
        default="", description="Name under which a mail server of your own in front writes Authentication-Results."
    )
    spool_mb: int = Field(default=1024, ge=30, description="Megabytes of mail that may wait for the database.")
    mails_per_address: int = Field(default=300, ge=1, description="Mails one address takes in an hour.")
    mails_per_sender: int = Field(default=200, ge=1, description="Mails one envelope sender may send in an hour.")
    mails_per_team: int = Field(default=10_000, ge=1, description="Mails one team takes in a day.")
    connections: int = Field(default=200, ge=1, description="Connections at a time.")
    connections_per_ip: int = Field(
        default=10, ge=1, description="Connections at a time from one address; lmtp has no such limit."
    )
    timeout_s: int = Field(
        default=300, ge=1, le=600, description="Seconds from one command to the next; a whole mail has as long."
    )
    dns_timeout_s: int = Field(default=5, ge=1, le=60, description="Seconds a DNS answer may take.")

    @field_validator("proxies", "trusted_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("proxies", "trusted_networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            for network in value:
                ipaddress.ip_network(network)
        except ValueError:
            raise ValueError("must be networks, as 10.0.0.0/8") from None
        return value

    @field_validator("listen")
    @classmethod
    def _has_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError("must be host:port")
        return value

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # pydantic calls it by keyword
        cls, *_: Any, init_settings: PydanticBaseSettingsSource, **_other_sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what load() hands over."""
        return (init_settings,)


def load(environ: Mapping[str, str]) -> SmartBccSettings:
    """Read Smart BCC's settings, or raise SettingsError naming each wrong one without its value."""
    names = {name: f"{PREFIX}{name.upper()}" for name in SmartBccSettings.model_fields}
    given = {name: environ[key] for name, key in names.items() if environ.get(key, "") != ""}
    try:
        return SmartBccSettings.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(f"{names.get(str(e['loc'][0]), PREFIX)}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Settings are wrong: {wrong}. See .env.example.") from None


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Say whether an IP address lies in one of the networks; what is no address lies in none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(network) for network in networks)
