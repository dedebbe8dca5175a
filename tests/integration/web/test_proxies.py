"""Who asks is known by the operator's own proxies alone (threats.md W15)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import request

from app.installation import Installation
from app.web.application import application
from tests.integration.web.conftest import ORIGIN

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("proxies", "forwarded", "asker"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "10.0.0.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.7, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
    ],
)
def test_only_what_our_own_proxies_added_says_who_asks(
    installation: Installation, proxies: int, forwarded: str, asker: str
) -> None:
    settings = installation.settings.model_copy(update={"proxies": proxies})
    app = application(replace(installation, settings=settings))
    app.add_url_rule("/asker", view_func=lambda: f"{request.remote_addr} {request.host}")
    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Host": "evil.test"}
    answer = app.test_client().get("/asker", base_url=ORIGIN, headers=headers)
    assert answer.get_data(as_text=True) == f"{asker} threadlink.test"


def test_another_host_is_not_served(installation: Installation) -> None:
    assert application(installation).test_client().get("/sign-in", base_url="https://evil.test").status_code == 400
