"""Reads what happens in a scenario: messages, work in the CRM, actions of members, faults of providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast, get_args

import yaml

from app.model import Level
from app.scenario import messages, records
from app.scenario.model import (
    AcceptAction,
    Action,
    ActionEvent,
    BulkLinkAction,
    ChangeRecord,
    ConvertLead,
    CreateRecord,
    CrmEvent,
    CrmOperation,
    DeleteRecord,
    DismissAction,
    Elsewhere,
    Event,
    FaultEvent,
    LinkAction,
    MergePersons,
    RestoreRecord,
    SetAccountAction,
    SetVisibilityAction,
    UndoAction,
    UnlinkAction,
)
from app.scenario.names import Names
from app.scenario.nodes import Section, error_at, flag_of, number_of, pairs_of, plain_of, text_of

LEVELS: tuple[str, ...] = get_args(Level)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event taken apart but not read yet, because events refer to later ones."""

    index: int
    section: Section
    kind: str  # message, crm, do or fault
    body: yaml.Node


def take_apart(nodes: Sequence[yaml.Node]) -> list[Happening]:
    """Find out what each event is."""
    return [_happening(index, node) for index, node in enumerate(nodes)]


def _happening(index: int, node: yaml.Node) -> Happening:
    section = Section(node, "an event", "at delivered_at as message crm do fault")
    kinds = [kind for kind in ("message", "crm", "do", "fault") if section.node_of(kind) is not None]
    if len(kinds) != 1:
        raise section.error("an event is one of message, crm, do, fault")
    if (kinds[0] == "do") != (section.node_of("as") is not None):
        raise section.error("a 'do' needs 'as', the member who does it; nothing else has one")
    if kinds[0] != "message" and section.node_of("delivered_at") is not None:
        raise section.error("only a message has 'delivered_at'")
    return Happening(index, section, kinds[0], section.required(kinds[0]))


def define(happenings: Sequence[Happening], names: Names) -> None:
    """Note the messages and the records that the events bring."""
    for happening in happenings:
        if happening.kind == "message":
            messages.define(happening.body, names)
        elif happening.kind == "crm":
            _define_record(happening.body, names)


def _define_record(body: yaml.Node, names: Names) -> None:
    operation, node = _only_pair(body, "crm", CRM_OPERATIONS)
    if operation == "create":
        section = records.create_section(node)
        records.define(names, section.text("kind"), section)
    elif operation == "convert":
        names.items.add(f"deal/{Section(node, 'convert', 'lead deal').text('deal')}")


def read(happening: Happening, names: Names, folder: Path, kinds: Sequence[str]) -> Event:
    """Read one event; `folder` is where .eml files lie, `kinds` what the events of the scenario are, in order."""
    index, section, body = happening.index, happening.section, happening.body
    at = section.time("at")
    if happening.kind == "message":
        delivered_at = section.time_or_none("delivered_at")
        return messages.read(body, names, folder, index=index, at=at, delivered_at=delivered_at)
    if happening.kind == "crm":
        operation, node = _only_pair(body, "crm", CRM_OPERATIONS)
        return CrmEvent(index, at, CRM_OPERATIONS[operation](node, names, at))
    if happening.kind == "do":
        action, node = _only_pair(body, "do", ACTIONS)
        read_action = ACTIONS[action](node, names)
        if isinstance(read_action, UndoAction):
            check_action(node, read_action.event, kinds[:index])
        return ActionEvent(index, at, names.member(section.required("as")), read_action)
    return _fault(body, index, at)


def check_action(node: yaml.Node, event: int, kinds: Sequence[str]) -> None:
    """Refuse an event index that names no action."""
    if event >= len(kinds) or kinds[event] != "do":
        raise error_at(node, f"event {event} (counted from 0) is no action that happened before")


def _only_pair(node: yaml.Node, what: str, known: Mapping[str, object]) -> tuple[str, yaml.Node]:
    pairs = list(pairs_of(node, what))
    if len(pairs) != 1 or pairs[0][1] not in known:
        raise error_at(node, f"'{what}' holds exactly one of {', '.join(known)}")
    return pairs[0][1], pairs[0][2]


