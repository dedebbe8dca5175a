"""What an add-on shows beside an open message: its conversation, why it stands as it does, and who takes part.

The message is looked for in the member's own mailbox. One that is not stored yet is asked for from the provider, with
what the add-on's call brought; of its headers only what is stored under the same fingerprint counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy as sa

from app import audience, creating, review, smart_bcc
from app.acting import NOBODYS, Acting, Seen, act_once, audit, owned_by, see, see_one
from app.audience import Preview
from app.creating import MadeItem
from app.errors import Conflict, NotFound
from app.explain import explain
from app.installation import Installation
from app.linking import headers
from app.linking.addresses import is_ours, match_key, normalize
from app.linking.message_ids import hash_of, normalize_id
from app.linking.suggest import Suggestion
from app.linking.visibility import Reader
from app.model import ItemKind, ItemRef, Link, Member, Message, Person, ProviderMessage
from app.ports import AddonCall, AddonConnector, CrmCapabilities
from app.signing_in import SignedIn
from app.smart_bcc import Addresses
from app.store import accounts, addons, conversations, crm, mirror, queue, teams

MOST_PEOPLE = 8
MOST_SUGGESTIONS = 3


@dataclass(frozen=True, slots=True)
class Counterpart:
    """Somebody who takes part and is not ours; `person` is who that is in the CRM, as far as the member may know."""

    address: str
    name: str
    person: Person | None


@dataclass(frozen=True, slots=True)
class Crm:
    """What can be done in the team's CRM; without one nothing can."""

    is_connected: bool = False
    is_in_trouble: bool = False  # it did not answer last time: what is shown may be old
    makes_persons: bool = False
    kinds: tuple[ItemKind, ...] = ()  # of items it can make
    missing: Mapping[str, str] = field(default_factory=dict)  # a sentence for what it cannot do


@dataclass(frozen=True, slots=True)
class Told:
    """A conversation as an add-on tells it."""

    seen: Seen
    told: Mapping[str, Any]  # what explain() says
    link: Link | None
    made_by: str  # the member who linked it by hand
    suggestions: tuple[Suggestion, ...]
    previews: Mapping[ItemRef, Preview]  # what linking to each would change (B7); of one that is linked, asked later


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known of an open message; without `told` it is in no conversation that the member may see."""

    told: Told | None
    people: tuple[Counterpart, ...]
    crm: Crm
    is_connected: bool  # the mailbox that is open is one of the member's accounts
    subject: str = ""  # of a message that is not stored
    internet_id: str = ""  # its Message-ID, which the doctor is asked by


def open_message(installation: Installation, signed: SignedIn, provider: str, call: AddonCall, locale: str) -> Beside:
    """Tell what is known of the message beside which an add-on is open. Raises the connector's ProviderError."""
    connector = installation.mail[provider]
    with installation.database.for_team(signed.team.id) as connection:
        own = Reader.of(signed.member, accounts.accounts(connection)).account_ids
        account_id = addons.account_of(connection, provider, call.user_id, own)
        stored = addons.conversation_of_copy(connection, account_id, call.message_id) if account_id else None
        if stored is not None:
            found = see(connection, signed.member, [stored]).get(stored)
            if found is not None:
                return _told(installation, connection, found, locale)
        if account_id is not None:
            queue.hint_accounts(connection, [account_id])  # it has just arrived, or a push was lost: read it now
    may_ask = isinstance(connector, AddonConnector) and not call.missing
    message = cast("AddonConnector", connector).read_open_message(call) if may_ask else None
    with installation.database.for_team(signed.team.id) as connection:
        return _not_stored(installation, connection, signed, message, locale, is_connected=account_id is not None)


@dataclass(frozen=True, slots=True)
class OpenItem:
    """What a page beside a message was told of it: claims, judged by what the member's own mailboxes hold."""

    message_id: str  # its Message-ID; "" for one that has none yet
    thread_id: str  # as the provider's API names it
    sender: str = ""
    sender_name: str = ""
    subject: str = ""


