"""Showing a conversation on Pipedrive's records: as a note, an activity, its own sync's thread, or by mail.

What was written is named by its kind and id (note/5, activity/7, thread/9, mail/ and the messages sent), so a team may
change the mode: what stands already is brought up to date as what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.errors import Gone, Rejected, Unsupported
from app.model import ItemRef
from app.ports import LinkWrite, WrittenLink
from connectors.crm.pipedrive import mapping, note, operations
from connectors.crm.pipedrive.api import Json, PipedriveApi
from connectors.crm.pipedrive.failures import PROVIDER
from connectors.crm.pipedrive.smart_bcc import KEY_CHARS, SmartBcc, key_of, message_id

ITEM_FIELDS: Mapping[str, str] = {"deal": "deal_id", "lead": "lead_id", "project": "project_id"}
_HEX = frozenset("0123456789abcdef")
MARKER_LIMIT = 100  # notes asked for at once when our own is looked for, the newest first
MAX_PERSONS_ASKED = 3  # whose mail is looked through for a thread: 20 tokens each

MAIL_STAYS = "Mail that went to Smart Bcc is deleted in Pipedrive, on the item."
MAIL_MAY_DOUBLE = "Pipedrive shows arrived mail late: a mail whose answer was lost may be there twice."
THREAD_STAYS = (
    "Pipedrive's API cannot take a mail thread off a deal or lead: unlink it in Pipedrive, on the mail conversation."
)


class PipedriveWriting:
    """Writes, finds and removes what shows a conversation."""

    def __init__(self, api: PipedriveApi, mode: str, home: str, smart_bcc: SmartBcc) -> None:
        self._api = api
        self._mode = mode
        self._home = home
        self._smart_bcc = smart_bcc

    def find(self, write: LinkWrite) -> WrittenLink | None:
        """Look for our own marker on the item, in what this mode writes."""
        if not mapping.is_id(write.item.kind, write.item.external_id):
            return None
        if self._mode == "native_thread" and (thread := self._thread(write)) and self._is_on(thread, write.item):
            return WrittenLink(f"thread/{thread}")
        if self._mode == "activity":
            return self._find_activity(write)
        if self._mails(write.item):
            return self._find_mail(write)
        params = {_field(write.item): write.item.external_id, "sort": "add_time DESC"}
        for rows, _ in self._api.pages(operations.NOTES, params=params, limit=MARKER_LIMIT):
            for row in rows:
                if note.has_marker(row.get("content"), write.note.marker) and row.get("active_flag") is not False:
                    return _written("note", row)
        return None

    def write(self, write: LinkWrite) -> WrittenLink:
        """Show the conversation. Raises Gone for a deleted item."""
        _refuse_unknown(write.item)
        if self._mode == "native_thread" and (thread := self._thread(write)):
            return self._link_thread(thread, write.item)
        if self._mails(write.item):
            return self._mail(write, [])
        if self._mode == "activity":
            return _written("activity", self._api.data(operations.ADD_ACTIVITY, body=self._activity(write)))
        return _written("note", self._api.data(operations.ADD_NOTE, body=self._note(write)))

    def update(self, written: WrittenLink, write: LinkWrite) -> WrittenLink:
        """Bring it up to date. Raises Gone when it was deleted."""
        _refuse_unknown(write.item)
        kind, external_id = _read(written)
        if kind == "thread":
            return self._link_thread(external_id, write.item)
        if kind == "mail":
            return self._mail(write, _keys(external_id))
        if kind == "activity":
            return _written(
                "activity", self._api.data(operations.UPDATE_ACTIVITY, external_id, body=self._activity(write))
            )
        return _written("note", self._api.data(operations.UPDATE_NOTE, external_id, body=self._note(write)))

    def remove(self, written: WrittenLink) -> None:
        """Take it off; what is gone already is no error. Raises Unsupported for a thread."""
        kind, external_id = _read(written)
        if kind == "thread":
            raise Unsupported(THREAD_STAYS, provider=PROVIDER, operation="remove_link")
        if kind == "mail":
            raise Unsupported(MAIL_STAYS, provider=PROVIDER, operation="remove_link")
        try:
            self._api.call(operations.DELETE_ACTIVITY if kind == "activity" else operations.DELETE_NOTE, external_id)
        except Gone:
            return

    # --- notes and activities ---

    def _note(self, write: LinkWrite) -> dict[str, Any]:
        """Return a note's body: Pipedrive shows a note on one person and one organization, the first ones."""
        body = {"content": note.content(write.note, self._home), **_on(write.item)}
        persons, organizations = _ids(write.persons), _ids(write.organizations)
        if persons:
            body["person_id"] = persons[0]
        if organizations:
            body["org_id"] = organizations[0]
        return body

    def _activity(self, write: LinkWrite) -> dict[str, Any]:
        newest = max((message.at for message in write.note.messages), default=None)
        body = {
            "subject": note.subject(write.note),
            "type": "email",
            "done": True,
            "note": note.content(write.note, self._home),
            "participants": [
                {"person_id": person, "primary": place == 0} for place, person in enumerate(_ids(write.persons))
            ],
            **_on(write.item),
        }
        if newest is not None:
            body |= {"due_date": f"{newest:%Y-%m-%d}", "due_time": f"{newest:%H:%M}"}
        if organizations := _ids(write.organizations):
            body["org_id"] = organizations[0]
        return body

    def _find_activity(self, write: LinkWrite) -> WrittenLink | None:
        if write.item.kind == "project":
            pages = self._api.pages(operations.PROJECT_ACTIVITIES, write.item.external_id, limit=MARKER_LIMIT)
        else:
            params = {
                _field(write.item): write.item.external_id,
                "sort_by": "add_time",
                "sort_direction": "desc",
            }
            pages = self._api.pages(operations.ACTIVITIES, params=params)
        for rows, _ in pages:
            for row in rows:
                if note.has_marker(row.get("note"), write.note.marker) and row.get("is_deleted") is not True:
                    return _written("activity", row)
        return None

    # --- mail to an item's Smart Bcc address ---

    def _mails(self, item: ItemRef) -> bool:
        """Whether the item is one that mail goes to: projects have no address, and get a note."""
        return self._mode == "smart_bcc" and item.kind != "project"

    def _mail(self, write: LinkWrite, sent: list[str]) -> WrittenLink:
        keys = self._smart_bcc.send(write, self._address(write.item), sent)
        return WrittenLink(f"mail/{''.join(keys)}")

    def _address(self, item: ItemRef) -> str:
        """Return the item's own Smart Bcc address. Raises Gone for an item that is deleted."""
        if item.kind == "deal":
            params = {"include_fields": "smart_bcc_email"}
            found = self._api.data(operations.DEAL, item.external_id, params=params).get("smart_bcc_email")
        else:
            found = self._api.data(operations.LEAD, item.external_id).get("cc_email")
        if not isinstance(found, str) or found.count("@") != 1 or not found.isascii() or len(found) > 320:
            raise Rejected("Pipedrive names no Smart Bcc address.", provider=PROVIDER, operation="write_link")
        return found

    def _find_mail(self, write: LinkWrite) -> WrittenLink | None:
        """Look for our own mail on a deal; leads do not show theirs."""
        if write.item.kind != "deal":
            return None
        wanted = {message_id(write.note.marker, each).strip("<>"): key_of(each) for each in write.note.messages}
        found = []
        for rows, _ in self._api.pages(operations.MAIL_OF_DEAL, write.item.external_id, limit=MARKER_LIMIT):
            mails = [row["data"] for row in rows if isinstance(row.get("data"), dict)]
            held = {str(mail.get("mua_message_id") or "").strip("<>") for mail in mails}
            found += [key for name, key in wanted.items() if name in held]
        return WrittenLink(f"mail/{''.join(found)}") if found else None

    # --- threads of Pipedrive's own mail sync ---

    def _thread(self, write: LinkWrite) -> str | None:
        """Return the thread of Pipedrive's own sync that holds one of our messages; projects have none."""
        wanted = {message.internet_id.strip("<>") for message in write.note.messages if message.internet_id}
        if not wanted or write.item.kind == "project":
            return None
        for person in _ids(write.persons)[:MAX_PERSONS_ASKED]:
            rows, _ = next(iter(self._api.pages(operations.MAIL_OF_PERSON, person, limit=MARKER_LIMIT)))
            for row in rows:
                mail = row.get("data")
                if isinstance(mail, dict) and str(mail.get("mua_message_id") or "").strip("<>") in wanted:
                    return mapping.number(mail.get("mail_thread_id"))
        return None

    def _is_on(self, thread: str, item: ItemRef) -> bool:
        found = self._api.data(operations.THREAD, thread)
        return str(found.get(_field(item))) == item.external_id

    def _link_thread(self, thread: str, item: ItemRef) -> WrittenLink:
        self._api.data(operations.UPDATE_THREAD, thread, form={_field(item): item.external_id})
        return WrittenLink(f"thread/{thread}")


