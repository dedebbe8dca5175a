"""YAML with its line numbers: typed access to a node tree, so that every mistake is named with file and line.

What the keys of a scenario mean stands in read.py, events.py and expectations.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import yaml

from app.errors import ScenarioError

SURROGATE = re.compile(r"[\ud800-\udfff]")
NULL = "tag:yaml.org,2002:null"
BOOL = "tag:yaml.org,2002:bool"
INT = "tag:yaml.org,2002:int"
FLOAT = "tag:yaml.org,2002:float"
TRUE_WORDS = frozenset({"true", "yes", "on"})


class _Loader(yaml.SafeLoader):
    """A safe loader without aliases: they save no typing here and can make a small file enormous."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it out
            raise _error(alias.start_mark, "aliases (*name) are not supported")
        return super().compose_node(parent, index)


def _error(mark: yaml.Mark, message: str) -> ScenarioError:
    return ScenarioError(f"{mark.name}, line {mark.line + 1}: {message}")


def error_at(node: yaml.Node, message: str) -> ScenarioError:
    """Say what is wrong at a node."""
    return _error(node.start_mark, message)


def compose(text: str, name: str) -> yaml.Node:
    """Return the root node of a YAML document; `name` is the file that errors mention."""
    try:
        loader = _Loader(text)
        loader.name = name
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise ScenarioError(f"{name}{where}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{name}: {error}") from error
    except RecursionError:
        raise ScenarioError(f"{name}: nested too deeply") from None
    if root is None:
        raise ScenarioError(f"{name}, line 1: the file is empty")
    return root


def is_null(node: yaml.Node) -> bool:
    """Whether the node is YAML's null."""
    return node.tag == NULL


def text_of(node: yaml.Node, what: str) -> str:
    """Return a scalar as it is written: 42 and yes are text too."""
    if not isinstance(node, yaml.ScalarNode) or is_null(node):
        raise error_at(node, f"{what} must be text")
    if SURROGATE.search(node.value):
        raise error_at(node, f"{what} holds half a character (\\ud800 to \\udfff)")
    return str(node.value)


def texts_of(node: yaml.Node, what: str) -> tuple[str, ...]:
    """Return a list of texts."""
    return tuple(text_of(entry, f"an entry of {what}") for entry in nodes_of(node, what))


def nodes_of(node: yaml.Node, what: str) -> list[yaml.Node]:
    """Return the entries of a list."""
    if not isinstance(node, yaml.SequenceNode):
        raise error_at(node, f"{what} must be a list")
    return list(node.value)


def pairs_of(node: yaml.Node, what: str) -> Iterator[tuple[yaml.Node, str, yaml.Node]]:
    """Yield (key node, key, value node) of a mapping, refusing a key written twice."""
    if not isinstance(node, yaml.MappingNode):
        raise error_at(node, f"{what} must be a mapping (key: value)")
    seen = set()
    for key_node, value in node.value:
        key = text_of(key_node, f"a key of {what}")
        if key in seen:
            raise error_at(key_node, f"{key!r} stands twice in {what}")
        seen.add(key)
        yield key_node, key, value


def flag_of(node: yaml.Node, what: str) -> bool:
    """Return true or false."""
    if node.tag != BOOL:
        raise error_at(node, f"{what} must be true or false")
    return str(node.value).lower() in TRUE_WORDS


def number_of(node: yaml.Node, what: str) -> int:
    """Return a whole number of at most nine digits, 0 or more."""
    value = str(node.value)
    if node.tag != INT or not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise error_at(node, f"{what} must be a whole number")
    return int(value)


def time_of(node: yaml.Node, what: str) -> datetime:
    """Return a time in UTC; like YAML itself, one without a zone is taken as UTC."""
    written = text_of(node, what)
    try:
        moment = datetime.fromisoformat(written)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise error_at(node, f"{what} must be a time such as 2026-03-02T09:00:00Z") from None


def plain_of(node: yaml.Node, what: str) -> object:
    """Return a value whose meaning belongs to somebody else (a fault's parameter): null, scalar or list of them."""
    if isinstance(node, yaml.SequenceNode):
        return [plain_of(entry, what) for entry in node.value]
    if is_null(node):
        return None
    if node.tag == BOOL:
        return flag_of(node, what)
    if node.tag == INT:
        return number_of(node, what)
    if node.tag == FLOAT:
        try:
            return float(node.value)
        except ValueError:
            raise error_at(node, f"{what} must be a plain number") from None
    return text_of(node, what)


class Section:
    """One mapping of the file whose keys are known; a key set to null counts as left out."""

    def __init__(self, node: yaml.Node, what: str, keys: str) -> None:
        """Take the mapping apart; `keys` are the allowed ones, separated by blanks."""
        self.node, self.what = node, what
        self._values: dict[str, yaml.Node] = {}
        allowed = keys.split()
        for key_node, key, value in pairs_of(node, what):
            if key not in allowed:
                raise error_at(key_node, f"unknown key {key!r} in {what}; known are {', '.join(allowed)}")
            self._values[key] = value

    def error(self, message: str) -> ScenarioError:
        """Say what is wrong with the mapping as a whole."""
        return error_at(self.node, message)

    def written(self) -> tuple[str, ...]:
        """Return the keys that stand in the file, null or not."""
        return tuple(self._values)

    def node_of(self, key: str) -> yaml.Node | None:
        """Return the value's node; None when it is left out or null."""
        node = self._values.get(key)
        return None if node is None or is_null(node) else node

    def required(self, key: str) -> yaml.Node:
        """Return the value's node. Raises ScenarioError when it is left out or null."""
        node = self.node_of(key)
        if node is None:
            raise self.error(f"{self.what} needs {key!r}")
        return node

    def text(self, key: str) -> str:
        """Return a text that must be there."""
        return text_of(self.required(key), f"{key!r}")

    def text_or_none(self, key: str) -> str | None:
        """Return a text, None when it is left out."""
        node = self.node_of(key)
        return None if node is None else text_of(node, f"{key!r}")

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """Return one of the choices; without a default the key must be there."""
        node = self.node_of(key)
        if node is None and default is not None:
            return default
        value = self.text(key)
        if value not in choices:
            raise error_at(self.required(key), f"{key!r} must be one of {', '.join(choices)}, not {value!r}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        node = self.node_of(key)
        return default if node is None else flag_of(node, f"{key!r}")

    def number(self, key: str, default: int) -> int:
        """Return a whole number."""
        node = self.node_of(key)
        return default if node is None else number_of(node, f"{key!r}")

    def time(self, key: str) -> datetime:
        """Return a time that must be there."""
        return time_of(self.required(key), f"{key!r}")

    def time_or_none(self, key: str) -> datetime | None:
        """Return a time, None when it is left out."""
        node = self.node_of(key)
        return None if node is None else time_of(node, f"{key!r}")

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, empty when it is left out."""
        node = self.node_of(key)
        return () if node is None else texts_of(node, f"{key!r}")

    def nodes(self, key: str) -> list[yaml.Node]:
        """Return the entries of a list, empty when it is left out."""
        node = self.node_of(key)
        return [] if node is None else nodes_of(node, f"{key!r}")