def open_item(
    installation: Installation, signed: SignedIn, provider: str, user_id: str, item: OpenItem, locale: str
) -> Beside:
    """Tell what is known of the message beside which a page of ours is framed; the provider is not asked."""
    with installation.database.for_team(signed.team.id) as connection:
        own = Reader.of(signed.member, accounts.accounts(connection)).account_ids
        stored = addons.conversation_of_named(connection, own, _hash_of(item.message_id), item.thread_id)
        found = see(connection, signed.member, [stored]).get(stored) if stored is not None else None
        if found is not None:
            return _told(installation, connection, found, locale)
        account_id = addons.account_of(connection, provider, user_id, own)
        if account_id is not None:
            queue.hint_accounts(connection, [account_id])  # it has just arrived, or a push was lost: read it now
        sender = normalize(item.sender) or ""
        named = {sender: item.sender_name} if sender and not is_ours(sender, accounts.ours(connection)) else {}
        people = _people(connection, signed.member, named)
        crm_here, message_id = crm_of(installation, connection), normalize_id(item.message_id) or ""
        return Beside(None, people, crm_here, account_id is not None, item.subject, message_id)


def own_conversations(connection: sa.Connection, member: Member, message_ids: Sequence[str]) -> list[int]:
    """Return the conversations of these messages that the member's own mailboxes hold, each once."""
    own = Reader.of(member, accounts.accounts(connection)).account_ids
    hashes = [_hash_of(each) for each in message_ids if normalize_id(each)]
    return addons.conversations_of_hashes(connection, own, hashes)


def conversation(
    installation: Installation, connection: sa.Connection, member: Member, public_id: str, locale: str
) -> Beside:
    """Tell one conversation by its id. Raises NotFound."""
    return _told(installation, connection, see_one(connection, member, public_id), locale)


def addresses(installation: Installation, connection: sa.Connection, member: Member, public_id: str = "") -> Addresses:
    """Return where a member may send copies of mail: for the item of a conversation, else for any.

    Raises NotFound, Conflict (not_linked, smart_bcc_off).
    """
    if not public_id:
        return smart_bcc.addresses(installation, connection, member, None)
    seen = see_one(connection, member, public_id)
    link = seen.conversation.primary_link
    if link is None:
        raise Conflict("not_linked")
    if not seen.sees_item:
        raise NotFound
    return smart_bcc.addresses(installation, connection, member, link.ref)


def previews(
    connection: sa.Connection, wanted: Collection[tuple[Seen, Collection[ItemRef]]]
) -> list[Mapping[ItemRef, Preview]]:
    """Return, for each conversation, what linking it to each of the items would change (B7).

    Nothing where one press does not link: of one that is linked the question before it is replaced says it.
    """
    asked = [(seen, () if seen.conversation.primary_link else refs) for seen, refs in wanted]
    return [*audience.previews(connection, asked)] if any(refs for _, refs in asked) else [{} for _ in asked]


def people_of(connection: sa.Connection, seen: Seen) -> tuple[Counterpart, ...]:
    """Return who else takes part in a conversation, as far as the member may know, and who they are in the CRM."""
    return _people(connection, seen.member, seen.counterparts)


# --- making what is missing in the CRM ---


def make_person(installation: Installation, acting: Acting, public_id: str, address: str, *, called: str = "") -> bool:
    """Make a counterpart of a conversation a person of the CRM; False when this choice was made before.

    It is called as the headers say, or as somebody chose. Raises NotFound, NotAllowed (not_owner), and what
    creating.create_person() does.
    """
    name = _chosen(installation, acting, public_id, "create_person", address)
    if name is None:
        return False
    creating.create_person(installation, acting, called or name or address, [address])
    return True


def make_item(
    installation: Installation, acting: Acting, public_id: str, kind: ItemKind, title: str, address: str
) -> MadeItem | None:
    """Make an item of a conversation, for a counterpart or nobody, and link it; None when this choice was made before.

    The counterpart becomes a person of the CRM where nobody has the address. Raises NotFound, NotAllowed (not_owner),
    and what creating.create_item() does.
    """
    name = _chosen(installation, acting, public_id, "create_item", address)
    if name is None:
        return None
    contact = None
    if address:
        with installation.database.for_team(acting.team_id) as connection:
            (known,) = _people(connection, acting.member, {address: name})
        contact = known.person or creating.create_person(installation, acting, name or address, [address])
    person = contact.ref.external_id if contact else None
    return creating.create_item(installation, acting, kind, title, person=person, conversation=public_id)


