"""Gmail's connector against the shipped suite, through Google's own client library and the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from app.ports import MailConnector, Services, SimulatedMail
from app.testing.mail_suite import MailConnectorSuite
from connectors.mail import gmail
from connectors.mail.gmail.simulator import GmailSimulator


@pytest.mark.conformance
class TestGmail(MailConnectorSuite):
    faults: ClassVar[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
        "cursor_expired": ("history_expired", {}),
        "throttled": ("rate_limited", {"retry_after_s": 30}),
        "revoked": ("token_revoked", {}),
        "part_failed": ("batch_part_429", {}),
        "forged_push": ("forged_push", {"count": -1}),
        "unavailable": ("server_error", {}),
    }

    @pytest.fixture
    def simulator(self) -> SimulatedMail:
        return GmailSimulator()

    @pytest.fixture
    def create(self) -> Callable[[Services], MailConnector]:
        return gmail.create
