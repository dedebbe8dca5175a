"""The shipped CRM suite on a real Tryton, as a user who is no administrator."""

from __future__ import annotations

import pytest

from app.testing.crm_suite import CrmAdapterSuite
from connectors.crm.tryton.adapter import TrytonCrm
from tests.tryton.desk import TrytonDesk
from tests.tryton.opening import open_tryton
from tests.tryton.server import TrytonServer

pytestmark = [pytest.mark.conformance, pytest.mark.xdist_group("tryton"), pytest.mark.timeout(300)]


class TestTryton(CrmAdapterSuite):
    @pytest.fixture
    def adapter(self, tryton: TrytonServer, tryton_desk: TrytonDesk) -> TrytonCrm:
        return open_tryton(tryton)

    @pytest.fixture
    def records(self, tryton_desk: TrytonDesk) -> TrytonDesk:
        return tryton_desk
