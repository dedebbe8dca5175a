"""Which folders of a mailbox are read: their names are in the owner's language, the well-known ones are asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.errors import Gone
from app.model import Folder
from app.ports import Clock
from connectors.mail.graph.api import Access, GraphApi

# The rule that leaves out what lies in a well-known folder or below it; None: it is read.
WELL_KNOWN: dict[str, str | None] = {
    "inbox": None,
    "sentitems": None,
    "archive": None,
    "drafts": "draft",
    "outbox": "draft",
    "junkemail": "spam",
    "deleteditems": "trash",
}
KEPT_FOR = timedelta(hours=24)  # the archive may be made later; the others never change
KEPT_MAILBOXES = 10_000


@dataclass(frozen=True, slots=True)
class WellKnown:
    """The ids of a mailbox's well-known folders, each with its name."""

    names: dict[str, str]

    def rule(self, folder_id: object, is_draft: object = False) -> str | None:
        """Return the rule that leaves a message of this folder out, or None."""
        if is_draft is True:
            return "draft"
        return WELL_KNOWN.get(self.names.get(str(folder_id), ""))

    def folder(self, folder_id: object) -> Folder:
        """Return where the mailbox holds a message."""
        name = self.names.get(str(folder_id))
        return "inbox" if name == "inbox" else "sent" if name == "sentitems" else "other"


class FolderNames:
    """Asks for the well-known folders once a day and keeps them."""

    def __init__(self, api: GraphApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._kept: OrderedDict[str, tuple[datetime, WellKnown]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, access: Access) -> WellKnown:
        """Return the well-known folders of a mailbox."""
        now = self._clock.now()
        with self._lock:
            kept = self._kept.get(access.name)
        if kept is not None and abs(now - kept[0]) < KEPT_FOR:
            return kept[1]
        found = self._ask(access)
        with self._lock:
            self._kept[access.name] = (now, found)
            if len(self._kept) > KEPT_MAILBOXES:
                self._kept.popitem(last=False)
        return found

    def _ask(self, access: Access) -> WellKnown:
        paths = {name: f"{access.user}/mailFolders/{name}?$select=id" for name in WELL_KNOWN}
        parts = self._api.batch(access, "folders", paths)
        names: dict[str, str] = {}
        for name in WELL_KNOWN:
            part = parts.get(name)
            if part is not None and part.status == 200 and isinstance(part.body.get("id"), str):
                names[str(part.body["id"])] = name
                continue
            error = self._api.error(part.answer, "folders") if part is not None else None
            # A folder that was never made is no trouble; the inbox and anything else is.
            if error is None or not isinstance(error, Gone) or name == "inbox":
                raise error or self._api.unanswered("folders")
        return WellKnown(names)
