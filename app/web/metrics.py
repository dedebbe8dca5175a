"""What /metrics shows: counts by provider, outcome and state; never a team, an address or an id."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from app.errors import DatabaseUnreachable
from app.installation import Installation
from app.store import figures

log = structlog.get_logger(__name__)

_TOTALS = (
    ("account", "threadlink_accounts", "Connected accounts by state."),
    ("message", "threadlink_messages", "Discovered messages that are not stored yet: pending or parked."),
    ("crm_write", "threadlink_crm_writes", "CRM notes by state; parked ones wait for a person."),
)

_REQUESTS = CollectorRegistry()

PUSHES = Counter(
    "threadlink_pushes",
    "Webhook requests of this process by provider and by what became of them (forged ones among them).",
    ["provider", "outcome"],
    registry=_REQUESTS,
)


def exposition(installation: Installation) -> bytes:
    """Return this process' counters and the installation's figures in the text format of Prometheus.

    When the database cannot be reached the counters stand alone, and threadlink_database_up is 0.
    """
    stored = CollectorRegistry()
    stored.register(_Stored(installation))
    return generate_latest(_REQUESTS) + generate_latest(stored)


class _Stored:
    """Reads the installation's figures from the database, once for each scrape."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def describe(self) -> list[Metric]:
        """Name nothing: the registry would read the database to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("threadlink_database_up", "1 when the database answered this scrape.")
        try:
            with self._installation.database.without_team() as connection:
                read = list(_read(connection, self._installation))
        except DatabaseUnreachable:
            log.warning("figures not read")
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from read


def _read(connection: sa.Connection, installation: Installation) -> Iterator[Metric]:
    totals = figures.totals(connection)
    for what, name, text in _TOTALS:
        family = GaugeMetricFamily(name, text, labels=["state"])
        for counted, state, number in totals:
            if counted == what:
                family.add_metric([state], number)
        yield family
    waiting = GaugeMetricFamily(
        "threadlink_jobs", "Jobs of the queue: todo, doing, or given up (failed).", labels=["state"]
    )
    for state, number in figures.jobs(connection).items():
        waiting.add_metric([state], number)
    yield waiting
    behind = figures.behind(connection, installation.clock.now())
    yield GaugeMetricFamily(
        "threadlink_oldest_pending_seconds",
        "Age of the oldest discovered message that is not stored yet.",
        value=behind.oldest_pending_s,
    )
    yield GaugeMetricFamily(
        "threadlink_found_by_poll_share",
        "Share of the last hour's messages that no push had announced; above 0.2 pushes are silently dead.",
        value=behind.found_by_poll_share,
    )
