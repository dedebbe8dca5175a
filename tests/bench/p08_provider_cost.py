"""P8: what 1,000 new messages cost at the providers, arriving in bursts: Gmail's units, Graph's requests.

The floor is each message read once: 20 units at Gmail, one request for 20 messages at Graph.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from app.demo.stage import Stage
from app.scenario.read import parse
from tests.bench.row import Row
from tests.bench.stage import SCENARIO, mail

BURSTS, SIZE = 2, 500
MESSAGES = BURSTS * SIZE
UNITS_FLOOR, REQUESTS_FLOOR = MESSAGES * 20, MESSAGES / 20
BAR = 1.15


def measure() -> list[Row]:
    """Measure both providers, each alone."""
    units, gmail_stored = _cost("gmail", "units")
    requests, graph_stored = _cost("graph", "requests")
    rows = []
    for provider, unit, cost, floor, stored in (
        ("Gmail", "units", units, UNITS_FLOOR, gmail_stored),
        ("Graph", "requests", requests, REQUESTS_FLOOR, graph_stored),
    ):
        ratio = cost / floor
        what = f"{provider} {unit} for {MESSAGES:,} messages in {BURSTS} bursts; {stored:,} stored"
        is_met = ratio <= BAR and stored == MESSAGES
        rows.append(Row("P8", what, cost, floor, unit, ratio, f"<= {BAR} of the floor", is_met))
    return rows


def _cost(provider: str, unit: str) -> tuple[int, int]:
    """Return what the messages cost in a provider's unit, and how many were stored."""
    scenario = parse(SCENARIO.replace("provider: gmail", f"provider: {provider}"), Path("bench.yaml"))
    address = scenario.accounts[0].address
    with Stage(scenario, port=None) as world:
        simulator = world.simulators[provider]
        before = simulator.usage(address)[unit]
        for burst in range(BURSTS):
            for number in range(burst * SIZE, (burst + 1) * SIZE):
                simulator.deliver(address, mail(number), at=world.clock.now())
            world.settle()
        cost = simulator.usage(address)[unit] - before
        with world.team() as connection:
            stored = connection.execute(sa.text("SELECT count(*) FROM message")).scalar_one()
    return cost, stored
