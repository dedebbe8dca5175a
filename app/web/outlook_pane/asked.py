"""What every request of the pane is given: who asks, in which language, and what the form names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import sqlalchemy as sa
from flask import request

from app import passes
from app.acting import Acting
from app.errors import NotFound
from app.installation import Installation
from app.model import ITEM_KINDS, ItemKind, ItemRef
from app.ports import AddonCall
from app.signing_in import SignedIn
from app.store import crm
from app.web.member_page import uuid_of
from app.web.wording import LOCALES

PROVIDER = "graph"
LONGEST_FIELD = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the pane by a member."""

    installation: Installation
    signed: SignedIn
    person: AddonCall

    @property
    def conversation(self) -> str:
        """The public id of the conversation that the form names. Raises NotFound for what is no id."""
        found = uuid_of(field("c"))
        if not found:
            raise NotFound
        return found

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction in the member's team."""
        with self.installation.database.for_team(self.signed.team.id) as connection:
            yield connection

    def choice(self, about: str) -> str:
        """Return what a button about something carries: a choice that counts once."""
        return passes.choice(self.installation, self.signed.team.id, self.signed.member, about)

    def acting(self, about: str) -> Acting:
        """Return who acts, under the id of the choice that the button carried. Raises Conflict (choice_expired)."""
        return passes.acting(self.installation, self.signed.team.id, self.signed.member, about, field("n"))


def field(name: str) -> str:
    """Return what stands in a field of the form; "" when nothing does."""
    return request.form.get(name, "")[:LONGEST_FIELD].strip()


def item_ref(connection: sa.Connection) -> ItemRef:
    """Return the item that the form names. Raises NotFound (item_unknown) for what is none."""
    kind, _, external_id = field("item").partition("/")
    return crm.item_ref(connection, kind, external_id)


def item_kind() -> ItemKind:
    """Return the kind of item that the form names. Raises NotFound."""
    kind = field("kind")
    if kind not in ITEM_KINDS:
        raise NotFound
    return kind


def speaking(signed: SignedIn) -> SignedIn:
    """Have the pane speak as the member chose, else as Outlook does, else as the team does."""
    of_outlook = request.accept_languages.best_match(LOCALES)
    return replace(signed, team=replace(signed.team, locale=of_outlook)) if of_outlook else signed
