"""The shipped CRM suite on the fake: with and without the capability to create."""

from __future__ import annotations

import pytest

from app.model import ITEM_KINDS
from app.ports import CrmCapabilities
from app.testing.crm_suite import CrmAdapterSuite
from app.testing.fake_crm import FakeCrm
from app.testing.fakes import SteppedClock

pytestmark = pytest.mark.conformance


class TestFakeCrm(CrmAdapterSuite):
    @pytest.fixture
    def adapter(self) -> FakeCrm:
        return FakeCrm(SteppedClock())


class TestFakeCrmThatCreatesNothing(CrmAdapterSuite):
    @pytest.fixture
    def adapter(self) -> FakeCrm:
        missing = {
            "create_person": "This CRM's plan lets only people create persons.",
            "create_item": "This CRM's plan lets only people create items.",
            "webhooks": "This CRM sends no webhooks.",
        }
        capabilities = CrmCapabilities(
            kinds=frozenset(ITEM_KINDS), create_person=False, create_item=False, records=True, missing=missing
        )
        return FakeCrm(SteppedClock(), capabilities=capabilities)
