"""Fetches notifications where a provider cannot push to us: pull, store the hint, commit, acknowledge.

Dying between hint and acknowledgement brings the notification again, which costs one hint more. Any number of
processes may pull at once: the provider shares its notifications out among them.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from app.errors import ApplicationMisconfigured, DatabaseUnreachable, ProviderError, TransientError
from app.installation import Installation
from app.ports import NotificationSource, Pulled, PullingConnector
from app.store import queue

FIRST_WAIT_S = 3.0
LONGEST_WAIT_S = 300.0
REST_S = 0.2  # after nothing came, against a source that answers so at once
HELD_S = 20.0  # a request that waited this long for news was heard: proxies hang up on whoever is silent
STOP_WITHIN_S = 2.0  # enough to acknowledge a batch at hand

log = structlog.get_logger(__name__)


def sources(installation: Installation) -> dict[str, NotificationSource]:
    """Return the source of every provider that has one set up. Raises SettingsError when one is set up wrong."""
    offered = {
        provider: connector.pull_source()
        for provider, connector in installation.mail.items()
        if isinstance(connector, PullingConnector)
    }
    return {provider: source for provider, source in offered.items() if source is not None}


@contextmanager
def pulling(installation: Installation, from_sources: Mapping[str, NotificationSource]) -> Iterator[None]:
    """Pull in the background, a thread for each source, while the block runs.

    At the end a thread that waits for its provider is left behind: what it gets is not acknowledged, so it comes again.
    """
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=pull_until, args=(stop, installation, provider, source), name=f"pull-{provider}", daemon=True
        )
        for provider, source in from_sources.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(STOP_WITHIN_S)


def pull_until(stop: threading.Event, installation: Installation, provider: str, source: NotificationSource) -> None:
    """Pull until `stop` is set; after a failure wait seconds, doubling with each one in a row up to five minutes."""
    failures = 0
    while not stop.is_set():
        asked_at = time.monotonic()
        try:
            for pulled in source.pull(stop.is_set):
                _store(installation, provider, pulled)
                pulled.acknowledge()
                failures = 0
                if not pulled.notifications:
                    stop.wait(REST_S)
                asked_at = time.monotonic()
        except Exception as error:  # noqa: BLE001 - a thread that ended would leave the process without pulls, unnoticed
            if time.monotonic() - asked_at > HELD_S:
                failures = 0
            wait_s = _wait_s(error, failures)
            failures += 1
            _report(provider, error, wait_s)
            stop.wait(wait_s)


def _store(installation: Installation, provider: str, pulled: Pulled) -> None:
    if pulled.unreadable:
        log.warning("pulled notifications malformed", provider=provider, count=pulled.unreadable)
    if pulled.notifications:
        hinted = [(notification.mailbox, notification.position) for notification in pulled.notifications]
        with installation.database.autocommit() as connection:
            queue.hint(connection, provider, hinted, installation.clock.now())


def _wait_s(error: Exception, failures: int) -> float:
    growing = min(FIRST_WAIT_S * 2.0 ** min(failures, 20), LONGEST_WAIT_S)
    asked = error.retry_after_s if isinstance(error, TransientError) and error.retry_after_s else 0.0
    return max(asked, growing * (0.5 + random.random() / 2))  # noqa: S311 - jitter, not a secret


def _report(provider: str, error: Exception, wait_s: float) -> None:
    retry_in_s = round(wait_s, 1)
    if isinstance(error, ApplicationMisconfigured):  # its sentence says what the operator is to do
        log.error(str(error), provider=provider, operation=error.operation, retry_in_s=retry_in_s)
    elif isinstance(error, (ProviderError, DatabaseUnreachable)):
        log.warning("not pulled", provider=provider, error=type(error).__name__, retry_in_s=retry_in_s)
    else:
        log.error("not pulled", provider=provider, retry_in_s=retry_in_s, exc_info=error)
