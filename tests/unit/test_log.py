"""Nothing private reaches the log, whoever writes it."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from app import log

ADDRESS = "ada.canary@northwind.test"
TOKEN = "ya29.a0canaryCANARYcanaryCANARYcanaryCANARY"


@pytest.fixture
def lines() -> Iterator[Any]:
    """Log into memory; give a function that returns what was logged so far."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    before = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in log.QUIET_LOGGERS}
    stream = io.StringIO()
    log.configure("INFO", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    structlog.reset_defaults()


def refuse(text: str, cause: Exception | None = None) -> None:
    raise ValueError(text) from cause


def test_a_public_key_with_a_code_goes_out(lines: Any) -> None:
    structlog.get_logger("app.sync").info("synced", account=7, reason="only_open_item", stored=3)
    (line,) = lines()
    assert (line["event"], line["account"], line["reason"], line["stored"]) == ("synced", 7, "only_open_item", 3)
    assert line["level"] == "info"
    assert line["logger"] == "app.sync"
    assert line["timestamp"].endswith("Z")


def test_an_unknown_key_is_named_but_not_shown(lines: Any) -> None:
    structlog.get_logger().warning("odd", subject="Confidential", address=ADDRESS)
    (line,) = lines()
    assert line["left_out"] == ["address", "subject"]
    assert "Confidential" not in json.dumps(line)
    assert ADDRESS not in json.dumps(line)


@pytest.mark.parametrize("value", [ADDRESS, "two words", "x" * 81, "Straße", b"bytes with blanks", {"a": 1}])
def test_a_public_key_with_anything_but_a_code_is_withheld(lines: Any, value: object) -> None:
    structlog.get_logger().info("odd", reason=value)
    assert lines()[0]["reason"] == log.WITHHELD


def test_an_event_is_scrubbed(lines: Any) -> None:
    structlog.get_logger().info(f"mail of {ADDRESS} with {TOKEN} from 192.0.2.7")
    assert lines()[0]["event"] == "mail of [address] with ya29.[token] from [address]"


def test_a_long_event_name_stays(lines: Any) -> None:
    structlog.get_logger().info("a_long_event_name_of_ours_stays_readable")
    assert lines()[0]["event"] == "a_long_event_name_of_ours_stays_readable"


def test_another_library_shows_its_template_only(lines: Any) -> None:
    logging.getLogger("urllib3.connectionpool").warning("Retry %s for %s", 3, f"/users/{ADDRESS}")
    (line,) = lines()
    assert line["event"] == "Retry %s for %s"
    assert line["logger"] == "urllib3.connectionpool"


def test_another_library_that_formats_itself_is_scrubbed(lines: Any) -> None:
    text = f"no such row: {ADDRESS}"
    logging.getLogger("other").error(text)
    assert lines()[0]["event"] == "no such row: [address]"


@pytest.mark.parametrize("name", log.QUIET_LOGGERS)
def test_a_talkative_library_is_heard_from_warning_on(lines: Any, name: str) -> None:
    logging.getLogger(f"{name}.part").info("Starting job sync_account(address=%s)", ADDRESS)
    assert lines() == []
    logging.getLogger(f"{name}.part").warning("careful")
    assert [line["event"] for line in lines()] == ["careful"]


def test_an_exception_shows_its_classes_and_places_but_not_its_text(lines: Any) -> None:
    try:
        refuse(f"Failing row contains {TOKEN}", KeyError(ADDRESS))
    except ValueError:
        structlog.get_logger().exception("job failed")
    (line,) = lines()
    assert line["error"] == "ValueError<KeyError"
    assert line["at"][-1].startswith(f"{__name__}:refuse:")
    assert ADDRESS not in json.dumps(line)
    assert TOKEN not in json.dumps(line)


def test_an_exception_of_another_library_is_reduced_as_well(lines: Any) -> None:
    try:
        refuse(ADDRESS)
    except ValueError:
        logging.getLogger("other").exception("Error handling request %s", "/connect/secret")
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert "secret" not in json.dumps(line)
    assert ADDRESS not in json.dumps(line)


def test_exc_info_without_an_exception_says_nothing(lines: Any) -> None:
    structlog.get_logger().warning("fine", exc_info=True)
    assert "error" not in lines()[0]


def test_a_suppressed_context_is_not_named(lines: Any) -> None:
    try:
        try:
            refuse("inner")
        except ValueError:
            raise RuntimeError("outer") from None
    except RuntimeError as error:
        structlog.get_logger().error("failed", exc_info=error)
    assert lines()[0]["error"] == "RuntimeError"


def test_debug_is_silent_at_info(lines: Any) -> None:
    structlog.get_logger().debug("detail")
    assert lines() == []


def test_a_crash_is_logged_without_its_text(lines: Any) -> None:
    error = ValueError(ADDRESS)
    sys.excepthook(ValueError, error, None)
    thread = threading.Thread(target=lambda: int(ADDRESS))
    thread.start()
    thread.join()
    assert [(line["event"], line["error"]) for line in lines()] == [
        ("crashed", "ValueError"),
        ("thread crashed", "ValueError"),
    ]
    assert ADDRESS not in json.dumps(lines())


def test_a_very_long_message_is_cut(lines: Any) -> None:
    structlog.get_logger().info("a b " * 10_000)
    assert len(lines()[0]["event"]) == log.LONGEST_TEXT
