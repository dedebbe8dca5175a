"""Which folders of a mailbox are read: their names are in the owner's language, the well-known ones are asked for.

Vendor pages: learn.microsoft.com/graph/api/user-list-mailfolders, learn.microsoft.com/graph/api/resources/mailfolder
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from app.errors import Gone
from app.model import NOT_CHOSEN, Folder
from app.ports import Clock, MailFolder
from connectors.mail.graph.api import BATCH_PARTS, Access, GraphApi, Part, list_of_objects, query, quoted

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
MAX_LISTED = 1_000
LISTED_AT_ONCE = "100"
MAX_NAME_CHARS = 1_000
SEPARATOR = " / "


@dataclass(frozen=True, slots=True)
class WellKnown:
    """The ids of a mailbox's well-known folders, each with its name, and what an account chose of all folders."""

    names: Mapping[str, str]
    chosen: frozenset[str] = frozenset()

    def rule(self, folder_id: object, is_draft: object = False) -> str | None:
        """Return the rule that leaves a message of this folder out, or None."""
        if is_draft is True:
            return "draft"
        return WELL_KNOWN.get(self.names.get(str(folder_id), ""))

    def unchosen(self, folder_id: object) -> str | None:
        """Return NOT_CHOSEN for a folder that is none of those chosen, nor sent mail; each counts for itself alone."""
        is_read = not self.chosen or str(folder_id) in self.chosen or self.folder(folder_id) == "sent"
        return None if is_read else NOT_CHOSEN

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
        """Return the well-known folders of a mailbox, and what the account that asks chose."""
        return replace(self._known(access), chosen=access.chosen)

    def listed(self, access: Access) -> Sequence[MailFolder]:
        """Return the folders to choose from, the inbox first; about MAX_LISTED at most."""
        known = self._known(access)
        options = query(select="id,displayName,childFolderCount", top=LISTED_AT_ONCE)
        found: dict[str, MailFolder] = {}
        waiting = {"": f"{access.user}/mailFolders?{options}"}  # by the folder they are in
        while waiting and len(found) < MAX_LISTED:
            asked = {key: waiting.pop(key) for key in list(waiting)[:BATCH_PARTS]}
            parts = self._api.batch(access, "folders", asked)
            for around in asked:
                body = self._body(parts.get(around))
                if "@odata.nextLink" in body:
                    waiting[around] = self._api.relative(body["@odata.nextLink"], "folders")
                for entry in list_of_objects(body):
                    folder_id, name = entry.get("id"), str(entry.get("displayName"))[:255]
                    if not isinstance(folder_id, str) or known.rule(folder_id) is not None:
                        continue
                    whole = f"{found[around].name}{SEPARATOR}{name}"[-MAX_NAME_CHARS:] if around else name
                    is_inbox = known.folder(folder_id) == "inbox"
                    found[folder_id] = MailFolder(folder_id, whole, "inbox" if is_inbox else "")
                    if entry.get("childFolderCount"):
                        waiting[folder_id] = f"{access.user}/mailFolders/{quoted(folder_id)}/childFolders?{options}"
        offered = [each for each in found.values() if known.folder(each.id) != "sent"]
        return sorted(offered, key=lambda each: (each.well_known != "inbox", each.name.casefold()))

    def _body(self, part: Part | None) -> Mapping[str, Any]:
        """Return a page of folders; of a folder that was deleted meanwhile an empty one."""
        if part is None:
            raise self._api.unanswered("folders")
        if part.status == 200:
            return part.body
        error = self._api.error(part, "folders")
        if isinstance(error, Gone):
            return {}
        raise error

    def _known(self, access: Access) -> WellKnown:
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
