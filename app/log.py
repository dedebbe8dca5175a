"""What goes to the log: JSON lines on standard error that hold no private value.

Only the keys of PUBLIC_KEYS go out, and only values that look like a code, a number or an id. What other libraries log
is reduced to the template of the message: its arguments, where addresses, URLs and row contents would stand, never
leave. An exception is logged as the names of its classes and the places it went through, never as its text: a driver's
error prints the row, a vendor's error prints the address (threats.md 1.6).
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

# fmt: off
PUBLIC_KEYS = frozenset(
    {
        "account", "accounts", "action", "adapter", "at", "attempts", "batch", "connection", "conversation",
        "count", "duplicates", "error", "event", "failed", "fetched", "filtered", "found_by", "generation",
        "gone", "job", "kind", "level", "logger", "messages", "method", "missing", "ok", "operation",
        "outcome", "parked", "port", "process", "provider", "reason", "request_id", "retry_in_s", "revision",
        "rounds", "route", "rule", "seconds", "signal", "state", "status", "step", "stored", "task", "team",
        "threads", "timestamp", "version", "write",
    }
)
# fmt: on

# Above their usual level these loggers print arguments, URLs with their query, or whole bodies.
QUIET_LOGGERS = (
    "alembic",
    "flask",
    "google",
    "googleapiclient",
    "gunicorn",
    "httplib2",
    "mail",
    "msal",
    "procrastinate",
    "requests",
    "sqlalchemy",
    "urllib3",
    "werkzeug",
)

WITHHELD = "[withheld]"
LONGEST_TEXT = 300
_CODE = re.compile(r"[\w.:/<>+-]{0,80}", re.ASCII)
_ADDRESS = re.compile(r"[^\s@<>\"'(),;:=]{1,128}@[^\s@<>\"'(),;:=]{1,255}")
_IP_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_TOKEN = re.compile(r"\b(?=[a-z_]*[A-Z0-9+/=-])[A-Za-z0-9_+/=-]{24,}")  # our own long_event_names stay
_FRAMES_SHOWN = 8


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log record of this process through the filters below, as JSON lines to `stream` (standard error)."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_template_only)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                name_exception,
                only_public,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash


def only_public(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep the public keys; say which others were left out, without their values."""
    kept: EventDict = {key: _public(key, value) for key, value in event.items() if key in PUBLIC_KEYS}
    left_out = sorted(key for key in event if key not in PUBLIC_KEYS and key not in {"exc_info", "stack_info"})
    if left_out:
        kept["left_out"] = left_out
    return kept


def name_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the exception by the names of its classes and the places it went through."""
    exc_info = event.pop("exc_info", None)
    error = _exception(exc_info)
    if error is not None:
        event["error"] = "<".join(type(link).__name__ for link in _chain(error))
        event["at"] = _places(error.__traceback__)
    return event


def scrub(text: str) -> str:
    """Take addresses, IP addresses and whatever may be a token out of a text."""
    text = _ADDRESS.sub("[address]", text[: 4 * LONGEST_TEXT])
    text = _TOKEN.sub("[token]", _IP_ADDRESS.sub("[address]", text))
    return text[:LONGEST_TEXT]


def _public(key: str, value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if key == "event":
        return scrub(str(value))
    if key == "at" and isinstance(value, list):
        return value
    text = str(value)
    return text if _CODE.fullmatch(text) else WITHHELD


def _template_only(record: logging.LogRecord) -> bool:
    """Drop the arguments of what another library logs; our own records carry a dict and pass."""
    if not isinstance(record.msg, dict):
        record.msg, record.args = str(record.msg), ()
    return True


def _exception(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    error = exc_info[1] if isinstance(exc_info, tuple) else sys.exc_info()[1]
    return error if isinstance(error, BaseException) and exc_info else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _places(traceback: TracebackType | None) -> list[str]:
    places = []
    while traceback is not None:
        frame = traceback.tb_frame
        places.append(f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_name}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return places[-_FRAMES_SHOWN:]


def _log_crash(_kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    structlog.get_logger("threadlink").error("crashed", exc_info=error)


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    structlog.get_logger("threadlink").error("thread crashed", exc_info=crash.exc_value)
