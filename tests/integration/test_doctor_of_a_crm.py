"""The doctor on the team's CRM: trouble, a first load that goes on, data that is old."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.doctor import crm_findings
from app.store.mirror import OLD_AFTER
from tests.integration.office import Office

pytestmark = pytest.mark.integration


def codes(office: Office) -> list[str]:
    with office.team() as connection:
        return [finding.code for finding in crm_findings(connection, office.clock.now())]


def test_a_crm_that_is_well_has_no_finding(office: Office) -> None:
    assert codes(office) == []


def test_data_that_is_old_is_named_with_its_time(office: Office) -> None:
    office.clock.step(seconds=OLD_AFTER.total_seconds() + 120)
    assert codes(office) == ["crm_data_old"]
    with office.team() as connection:
        (finding,) = crm_findings(connection, office.clock.now())
    assert f"{office.clock.now() - OLD_AFTER - timedelta(minutes=3):%Y-%m-%d}" in finding.text


def test_a_first_load_says_how_far_it_is(office: Office) -> None:
    office.change("UPDATE mirror_cursor SET refreshed_at = NULL, started_at = now(), records = 1234")
    with office.team() as connection:
        (finding,) = crm_findings(connection, office.clock.now())
    assert (finding.code, "1,234" in finding.text) == ("crm_loading", True)


def test_trouble_is_named_and_a_connection_that_was_ended_is_none(office: Office) -> None:
    office.change("UPDATE crm_connection SET state = 'trouble', state_reason = 'Unavailable'")
    assert codes(office) == ["crm_trouble"]
    office.change("UPDATE crm_connection SET state = 'disconnected'")
    assert codes(office) == []
