"""Reads messages, twenty in a $batch; a part that fails is one message's trouble, not the batch's.

Vendor pages: learn.microsoft.com/graph/api/message-get, learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    Gone,
    MailboxUnavailable,
    Rejected,
    Unavailable,
    Unsupported,
)
from app.ports import FailedMessage, Fetched, FetchOutcome, FilteredMessage, GoneMessage, Mailbox
from connectors.mail.graph.api import Access, GraphApi, Part, query, quoted
from connectors.mail.graph.failures import PROVIDER
from connectors.mail.graph.folders import FolderNames
from connectors.mail.graph.normalize import IN_REPLY_TO, MESSAGE_ID, REFERENCES, is_report, normalize
from connectors.mail.graph.settings import GraphSettings

_FIELDS = (
    "id,internetMessageId,conversationId,conversationIndex,subject,from,sender,replyTo,toRecipients,ccRecipients,"
    "bccRecipients,sentDateTime,receivedDateTime,parentFolderId,isDraft,hasAttachments,internetMessageHeaders"
)
_PROPERTIES = " or ".join(f"id eq '{key}'" for key in (MESSAGE_ID, REFERENCES, IN_REPLY_TO))
HEADERS_ONLY = query(select=_FIELDS)
WHOLE = query(
    select=f"{_FIELDS},body,bodyPreview",
    expand=f"singleValueExtendedProperties($filter={_PROPERTIES}),attachments($select=id,name,contentType,size,isInline)",
)
TEXTS_MISSING = "The consent covers headers only: texts and attachments are not read."
# Where Microsoft shows mail, in its clouds (learn.microsoft.com/microsoft-365/enterprise/urls-and-ip-address-ranges).
OUTLOOK_HOSTS = (
    "outlook.office365.com", "outlook.office.com", "outlook.live.com", "outlook.cloud.microsoft",
    "outlook.office365.us", "webmail.apps.mil", "partner.outlook.cn",
)  # fmt: skip
MAX_LINK_CHARS = 4_000
PLAIN_TEXT = 'outlook.body-content-type="text"'
# What concerns the account and not the one message: no other part would fare better.
CONCERNS_ALL = (AccessRevoked, AdminBlocked, MailboxUnavailable, ApplicationMisconfigured)


class MessageReader:
    """Reads messages of one mailbox at a time."""

    def __init__(self, api: GraphApi, names: FolderNames, settings: GraphSettings) -> None:
        self._api = api
        self._names = names
        self._reads_texts = settings.scopes == "read"

    def fetch(self, mailbox: Mailbox, provider_ids: Sequence[str]) -> list[FetchOutcome]:
        """Return one outcome for each id. Raises what concerns the whole account."""
        access = Access.of(mailbox)
        parts = self._read(access, list(dict.fromkeys(provider_ids)), WHOLE if self._reads_texts else HEADERS_ONLY)
        reports = [key for key, (part, _) in parts.items() if part.status == 200 and is_report(part.body)]
        mimes = self._mimes(access, reports) if reports and self._reads_texts else {}
        outcomes = []
        for key in provider_ids:
            part, parked = parts.get(key, (None, None))
            outcomes.append(self._outcome(access, key, part, parked, mimes.get(key, b"")))
        return outcomes

    def original(self, mailbox: Mailbox, provider_id: str) -> bytes:
        """Return a mail as it arrived. Raises Gone for one that lies where fetch() leaves mail out."""
        if not self._reads_texts:
            raise Unsupported(TEXTS_MISSING, provider=PROVIDER, operation="mime")
        access = Access.of(mailbox)
        path = f"{access.user}/messages/{quoted(provider_id)}"
        found = self._api.call(access, "get", "GET", f"{path}?{query(select='id,parentFolderId,isDraft')}")
        if self._names.of(access).rule(found.get("parentFolderId"), found.get("isDraft")) is not None:
            raise Gone(provider=PROVIDER, operation="get")
        return self._api.content(access, "mime", f"{path}/$value")

    def web_url(self, mailbox: Mailbox, provider_id: str) -> str:
        """Ask Outlook for the mail's own page. Raises Unavailable when it names one that is not Outlook's."""
        access = Access.of(mailbox)
        path = f"{access.user}/messages/{quoted(provider_id)}?{query(select='id,webLink')}"
        link = self._api.call(access, "get", "GET", path).get("webLink")
        parts = urlsplit(link) if isinstance(link, str) and len(link) <= MAX_LINK_CHARS else None
        if parts is None or parts.scheme != "https" or not _is_outlook(parts.hostname or ""):
            raise Unavailable("Graph did not say where the message is read", provider=PROVIDER, operation="get")
        return parts.geturl()

    def _read(
        self, access: Access, provider_ids: Sequence[str], options: str, parked: str | None = None
    ) -> dict[str, tuple[Part, str | None]]:
        """Read a batch, in halves where it is refused or too large; of a message too large alone only the headers."""
        paths = {key: f"{access.user}/messages/{quoted(key)}?{options}" for key in provider_ids}
        try:
            parts = self._api.batch(access, "get", paths, prefer=[PLAIN_TEXT])
        except Rejected:
            if len(provider_ids) == 1 and options == HEADERS_ONLY:
                raise
        else:
            return {key: (part, parked) for key, part in parts.items()}
        middle = len(provider_ids) // 2
        if not middle:
            return self._read(access, provider_ids, HEADERS_ONLY, "too large")
        first, second = provider_ids[:middle], provider_ids[middle:]
        return {**self._read(access, first, options), **self._read(access, second, options)}

    def _mimes(self, access: Access, provider_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the whole mail of reports; without it they are still reports."""
        paths = {key: f"{access.user}/messages/{quoted(key)}/$value" for key in provider_ids}
        try:
            parts = self._api.batch(access, "mime", paths)
        except Rejected:
            return {}
        return {key: part.raw() for key, part in parts.items() if part.status == 200}

    def _outcome(
        self, access: Access, provider_id: str, part: Part | None, parked: str | None, mime: bytes
    ) -> FetchOutcome:
        if part is None:
            return FailedMessage(provider_id, self._api.unanswered("get"))
        if part.status != 200:
            error = self._api.error(part, "get")
            if isinstance(error, Gone):
                return GoneMessage(provider_id)
            if isinstance(error, CONCERNS_ALL):
                raise error
            return FailedMessage(provider_id, error)
        message: Mapping[str, object] = part.body
        if message.get("id") != provider_id:
            return FailedMessage(provider_id, self._api.unanswered("get"))
        known = self._names.of(access)
        folder_id = message.get("parentFolderId")
        rule = known.rule(folder_id, message.get("isDraft")) or known.unchosen(folder_id)
        if rule is not None:
            return FilteredMessage(provider_id, rule)
        try:
            return Fetched(provider_id, normalize(message, folder=known.folder(folder_id), mime=mime, parked=parked))
        except ValueError as error:
            return FailedMessage(provider_id, Rejected(str(error), provider=PROVIDER, operation="get"))


def _is_outlook(host: str) -> bool:
    return any(host == known or host.endswith(f".{known}") for known in OUTLOOK_HOSTS)
