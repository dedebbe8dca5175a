"""Lists of messages: $filter, $orderby, $top and $skip as Graph takes them for mail. Part of the simulator."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from connectors.mail.graph.simulator_delta import read_time
from connectors.mail.graph.simulator_mailbox import SimulatedMailbox, SimulatedMessage
from connectors.simulated_http import Call

USUAL_PAGE = 10
LARGEST_PAGE = 1_000
_CONDITION = re.compile(r"(\w+) (ge|gt|le|lt|eq|ne) ('(?:[^']|'')*'|\S+)")
_COMPARE: dict[str, Callable[[datetime, datetime], bool]] = {
    "ge": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
    "le": lambda a, b: a <= b,
    "lt": lambda a, b: a < b,
}


class InefficientFilterError(Exception):
    """What is sorted by must come first in the filter."""


def listed(mailbox: SimulatedMailbox, folder_id: str | None, call: Call) -> list[SimulatedMessage]:
    """Return the messages a listing finds, in its order. Raises ValueError, InefficientFilterError."""
    conditions = _conditions(call.one("$filter"))
    field, _, direction = (call.one("$orderby") or "receivedDateTime desc").partition(" ")
    if field not in {"receivedDateTime", "sentDateTime"} or direction.strip() not in {"", "asc", "desc"}:
        raise ValueError(f"The property {field!r} cannot be sorted by here.")
    if call.one("$orderby") and conditions and conditions[0][0] != field:
        raise InefficientFilterError
    tests = [_test(mailbox, *condition) for condition in conditions]
    found = [
        message
        for message in mailbox.messages.values()
        if folder_id in {None, message.folder_id} and all(test(message) for test in tests)
    ]
    return sorted(found, key=lambda message: (message.at, message.number), reverse=direction.strip() == "desc")


def page_size(call: Call) -> int:
    """Return how many entries a page holds."""
    top = call.one("$top")
    prefer = re.search(r"odata\.maxpagesize=(\d+)", call.headers.get("prefer", ""))
    asked = int(top) if top.isdecimal() else int(prefer[1]) if prefer else USUAL_PAGE
    if not 1 <= asked <= LARGEST_PAGE:
        raise ValueError(f"Invalid value for $top: it must be between 1 and {LARGEST_PAGE}.")
    return asked


def _conditions(written: str) -> Sequence[tuple[str, str, str]]:
    if not written:
        return []
    found = [_CONDITION.fullmatch(part.strip()) for part in re.split(r" and (?=\w+ \w\w )", written)]
    if any(match is None for match in found):
        raise ValueError(f"Invalid filter clause: {written!r}")
    return [(match[1], match[2], match[3]) for match in found if match is not None]


def _test(mailbox: SimulatedMailbox, field: str, operator: str, value: str) -> Callable[[SimulatedMessage], bool]:
    """Return what a condition asks of a message. Raises ValueError for one Graph does not take."""
    if field in {"receivedDateTime", "createdDateTime", "lastModifiedDateTime", "sentDateTime"}:
        if operator not in _COMPARE:
            raise ValueError(f"The operator {operator!r} is not supported here.")
        compare, limit = _COMPARE[operator], read_time(value)
        return lambda message: compare(message.at.replace(microsecond=0), limit)
    shown: dict[str, Callable[[SimulatedMessage], str]] = {
        "internetMessageId": lambda message: message.mail.internet_id,
        "isDraft": lambda message: str(mailbox.folders[message.folder_id].well_known == "drafts").lower(),
        "isRead": lambda message: str(message.is_read).lower(),
        "parentFolderId": lambda message: message.folder_id,
    }
    if field not in shown or operator not in {"eq", "ne"}:
        raise ValueError(f"The property {field!r} cannot be filtered by here.")
    wanted, read = value.strip("'").replace("''", "'"), shown[field]
    return lambda message: (read(message) == wanted) == (operator == "eq")
