"""What a member chooses for the pages: language, time zone and single keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.building import ADA, BEA, CAN, Office
from tests.integration.web.test_inbox import Page, browse, office

__all__ = ["browse", "office"]
pytestmark = pytest.mark.integration


def test_pages_speak_the_language_and_tell_the_time_that_a_member_chose(
    office: Office, browse: Callable[[str], Page]
) -> None:
    office.mail("m1", BEA, ADA, subject="First")
    office.mail("m2", BEA, CAN, at=[CAN], subject="Second")
    ada = browse(ADA)
    assert ada.post("/preferences", locale="tr", time_zone="Europe/Istanbul", shortcuts="on")["done"] == "saved"
    page = ada.get("/inbox")
    assert '<html lang="tr">' in page
    assert "Gelen kutusu" in page
    assert '<html lang="en">' in browse(CAN).get("/inbox")
    assert 'title="2 Mar 2026, 11:01"' in page
    assert 'title="2 Mar 2026, 08:02"' in browse(CAN).get("/inbox")
    assert "selected>Europe/Istanbul" in ada.get("/preferences")


def test_a_language_or_time_zone_that_there_is_not_is_refused(browse: Callable[[str], Page]) -> None:
    ada = browse(ADA)
    assert ada.refused("/preferences", locale="xx", time_zone="UTC") == 422
    assert ada.refused("/preferences", locale="tr", time_zone="../../etc/passwd") == 422
    assert "selected>UTC" in ada.get("/preferences")


def test_team_settings_are_for_administrators(browse: Callable[[str], Page]) -> None:
    assert browse(ADA).status("/settings") == 403
