"""The day without faults, that every other is compared with: once for each provider and test process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from app import registry
from tests.chaos.running import running

PROVIDERS = [name for name in registry.names(registry.SIMULATORS) if name in registry.names(registry.MAIL)]


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.xdist_group(f"chaos_{name}")) for name in PROVIDERS])
def provider(request: pytest.FixtureRequest) -> str:
    """Every mail provider that is installed with a simulator."""
    return str(request.param)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the processes write their log; pytest keeps it."""
    return tmp_path / "log"


@pytest.fixture(scope="session")
def without_faults(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """Return the picture of a provider's day on which nothing went wrong."""

    @cache
    def picture(provider: str) -> dict[str, Any]:
        with running(provider, tmp_path_factory.mktemp("day") / "log") as day:
            day.deliver(day.copies)
            day.finish()
            return day.picture()

    return picture