def _field(item: ItemRef) -> str:
    return ITEM_FIELDS.get(item.kind, "deal_id")


def _on(item: ItemRef) -> dict[str, Any]:
    return {_field(item): item.external_id if item.kind == "lead" else int(item.external_id)}


def _ids(refs: tuple[ItemRef, ...]) -> list[int]:
    return [int(ref.external_id) for ref in refs if mapping.is_id(ref.kind, ref.external_id)]


def _refuse_unknown(item: ItemRef) -> None:
    if item.kind not in ITEM_FIELDS or not mapping.is_id(item.kind, item.external_id):
        raise Gone("Pipedrive has no such item.", provider=PROVIDER, operation="write_link")


def _written(kind: str, row: Json) -> WrittenLink:
    external_id = mapping.number(row.get("id"))
    if external_id is None:
        raise Rejected("Pipedrive does not say what it wrote.", provider=PROVIDER, operation="write_link")
    return WrittenLink(f"{kind}/{external_id}")


def _read(written: WrittenLink) -> tuple[str, str]:
    kind, _, external_id = written.external_id.partition("/")
    if kind == "mail" and len(external_id) % KEY_CHARS == 0 and set(external_id) <= _HEX:
        return kind, external_id
    if kind not in {"note", "activity", "thread"} or not mapping.is_id("note", external_id):
        raise Gone("Pipedrive holds nothing by this name.", provider=PROVIDER, operation="update_link")
    return kind, external_id


def _keys(joined: str) -> list[str]:
    return [joined[at : at + KEY_CHARS] for at in range(0, len(joined), KEY_CHARS)]
