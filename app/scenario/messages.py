"""Reads one message of a scenario; mail.py makes the bytes of it."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path

import yaml

from app.scenario.model import MailEvent
from app.scenario.names import Names
from app.scenario.nodes import Section, error_at, is_null, nodes_of, pairs_of, text_of, time_of

MAX_EML_BYTES = 25_000_000
FOLDERS = ("inbox", "sent", "draft", "spam", "trash", "other")
KEY = re.compile(r"[^\s<>]{1,100}")
HEADER_NAME = re.compile(r"[!-9;-~]{1,76}")
YAML_TIMESTAMP = "tag:yaml.org,2002:timestamp"
WRITTEN_KEYS = "from to cc bcc reply_to subject text in_reply_to references message_id date_header attachments headers"
MESSAGE_KEYS = f"key in folder delivered_at eml {WRITTEN_KEYS}"


def define(node: yaml.Node, names: Names) -> None:
    """Note the key of a message."""
    section = Section(node, "a message", MESSAGE_KEYS)
    key = names.define(names.messages, section.text("key"), section.required("key"))
    if not KEY.fullmatch(key):
        raise section.error(f"{key!r} is no key: no blanks or brackets, at most 100 characters")


def read(
    node: yaml.Node, names: Names, folder: Path, *, index: int, at: datetime, delivered_at: datetime | None
) -> MailEvent:
    """Read a message; `folder` is where its .eml file lies. `delivered_at` may stand beside `at` or in the message."""
    section = Section(node, "a message", MESSAGE_KEYS)
    delivered_at = delivered_at or section.time_or_none("delivered_at")
    mailboxes = tuple(names.account(entry) for entry in section.nodes("in"))
    if not mailboxes:
        raise section.error("a message needs a mailbox to arrive in: 'in'")
    if len(set(mailboxes)) < len(mailboxes):
        raise error_at(section.required("in"), "a mailbox stands twice in 'in'")
    if delivered_at is not None and delivered_at < at:
        raise section.error("'delivered_at' is before 'at'")
    eml = _eml(section, folder)
    headers = _headers(section)
    if eml is None and section.node_of("from") is None and not any(name.lower() == "from" for name, _ in headers):
        raise section.error("a message needs 'from' (or an 'eml' file)")
    in_reply_to = section.node_of("in_reply_to")
    return MailEvent(
        index=index,
        at=at,
        key=section.text("key"),
        mailboxes=mailboxes,
        sender=section.text_or_none("from"),
        to=section.texts("to"),
        cc=section.texts("cc"),
        bcc=section.texts("bcc"),
        reply_to=section.text_or_none("reply_to"),
        subject=section.text_or_none("subject"),
        text=section.text_or_none("text") or "",
        in_reply_to=None if in_reply_to is None else names.reference(in_reply_to),
        references=tuple(names.reference(entry) for entry in section.nodes("references")),
        message_id=section.text_or_none("message_id"),
        date_header=_date_header(section),
        attachments=section.texts("attachments"),
        headers=headers,
        folders=_folders(section, names, mailboxes),
        eml=eml,
        delivered_at=delivered_at,
    )


def _eml(section: Section, folder: Path) -> bytes | None:
    node = section.node_of("eml")
    if node is None:
        return None
    for key in WRITTEN_KEYS.split():
        if section.node_of(key) is not None:
            raise section.error(f"'eml' is the whole message: leave out {key!r}")
    path = folder / text_of(node, "'eml'")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_EML_BYTES + 1)
    except (OSError, ValueError) as error:
        raise error_at(node, f"{path} cannot be read: {error}") from error
    if len(content) > MAX_EML_BYTES:
        raise error_at(node, f"{path} is larger than {MAX_EML_BYTES // 1_000_000} MB")
    return content


def _date_header(section: Section) -> str | None:
    """Return the header as written; a YAML time becomes the RFC 5322 form of it."""
    node = section.node_of("date_header")
    if node is None:
        return None
    if node.tag == YAML_TIMESTAMP:
        return format_datetime(time_of(node, "'date_header'"))
    return text_of(node, "'date_header'")


def _headers(section: Section) -> tuple[tuple[str, str | None], ...]:
    node = section.node_of("headers")
    if node is None:
        return ()
    headers: list[tuple[str, str | None]] = []
    for name_node, name, value in pairs_of(node, "'headers'"):
        if not HEADER_NAME.fullmatch(name):
            raise error_at(name_node, f"{name!r} is no header name")
        if is_null(value):
            headers.append((name, None))
        elif isinstance(value, yaml.SequenceNode):
            headers.extend((name, text_of(entry, f"header {name}")) for entry in nodes_of(value, name))
        else:
            headers.append((name, text_of(value, f"header {name}")))
    return tuple(headers)


def _folders(section: Section, names: Names, mailboxes: tuple[str, ...]) -> dict[str, str]:
    node = section.node_of("folder")
    if node is None:
        return {}
    folders = {}
    for address_node, _, value in pairs_of(node, "'folder'"):
        address = names.account(address_node)
        if address not in mailboxes:
            raise error_at(address_node, f"{address!r} does not stand in 'in'")
        folder = text_of(value, "a folder")
        if folder not in FOLDERS:
            raise error_at(value, f"a folder is one of {', '.join(FOLDERS)}, not {folder!r}")
        folders[address] = folder
    return folders
