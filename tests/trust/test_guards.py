"""What stands before every change: our own page for who has a cookie, a key that may write for a program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app import api_keys
from tests.integration.web.conftest import ORIGIN
from tests.trust.routes import ROUTES, Ask
from tests.trust.s04_isolation import ask_as
from tests.trust.test_isolation import hidden
from tests.trust.world import ADMINISTRATOR, World

__all__ = ["hidden"]  # a fixture

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

# These carry what proves them, which no browser adds by itself: a vendor's token or signature, a key, a sealed pass.
PROVEN = ("/api/", "/webhooks/", "/gmail/<", "/outlook/<", "/connect/crm/<adapter>/callback")
OTHERS = ("https://evil.test", "null", f"{ORIGIN}.evil.test", "http://threadlink.test", "")
BEARERS = {f"POST {ask.path}" for ask in ROUTES.values() if "Authorization" in ask.headers}


def changes() -> Iterator[tuple[str, Ask]]:
    """Yield the routes that change something for who has our cookie."""
    for route, ask in ROUTES.items():
        method, rule = route.split(" ", 1)
        is_proven = rule.startswith(PROVEN) or route in BEARERS or "{pass}" in repr(ask.form)
        if method != "GET" and not is_proven:
            yield route, ask


def test_another_site_has_a_browser_change_nothing(hidden: World) -> None:
    let_through = []
    asked = list(changes())
    for number, (route, ask) in enumerate(asked):
        for origin in OTHERS if number == 0 else OTHERS[:1]:
            answer = ask_as(hidden, ADMINISTRATOR, route, replace(ask, headers={"Origin": origin}), {})
            if answer.status_code != 403 or answer.get_json(silent=True)["reason"] != "other_origin":
                let_through.append((route, origin, answer.status_code))
    assert len(asked) > 60
    assert let_through == []


def test_a_key_that_only_reads_changes_nothing(hidden: World) -> None:
    with hidden.database.for_team(hidden.ours.team_id) as connection:
        acting = hidden.ours.acting(ADMINISTRATOR.email)
        _, text = api_keys.make(connection, acting, "reads", may_write=False)
    hidden.hold_key(ADMINISTRATOR, text)
    let_through = []
    for route, ask in ROUTES.items():
        if "/api/v1/" in route and not route.startswith("GET "):
            answer = ask_as(hidden, ADMINISTRATOR, route, ask, {})
            if answer.status_code != 403 or answer.get_json()["reason"] != "key_reads_only":
                let_through.append((route, answer.status_code))
    assert let_through == []
