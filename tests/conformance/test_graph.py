"""The shipped suite on the Graph connector, against its simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from app.ports import MailConnector, Services, SimulatedMail
from app.testing.mail_stage import FaultOf
from app.testing.mail_suite import MailConnectorSuite
from connectors.mail.graph import create
from connectors.mail.graph.simulator import GraphSimulator


@pytest.mark.conformance
class TestGraph(MailConnectorSuite):
    faults: ClassVar[Mapping[str, FaultOf]] = {
        "cursor_expired": ("delta_expired", {}),
        "throttled": ("rate_limited", {"retry_after_s": 30}),
        "revoked": ("token_revoked", {}),
        "part_failed": ("batch_part_429", {}),
        "forged_push": ("forged_push", {"count": -1}),
        "unavailable": ("server_error", {}),
    }

    @pytest.fixture
    def simulator(self) -> SimulatedMail:
        return GraphSimulator()

    @pytest.fixture
    def create(self) -> Callable[[Services], MailConnector]:
        return create
