"""What every function of the add-on is given: who asks, in which language, and a choice that cannot be made twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from babel.dates import format_date

from app import passes
from app.acting import Acting
from app.errors import NotFound
from app.installation import Installation
from app.linking.reasons import kind_word
from app.ports import AddonCall
from app.signing_in import SignedIn
from app.web.gmail_addon.widgets import Places
from app.web.member_page import uuid_of
from app.web.wording import LOCALES, words

PROVIDER = "gmail"
LONGEST_QUERY = 200


@dataclass(frozen=True, slots=True)
class Look:
    """How cards speak to somebody: the language, the time zone, and where their buttons lead."""

    places: Places
    locale: str
    zone: ZoneInfo

    @property
    def text(self) -> Mapping[str, str]:
        """The words of the pages in this language."""
        return words(self.locale)

    def day(self, at: datetime) -> str:
        """Say a day as a list does."""
        return str(format_date(at.astimezone(self.zone), "d MMM y", locale=self.locale))

    def kind(self, kind: str) -> str:
        """Say a kind of record at the beginning of a line."""
        word = kind_word(kind, self.locale)
        first = "İ" if self.locale == "tr" and word[0] == "i" else word[0].upper()
        return first + word[1:]


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of the add-on by a member."""

    installation: Installation
    signed: SignedIn
    call: AddonCall
    look: Look

    @property
    def conversation(self) -> str:
        """The public id of the conversation that a button names. Raises NotFound for what is no id."""
        found = uuid_of(self.call.parameters.get("c", ""))
        if not found:
            raise NotFound
        return found

    def field(self, name: str) -> str:
        """Return what stands in a field of the card; "" when nothing does."""
        return next(iter(self.call.inputs.get(name, ())), "").strip()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction in the member's team."""
        with self.installation.database.for_team(self.signed.team.id) as connection:
            yield connection

    def choice(self, conversation: str) -> str:
        """Return what a button of a card about a conversation carries: a choice that counts once."""
        return passes.choice(self.installation, self.signed.team.id, self.signed.member, conversation)

    def acting(self) -> Acting:
        """Return who acts, under the id of the choice that a button carried. Raises Conflict (choice_expired)."""
        carried = self.call.parameters.get("n", "")
        return passes.acting(self.installation, self.signed.team.id, self.signed.member, self.conversation, carried)


def look_of(installation: Installation, call: AddonCall, signed: SignedIn | None) -> Look:
    """Return how to speak to somebody: as the member chose, else as the vendor says, else as the team does."""
    preferences = signed.member.preferences if signed else None
    of_vendor = call.locale[:2].lower()
    of_team = signed.team.locale if signed else LOCALES[0]
    locale = (preferences.locale if preferences else "") or (of_vendor if of_vendor in LOCALES else of_team)
    zone = (preferences.time_zone if preferences else "") or call.time_zone
    return Look(Places(installation.settings.public_base_url), locale, _zone(zone))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of the database, or what is no name at all
        return ZoneInfo("UTC")
