"""What somebody carries for us and brings back: sealed, so that only we can have made it, and good for a time.

The one-time link and the choices of an add-on, the bearer of a framed page, the pass of a panel, the forms of a page.
Nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from app.acting import Acting
from app.errors import Conflict, ThreadlinkError
from app.installation import Installation
from app.model import Member

CHOICE_LASTS = timedelta(minutes=10)
LONGEST = 4_000  # characters
_NO_TEAM = 0  # before a person is known, no team is
_CHOICE = "choice"


def sealed(
    installation: Installation, kind: str, value: Mapping[str, Any], *, owner: str, team_id: int = _NO_TEAM
) -> str:
    """Return a value for somebody to bring back; `kind` and `owner` say what it is and whose."""
    carried = {"value": dict(value), "at": installation.clock.now().isoformat()}
    return installation.secrets.seal(carried, team_id=team_id, owner=owner, kind=kind).decode()


def opened(
    installation: Installation, kind: str, text: str, *, owner: str, team_id: int = _NO_TEAM, lasts: timedelta | None
) -> dict[str, Any] | None:
    """Return the value that was brought back; None for what was not sealed as this, and for what is over."""
    if not text.isascii() or len(text) > LONGEST:
        return None
    try:
        carried = installation.secrets.open(text.encode(), team_id=team_id, owner=owner, kind=kind)
    except ThreadlinkError:
        return None
    age = installation.clock.now() - datetime.fromisoformat(carried["at"])
    if lasts is not None and not timedelta(0) <= age <= lasts:
        return None
    value: dict[str, Any] = carried["value"]
    return value


# --- a choice that counts once (threats.md W11) ---


def choice(installation: Installation, team_id: int, member: Member, about: str) -> str:
    """Return what a button or a form carries: one choice about something, for this member.

    Made twice, by an impatient finger or by somebody who listened, it counts once.
    """
    value = {"id": str(uuid4()), "about": about}
    return sealed(installation, _CHOICE, value, owner=_of(member), team_id=team_id)


def acting(
    installation: Installation,
    team_id: int,
    member: Member,
    about: str,
    text: str,
    *,
    lasts: timedelta | None = CHOICE_LASTS,
) -> Acting:
    """Return who acts, under the id of the choice that was carried. Raises Conflict (choice_expired)."""
    value = opened(installation, _CHOICE, text, owner=_of(member), team_id=team_id, lasts=lasts)
    if value is None or value["about"] != about:
        raise Conflict("choice_expired")
    return Acting(team_id, member, installation.clock.now(), value["id"])


def _of(member: Member) -> str:
    return f"member/{member.id}"
