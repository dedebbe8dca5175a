"""What of a message a request is shown: $select, $expand and its Prefer headers. Part of the simulator."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from connectors.mail.graph.simulator_mailbox import SimulatedMailbox, SimulatedMessage
from connectors.simulated_http import Call

# Shown without $select; internetMessageHeaders, uniqueBody and the rest only when they are asked for.
USUAL = (
    "createdDateTime",
    "lastModifiedDateTime",
    "changeKey",
    "receivedDateTime",
    "sentDateTime",
    "hasAttachments",
    "internetMessageId",
    "subject",
    "bodyPreview",
    "importance",
    "parentFolderId",
    "conversationId",
    "conversationIndex",
    "isRead",
    "isDraft",
    "webLink",
    "body",
    "sender",
    "from",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "replyTo",
)
ASKED_FOR = ("internetMessageHeaders", "uniqueBody")
# What Mail.ReadBasic does not show.
NOT_BASIC = frozenset({"body", "uniqueBody", "bodyPreview"})
PREVIEW_CHARS = 255
WEB = "https://outlook.office365.com/owa/"
_EXPAND = re.compile(r"(singleValueExtendedProperties|attachments)(?:\(((?:[^()']|'[^']*')*)\))?")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a Prefer header asks for."""

    immutable_ids: bool
    text_bodies: bool
    page_size: int | None

    @classmethod
    def of(cls, call: Call) -> Preferences:
        """Read the header of a call."""
        prefer = call.headers.get("prefer", "")
        size = re.search(r"odata\.maxpagesize=(\d+)", prefer)
        return cls(
            immutable_ids='idtype="immutableid"' in prefer.lower(),
            text_bodies='outlook.body-content-type="text"' in prefer.lower(),
            page_size=int(size[1]) if size else None,
        )


@dataclass(frozen=True, slots=True)
class View:
    """How one request wants messages shown. Raises ValueError for what Graph would refuse."""

    preferences: Preferences
    fields: tuple[str, ...]
    properties: tuple[str, ...] = ()
    with_attachments: bool = False

    @classmethod
    def of(cls, call: Call, *, is_basic: bool) -> View:
        """Read $select and $expand of a call."""
        asked = [name.strip() for name in call.one("$select").split(",") if name.strip()]
        unknown = set(asked) - {*USUAL, *ASKED_FOR, "id", "categories", "flag", "inferenceClassification"}
        if unknown:
            raise ValueError(f"Could not find a property named '{min(unknown)}' on type 'microsoft.graph.message'.")
        fields = [name for name in asked or USUAL if not (is_basic and name in NOT_BASIC)]
        properties, with_attachments = _expanded(call.one("$expand"))
        if is_basic and (properties or with_attachments):
            raise PermissionError
        return cls(Preferences.of(call), tuple(fields), properties, with_attachments)

    def show(
        self, mailbox: SimulatedMailbox, message: SimulatedMessage, *, without_headers: bool = False
    ) -> dict[str, Any]:
        """Return the message as this request sees it."""
        shown: dict[str, Any] = {"@odata.etag": etag(message), "id": self.id_of(message)}
        if message.mail.meeting:
            shown = {"@odata.type": message.mail.meeting[0], **shown, "meetingMessageType": message.mail.meeting[1]}
        shown |= {name: SHOWN[name](self, mailbox, message) for name in self.fields if name in SHOWN}
        is_sent = mailbox.folders[message.folder_id].well_known == "sentitems"
        if "internetMessageHeaders" in self.fields and not (is_sent or without_headers):
            shown["internetMessageHeaders"] = message.mail.headers
        values = [(name, message.mail.property(name, is_sent=is_sent)) for name in self.properties]
        if found := [{"id": name, "value": value} for name, value in values if value is not None]:
            shown["singleValueExtendedProperties"] = found
        if self.with_attachments:
            shown["attachments"] = message.mail.attachments
        return shown

    def id_of(self, message: SimulatedMessage) -> str:
        """Return the id in the form that was asked for."""
        return message.id if self.preferences.immutable_ids else message.default_id

    def body(self, message: SimulatedMessage) -> dict[str, str]:
        """Return the text in the form that was asked for."""
        if self.preferences.text_bodies:
            return {"contentType": "text", "content": message.mail.text}
        return {"contentType": "html", "content": message.mail.html}


