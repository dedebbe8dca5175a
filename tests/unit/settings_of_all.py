"""Every setting there is: threadlink's own, and each installed vendor's, found by its entry point."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from app import registry
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable of the environment."""

    name: str
    description: str
    group: str


def settings() -> list[Setting]:
    """Return every setting, threadlink's own first."""
    found = _of(Settings, "threadlink")
    for module in sorted(
        {point.module for group in (registry.MAIL, registry.CRM) for point in entry_points(group=group)}
    ):
        if find_spec(f"{module}.settings") is None:
            continue
        for value in vars(importlib.import_module(f"{module}.settings")).values():
            if isinstance(value, type) and issubclass(value, BaseSettings) and value.__module__ == f"{module}.settings":
                found += _of(value, module.removeprefix("connectors."))
    return found


def _of(declared: type[BaseSettings], group: str) -> list[Setting]:
    prefix = declared.model_config.get("env_prefix", "")
    return [
        Setting(_name(field, f"{prefix}{name}".upper()), field.description or "", group)
        for name, field in declared.model_fields.items()
    ]


def _name(field: FieldInfo, otherwise: str) -> str:
    return field.validation_alias if isinstance(field.validation_alias, str) else otherwise
