"""The shipped CRM suite on the embedded CRM, in a real database under row-level security."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.store.database import Database
from app.testing.crm_suite import CrmAdapterSuite
from connectors.crm.embedded.adapter import EmbeddedCrm
from tests.integration.crm.opening import open_connection, open_embedded

pytestmark = pytest.mark.conformance


class TestEmbeddedCrm(CrmAdapterSuite):
    @pytest.fixture
    def adapter(self, database: Database, team: Callable[..., int]) -> EmbeddedCrm:
        return open_embedded(database, open_connection(database, team()))
