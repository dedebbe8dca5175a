"""Where a page of a list ends, as only its reader can give it back: sealed, and worth nothing to anybody else (W16)."""

from __future__ import annotations

from datetime import datetime

from cryptography.fernet import InvalidToken

from app.errors import ThreadlinkError
from app.installation import Installation
from app.model import Member
from app.store.inbox import Place

LONGEST_CURSOR = 1_000
_KIND = "page"


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
    try:
        value = installation.secrets.open(text.encode(), team_id=team_id, owner=_owner(member), kind=_KIND)
        return Place(datetime.fromisoformat(value["at"]), int(value["id"]))
    except (ValueError, KeyError, TypeError, InvalidToken, ThreadlinkError):
        return None


def _owner(member: Member) -> str:
    return f"member/{member.id}"