# --- the CRM ---------------------------------------------------------------------------------------------------------


def _change(node: yaml.Node, names: Names, _at: datetime) -> CrmOperation:
    section = Section(node, "change", "kind id title status person participants organization name emails")
    kind = section.choice("kind", records.RECORD_KINDS)
    return ChangeRecord(kind, names.record(kind, section.required("id")), records.read_changes(section, kind, names))


def _create(node: yaml.Node, names: Names, at: datetime) -> CrmOperation:
    return CreateRecord(records.read_created(records.create_section(node), names, at=at))


def _delete(node: yaml.Node, names: Names, _at: datetime) -> CrmOperation:
    return DeleteRecord(*_kind_and_id(node, "delete", names))


def _restore(node: yaml.Node, names: Names, _at: datetime) -> CrmOperation:
    return RestoreRecord(*_kind_and_id(node, "restore", names))


def _kind_and_id(node: yaml.Node, what: str, names: Names) -> tuple[str, str]:
    section = Section(node, what, "kind id")
    kind = section.choice("kind", records.RECORD_KINDS)
    return kind, names.record(kind, section.required("id"))


def _convert(node: yaml.Node, names: Names, _at: datetime) -> CrmOperation:
    section = Section(node, "convert", "lead deal")
    return ConvertLead(names.record("lead", section.required("lead")), section.text("deal"))


def _merge_persons(node: yaml.Node, names: Names, _at: datetime) -> CrmOperation:
    section = Section(node, "merge_persons", "from into")
    return MergePersons(names.person(section.required("from")), names.person(section.required("into")))


CRM_OPERATIONS: Mapping[str, Callable[[yaml.Node, Names, datetime], CrmOperation]] = {
    "change": _change,
    "create": _create,
    "delete": _delete,
    "restore": _restore,
    "convert": _convert,
    "merge_persons": _merge_persons,
}


# --- what members do -------------------------------------------------------------------------------------------------


def _link(node: yaml.Node, names: Names) -> Action:
    section = Section(node, "link", "conversation item")
    return LinkAction(names.message(section.required("conversation")), names.item(section.required("item")))


def _bulk_link(node: yaml.Node, names: Names) -> Action:
    section = Section(node, "bulk_link", "conversations item elsewhere")
    return BulkLinkAction(
        conversations=names.all_messages(section.required("conversations"), "'conversations'"),
        item=names.item(section.required("item")),
        elsewhere=cast("Elsewhere", section.choice("elsewhere", ("skip", "move"), "skip")),
    )


def _set_account(node: yaml.Node, names: Names) -> Action:
    section = Section(node, "set_account", "address auto_link")
    auto_link = flag_of(section.required("auto_link"), "'auto_link'")
    return SetAccountAction(names.account(section.required("address")), auto_link=auto_link)


def _set_visibility(node: yaml.Node, names: Names) -> Action:
    section = Section(node, "set_visibility", "conversation level")
    level = cast("Level", section.choice("level", LEVELS))
    return SetVisibilityAction(names.message(section.required("conversation")), level)


ACTIONS: Mapping[str, Callable[[yaml.Node, Names], Action]] = {
    "link": _link,
    "unlink": lambda node, names: UnlinkAction(names.message(node)),
    "dismiss": lambda node, names: DismissAction(names.message(node)),
    "accept": lambda node, names: AcceptAction(names.message(node)),
    "bulk_link": _bulk_link,
    "undo": lambda node, _names: UndoAction(number_of(node, "'undo'")),
    "set_account": _set_account,
    "set_visibility": _set_visibility,
}


# --- faults ----------------------------------------------------------------------------------------------------------


def _fault(node: yaml.Node, index: int, at: datetime) -> FaultEvent:
    given = {key: value for _, key, value in pairs_of(node, "a fault")}
    if missing := [key for key in ("provider", "kind") if key not in given]:
        raise error_at(node, f"a fault needs {missing[0]!r}")
    provider, kind = (text_of(given.pop(key), repr(key)) for key in ("provider", "kind"))
    params = {key: plain_of(value, repr(key)) for key, value in given.items()}
    return FaultEvent(index, at, provider, kind, params)
