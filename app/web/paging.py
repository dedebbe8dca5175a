"""Where a page of a list ends, as only its reader can give it back: sealed, and worth nothing to anybody else (W16)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography.fernet import InvalidToken

from app.errors import ThreadlinkError
from app.installation import Installation
from app.model import Member
from app.store.inbox import Place

LONGEST_CURSOR = 1_000
_KIND = "page"
_ROW = "row"


def sealed(installation: Installation, team_id: int, member: Member, place: Place | None) -> str:
    """Return a place for the reader to bring back; "" for none."""
    if place is None:
        return ""
    value = {"at": place.at.isoformat(), "id": place.conversation_id}
    return installation.secrets.seal(value, team_id=team_id, owner=_owner(member), kind=_KIND).decode()


def place(installation: Installation, team_id: int, member: Member, text: str) -> Place | None:
    """Return the place that a reader brought back; None for "" and for what this reader was not given."""
    if not text or len(text) > LONGEST_CURSOR:
        return None
    value = _opened(installation, team_id, member, text, _KIND)
    try:
        return Place(datetime.fromisoformat(value["at"]), int(value["id"])) if value else None
    except (ValueError, KeyError, TypeError):
        return None


def sealed_row(installation: Installation, team_id: int, member: Member, row: int | None) -> str:
    """Return the id of a row that leaves the process only like this; "" for none."""
    if row is None:
        return ""
    return installation.secrets.seal({"id": row}, team_id=team_id, owner=_owner(member), kind=_ROW).decode()


def row_id(installation: Installation, team_id: int, member: Member, text: str) -> int | None:
    """Return the id of a row that a reader brought back; None for "" and for what this reader was not given."""
    if not text or len(text) > LONGEST_CURSOR:
        return None
    value = _opened(installation, team_id, member, text, _ROW)
    return int(value["id"]) if value else None


def _opened(installation: Installation, team_id: int, member: Member, text: str, kind: str) -> dict[str, Any]:
    try:
        return installation.secrets.open(text.encode(), team_id=team_id, owner=_owner(member), kind=kind)
    except (ValueError, InvalidToken, ThreadlinkError):
        return {}


def _owner(member: Member) -> str:
    return f"member/{member.id}"
