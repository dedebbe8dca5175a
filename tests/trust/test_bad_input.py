"""Whatever somebody sends, no route fails: bad input is refused or left out, never an error of ours (threats.md P3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.web.conftest import ORIGIN
from tests.trust.routes import ROUTES, Ask
from tests.trust.s04_isolation import ask_as
from tests.trust.test_isolation import configured, hidden
from tests.trust.world import ADMINISTRATOR, OWNER, Reader, World

__all__ = ["configured", "hidden"]  # fixtures

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NUL = "a\x00b"
# What pages read from their address besides what their rows ask.
ARGUMENTS = (
    *(("/inbox", name, NUL) for name in ("s", "state", "account", "of", "about", "since", "until", "after")),
    ("/inbox", "about", f"person/{NUL}"),
    ("/inbox", "until", "9999-12-31"),
    ("/inbox", "since", "0001-01-01"),
    ("/inbox/new", "after", "9999-12-31T23:59:59.999999+00:00"),
    ("/inbox/new", "after", "0001-01-01T00:00:00+14:00"),
    ("/items/deal/a%00b", "", ""),
    ("/doctor", "q", NUL),
    ("/settings/audit", "after", NUL),
    ("/settings/audit", "action", NUL),
    ("/settings/crm/install", "n", "9" * 5_000),
    ("/inbox", "n", "9" * 5_000),
)


def worse(ask: Ask) -> Iterator[Ask]:
    """Yield the same request with one of its texts made bad."""
    for query in ask.query:
        yield from (replace(ask, query=({**query, name: NUL},)) for name in query)
    yield from (replace(ask, form=form) for form in _one_bad(ask.form or {}))
    if isinstance(ask.json, Mapping):
        yield from (replace(ask, json=body) for body in _one_bad(ask.json))


def _one_bad(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        yield NUL
    elif isinstance(value, Mapping):
        yield from ({**value, name: bad} for name in value for bad in _one_bad(value[name]))
    elif isinstance(value, list):
        yield from ([bad] for bad in _one_bad(value[0]))


@pytest.mark.parametrize("reader", [OWNER, ADMINISTRATOR], ids=lambda reader: reader.name)
def test_bad_texts_are_no_error_of_ours(hidden: World, configured: None, reader: Reader) -> None:
    failed = []
    for route, ask in ROUTES.items():
        # A call of Gmail's add-on is read and cleaned by the connector, which this world has none of.
        if ask.ends or ask.path.startswith("/gmail/") or (ask.access == "administrators") != reader.is_admin:
            continue
        for bad in worse(ask):
            answer = ask_as(hidden, reader, route, bad, bad.query[0])
            if answer.status_code >= 500:
                failed.append((route, bad.query, bad.form, bad.json))
    assert failed == []


def test_bad_addresses_are_no_error_of_ours(hidden: World) -> None:
    failed = []
    for path, name, value in ARGUMENTS:
        answer = hidden.browser(ADMINISTRATOR).get(path, query_string={name: value}, base_url=ORIGIN)
        if answer.status_code >= 500:
            failed.append((path, name, value[:40]))
    assert failed == []


def test_a_body_that_no_program_writes_is_refused(hidden: World) -> None:
    client, headers = hidden.app.test_client(), {"Authorization": f"Bearer {hidden.key(OWNER)}"}
    for body in (b"[" * 30_000, b'{"a":' * 10_000, b"\xff", b"1" * 30_000, b"null"):
        for path in ("/api/v1/undo", "/api/v1/conversations/bulk-link", "/api/v1/persons"):
            answer = client.post(path, data=body, headers=headers, content_type="application/json", base_url=ORIGIN)
            assert 400 <= answer.status_code < 500, (path, body[:10], answer.status_code)