def etag(message: SimulatedMessage) -> str:
    """Return the version of a message."""
    return f'W/"{base64.b64encode(f"change {message.changed}".encode()).decode()}"'


def conversation_id(mailbox: SimulatedMailbox, message: SimulatedMessage) -> str:
    """Return the id of its conversation: another one in every mailbox."""
    name = f"conversation {message.conversation} of {mailbox.user_id}"
    return f"AAQk{base64.urlsafe_b64encode(name.encode()).decode()}"


def time_shown(at: datetime) -> str:
    """Write a time as Graph does: whole seconds, UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _expanded(expand: str) -> tuple[tuple[str, ...], bool]:
    """Return the extended properties and whether the attachments are asked for."""
    properties: tuple[str, ...] = ()
    with_attachments = False
    rest = expand
    while rest:
        match = _EXPAND.match(rest)
        if match is None:
            raise ValueError(f"Parsing OData Select and Expand failed: {expand!r}")
        if match[1] == "attachments":
            with_attachments = True
        else:
            properties = tuple(re.findall(r"id eq '([^']+)'", match[2] or ""))
            if not properties:
                raise ValueError("Filter is required to expand singleValueExtendedProperties.")
        rest = rest[match.end() :].removeprefix(",")
    return properties, with_attachments


Show = Callable[[View, SimulatedMailbox, SimulatedMessage], Any]
# One function for each field, so that only what is selected is made. `from` and `sender` differ when somebody sends on
# behalf of another.
SHOWN: Mapping[str, Show] = {
    "id": lambda view, _, message: view.id_of(message),
    "createdDateTime": lambda _v, _b, message: time_shown(message.at),
    "lastModifiedDateTime": lambda _v, _b, message: time_shown(message.at),
    "changeKey": lambda _v, _b, message: etag(message)[3:-1],
    "categories": lambda _v, _b, _m: [],
    "receivedDateTime": lambda _v, _b, message: time_shown(message.at),
    "sentDateTime": lambda _v, _b, message: time_shown(message.mail.sent_at or message.at),
    "hasAttachments": lambda _v, _b, message: bool(message.mail.attachments),
    "internetMessageId": lambda _v, _b, message: message.mail.internet_id,
    "subject": lambda _v, _b, message: message.mail.subject,
    "bodyPreview": lambda _v, _b, message: " ".join(message.mail.text.split())[:PREVIEW_CHARS],
    "importance": lambda _v, _b, _m: "normal",
    "parentFolderId": lambda _v, _b, message: message.folder_id,
    "conversationId": lambda _v, mailbox, message: conversation_id(mailbox, message),
    "conversationIndex": lambda _v, _b, message: message.mail.conversation_index(message.conversation, message.at),
    "isRead": lambda _v, _b, message: message.is_read,
    "isDraft": lambda _v, mailbox, message: mailbox.folders[message.folder_id].well_known == "drafts",
    "webLink": lambda _v, _b, message: (
        f"https://outlook.office365.com/owa/?ItemID={quote(message.default_id, safe='')}"
    ),
    "body": lambda view, _, message: view.body(message),
    "uniqueBody": lambda view, _, message: view.body(message),
    "sender": lambda _v, _b, message: next(iter(message.mail.recipients("Sender")), _author(message)),
    "from": lambda _v, _b, message: _author(message),
    "toRecipients": lambda _v, _b, message: message.mail.recipients("To"),
    "ccRecipients": lambda _v, _b, message: message.mail.recipients("Cc"),
    "bccRecipients": lambda _v, _b, message: message.mail.recipients("Bcc"),
    "replyTo": lambda _v, _b, message: message.mail.recipients("Reply-To"),
    "flag": lambda _v, _b, _m: {"flagStatus": "notFlagged"},
    "inferenceClassification": lambda _v, _b, _m: "focused",
}


def _author(message: SimulatedMessage) -> dict[str, Any] | None:
    return next(iter(message.mail.recipients("From")), None)
