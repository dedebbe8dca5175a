"""Creating persons and items in a team's CRM for a member, and linking a conversation to what was made.

The CRM is asked while no transaction is open. What may be refused is refused before it is asked, so that nothing is
left behind there; what it made is mirrored at once, with the link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import sqlalchemy as sa

from app import links, mirror, offers
from app.accounts import audit
from app.acting import NOBODYS, Acting, owned_by
from app.crm_calls import calling
from app.errors import (
    Conflict,
    CrmNotReached,
    CrmRests,
    NotFound,
    PermanentError,
    RateLimited,
    RequestRefused,
    TransientError,
    Unsupported,
)
from app.installation import Installation
from app.linking.addresses import match_key
from app.model import Item, ItemKind, ItemRef, Person
from app.ports import CrmAdapter, CrmChanges, CrmConnection
from app.store import conversations
from app.store import mirror as rows

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class MadeItem:
    """An item that is in the CRM now; `not_linked` says why its conversation is not linked to it after all."""

    item: Item
    is_linked: bool = False
    not_linked: str | None = None


def create_person(
    installation: Installation,
    acting: Acting,
    name: str,
    addresses: Sequence[str],
    organization: str | None = None,
) -> Person:
    """Create a person with these addresses, which are in their normal form.

    Raises NotFound (record_unknown), Conflict (person_exists, crm_refused), Unsupported, CrmNotReached.
    """
    crm = _crm(installation, acting.team_id)
    _refuse_incapable(installation.open_crm(crm), "create_person")
    with installation.database.for_team(acting.team_id) as connection:
        reader = rows.audience(connection, acting.member)
        for person in rows.persons_by_addresses(connection, addresses, [match_key(each) for each in addresses]):
            if reader.sees(person):  # of one that the CRM hides nothing is told
                known = next((each for each in person.addresses if each in addresses), addresses[0])
                raise Conflict("person_exists", address=known, person=person.name)
        employer = _shown(connection, reader, crm, "organization", organization)
    made = _ask(installation, crm, lambda adapter: adapter.create_person(name, addresses, employer))
    with installation.database.for_team(acting.team_id) as connection:
        _keep(installation, connection, acting, crm, CrmChanges("", persons=(made,)), made.ref)
    return made


def create_item(
    installation: Installation,
    acting: Acting,
    kind: ItemKind,
    title: str,
    *,
    person: str | None = None,
    organization: str | None = None,
    conversation: str | None = None,
) -> MadeItem:
    """Create an open item, and link a conversation to it where one is named by its public id.

    Raises NotFound (not_found, record_unknown), NotAllowed (not_owner), Conflict (already_linked, crm_refused),
    Unsupported, CrmNotReached.
    """
    crm = _crm(installation, acting.team_id)
    _refuse_incapable(installation.open_crm(crm), "create_item", kind)
    with installation.database.for_team(acting.team_id) as connection:
        reader = rows.audience(connection, acting.member)
        contact = _shown(connection, reader, crm, "person", person)
        company = _shown(connection, reader, crm, "organization", organization)
        conversation_id = None
        if conversation is not None:
            conversation_id = conversations.id_of(connection, conversation) or NOBODYS
            primary = owned_by(connection, acting, conversation_id).conversation.primary_link
            if primary is not None:
                raise Conflict("already_linked", item=primary.title, kind=primary.ref.kind)
    made = _ask(installation, crm, lambda adapter: adapter.create_item(kind, title, contact, company))
    with installation.database.for_team(acting.team_id) as connection:
        _keep(installation, connection, acting, crm, CrmChanges("", items=(made,)), made.ref)
        if conversation_id is None:
            return MadeItem(made)
        try:
            links.link(connection, acting, conversation_id, made.ref)
        except RequestRefused as refusal:  # somebody was quicker, or the CRM hides from the member what it just made
            return MadeItem(made, not_linked=refusal.reason)
    return MadeItem(made, is_linked=True)


def _crm(installation: Installation, team_id: int) -> CrmConnection:
    """Return the CRM that records are made in: the connected one that came last."""
    connected = installation.crm_connections(team_id)
    if not connected:
        raise Conflict("not_supported")
    return connected[-1]


def _refuse_incapable(
    adapter: CrmAdapter, capability: Literal["create_person", "create_item"], kind: ItemKind | None = None
) -> None:
    able, missing = adapter.capabilities, adapter.capabilities.missing
    if not getattr(able, capability):
        raise Unsupported(missing[capability], operation=capability)
    if kind is not None and kind not in able.kinds:
        told = missing.get(f"{kind}s")
        raise Unsupported(told, operation=capability) if told else Conflict("not_supported")


def _shown(
    connection: sa.Connection,
    reader: rows.Audience,
    crm: CrmConnection,
    kind: Literal["person", "organization"],
    external_id: str | None,
) -> ItemRef | None:
    if external_id is None:
        return None
    ref = ItemRef(kind, external_id, crm.id)
    if not rows.is_shown(connection, reader, ref):
        raise NotFound("record_unknown")
    return ref


def _ask(installation: Installation, crm: CrmConnection, make: Callable[[CrmAdapter], _Made]) -> _Made:
    try:
        with calling(installation, crm) as adapter:
            return make(adapter)
    except CrmRests as rests:
        raise CrmNotReached(is_open=False, retry_after_s=rests.wait_s) from rests
    except TransientError as error:
        is_open = not isinstance(error, RateLimited)
        raise CrmNotReached(is_open=is_open, retry_after_s=error.retry_after_s) from error
    except Unsupported:
        raise
    except PermanentError as error:
        raise Conflict("crm_refused") from error


def _keep(
    installation: Installation,
    connection: sa.Connection,
    acting: Acting,
    crm: CrmConnection,
    made: CrmChanges,
    ref: ItemRef,
) -> None:
    """Mirror what was made, with the offers that follow from it, and write who had it made."""
    mirror.add(connection, crm, made, follow=offers.following(installation, acting.team_id))
    detail: dict[str, Any] = {"record": str(ref)}
    audit(connection, acting.team_id, acting.member.id, "create_record", detail, acting.now)