def _chosen(installation: Installation, acting: Acting, public_id: str, action: str, address: str) -> str | None:
    """Write down, before the CRM is asked, that somebody chose this; return the counterpart's name.

    None when it is written down already: asked twice, the CRM would make it twice.
    """
    with installation.database.for_team(acting.team_id) as connection:
        seen = owned_by(connection, acting, conversations.id_of(connection, public_id) or NOBODYS)
        named = {**seen.counterparts, "": ""}
        if address not in named:
            raise NotFound
        is_new = act_once(connection, acting, lambda: audit(connection, acting, action, seen.conversation, {}))
    return named[address] if is_new else None


# --- inside ---


def _hash_of(message_id: str) -> bytes:
    """Return what a Message-ID is stored under; of one that names nothing, what nothing is."""
    known_as = normalize_id(message_id)
    return hash_of(known_as) if known_as else b""


def _told(installation: Installation, connection: sa.Connection, seen: Seen, locale: str) -> Beside:
    suggested = review.suggestions(connection, seen) if seen.may_link else ()
    link = seen.conversation.primary_link
    maker = teams.member_by_id(connection, link.made_by) if link and link.made_by and link.origin == "manual" else None
    suggested = tuple(each for each in suggested if link is None or each.ref != link.ref)[:MOST_SUGGESTIONS]
    told = Told(
        seen=seen,
        told=explain(connection, seen, locale),
        link=link,
        made_by=maker.name if maker else "",
        suggestions=suggested,
        previews=previews(connection, [(seen, [each.ref for each in suggested])])[0],
    )
    return Beside(told, people_of(connection, seen), crm_of(installation, connection), is_connected=True)


def _not_stored(
    installation: Installation,
    connection: sa.Connection,
    signed: SignedIn,
    delivered: ProviderMessage | None,
    locale: str,
    *,
    is_connected: bool,
) -> Beside:
    """Tell what the headers of a message say that no mailbox of the member's brought."""
    if delivered is None:
        return Beside(None, (), crm_of(installation, connection), is_connected)
    ours = accounts.ours(connection)
    message = headers.read(delivered, account_id=NOBODYS, ours=ours, authserv_id=None)
    same = addons.conversations_of_message(connection, message.mid_hash, message.fingerprint)
    seen = see(connection, signed.member, same) if same else {}
    if seen:
        return _told(installation, connection, next(iter(seen.values())), locale)
    named = {
        person.address: person.name
        for person in _authors_first(message)
        if person.role != "reply_to" and not is_ours(person.address, ours)
    }
    people = _people(connection, signed.member, named)
    crm_here = crm_of(installation, connection)
    return Beside(None, people, crm_here, is_connected, message.subject, message.internet_id)


def _authors_first(message: Message) -> list[Any]:
    return sorted(message.participants, key=lambda person: person.role not in ("from", "sender"))


def _people(connection: sa.Connection, member: Member, named: Mapping[str, str]) -> tuple[Counterpart, ...]:
    """Return who these are in the CRM, at most MOST_PEOPLE."""
    shown = list(named)[:MOST_PEOPLE]
    keys = {address: match_key(address) for address in shown}
    known: dict[str, Person] = {}
    found = mirror.persons_by_addresses(connection, shown, list(keys.values()))
    for person in mirror.as_shown(connection, member, found):
        for address in person.addresses:
            known.setdefault(match_key(address), person)
    return tuple(Counterpart(address, named[address], known.get(keys[address])) for address in shown)


def crm_of(installation: Installation, connection: sa.Connection) -> Crm:
    """Return what can be made in the team's CRM, which is not asked."""
    rows = [row for row in crm.connections(connection) if row.state != "disconnected"]
    if not rows:
        return Crm()
    can: CrmCapabilities = installation.open_crm(installation.crm_connection(rows[-1])).capabilities
    kinds: tuple[ItemKind, ...] = ("deal", "lead", "project")
    return Crm(
        is_connected=True,
        is_in_trouble=rows[-1].state == "trouble",
        makes_persons=can.create_person,
        kinds=tuple(kind for kind in kinds if can.create_item and kind in can.kinds),
        missing=can.missing,
    )
