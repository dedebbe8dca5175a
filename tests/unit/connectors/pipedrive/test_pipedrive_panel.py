"""Who opens the panel inside Pipedrive: the token of its page, and nothing else, says it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from app.errors import NotificationForged, NotificationMalformed, Unsupported
from app.ports import PanelVisit
from app.testing.fakes import SteppedClock
from connectors.crm.pipedrive.panel import PipedrivePanel
from connectors.crm.pipedrive.settings import PipedriveSettings

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SECRET = "panel-secret-of-this-test-" + "0123456789" * 4  # as long as HS512 wants it


def panel(**secrets: str) -> PipedrivePanel:
    given: dict[str, Any] = {name: SecretStr(value) for name, value in (secrets or {"panel_secret": SECRET}).items()}
    return PipedrivePanel(PipedriveSettings(**given), SteppedClock(NOW))


def args(token: str | None = None, **changes: str) -> dict[str, str]:
    claims = {"userId": 7, "companyId": 17, "exp": (NOW + timedelta(minutes=5)).timestamp()}
    signed = jwt.encode(claims, SECRET, "HS256") if token is None else token
    return {"resource": "deal", "selectedIds": "42", "userId": "1", "companyId": "1", "token": signed, **changes}


def test_the_token_says_who_looks_and_the_address_at_what() -> None:
    assert panel().read_visit(args()) == PanelVisit("17", "7", "deal", "42")
    assert panel(client_secret=SECRET).read_visit(args(resource="person")).kind == "person"


def signed(secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {"userId": 7, "companyId": 17, "exp": (NOW + timedelta(minutes=5)).timestamp(), **changes}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret or None, algorithm)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x.y.z",
        "x" * 5_000,
        signed("another-secret-of-the-right-length-0123"),
        signed("", "none"),
        signed(SECRET, "HS512"),
        signed(exp=None),
        signed(exp=(NOW - timedelta(minutes=2)).timestamp()),
        signed()[:-2],
    ],
    ids=["none", "no token", "long", "other secret", "unsigned", "other algorithm", "for ever", "expired", "cut"],
)
def test_a_token_that_proves_nothing_is_refused(token: str) -> None:
    with pytest.raises(NotificationForged):
        panel().read_visit(args(token))


@pytest.mark.parametrize(
    "wrong",
    [
        args(signed(userId=None)),
        args(signed(companyId="1 OR 1=1")),
        args(selectedIds="42,43"),
        args(selectedIds="../1"),
        args(resource="lead"),
        args(resource=""),
    ],
)
def test_a_visit_that_names_no_one_record_is_malformed(wrong: dict[str, str]) -> None:
    with pytest.raises(NotificationMalformed):
        panel().read_visit(wrong)


def test_without_an_app_there_is_no_panel() -> None:
    with pytest.raises(Unsupported):
        panel(client_secret="").read_visit(args())
