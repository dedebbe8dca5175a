"""What follows mail that was sent to a Smart BCC address, besides what follows any mail.

An item's address links to that item; with a policy that says so, who is not in the CRM becomes a person there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from app import crm_calls, links, mirror, offers
from app.acting import NOBODYS, Acting, Seen, lock_and_see
from app.deciding import record_only, surroundings
from app.errors import Conflict, CrmRests, ProviderError
from app.installation import Installation
from app.linking.addresses import is_blocked, is_ours, match_key, read_list
from app.model import Account, ItemRef, Origin, ProviderMessage
from app.ports import CrmChanges, CrmConnection
from app.store import conversations, teams
from app.store import links as link_rows
from app.store import mirror as rows

CHOSEN: Origin = "smart_bcc"
_Creates = Literal["nobody", "recipients", "everybody"]


def link(connection: sa.Connection, account: Account, messages: Sequence[ProviderMessage], now: datetime) -> None:
    """Link the conversations of mail to an item's address, as the choice of the account's owner.

    It replaces an automatic link, and leaves one that a person made. What the owner could not link by hand stays as it
    is.
    """
    items = {message.provider_id: message.item for message in messages if message.item is not None}
    member = teams.member_by_id(connection, account.owner_id) if items and account.owner_id is not None else None
    if member is None:
        return
    acting = Acting(account.team_id, member, now)
    placed = conversations.of_copies(connection, account.id, items)
    seen = lock_and_see(connection, acting, placed.values())
    known = rows.items(connection, set(items.values()))
    hidden = rows.hidden(connection, member, known.keys())
    wanted: dict[int, ItemRef] = {}  # the first of several items keeps the conversation
    for provider_id, ref in items.items():
        if ref in known and ref not in hidden and known[ref].state != "deleted":
            wanted.setdefault(placed.get(provider_id, NOBODYS), ref)
    for ref in dict.fromkeys(wanted.values()):
        meant = [seen[key] for key, each in wanted.items() if each == ref and key in seen and _may_link(seen[key])]
        links.link_all(connection, acting, _freed(connection, acting, meant, ref), known[ref], move=True, origin=CHOSEN)
    record_only(connection, account.team_id, conversations.load(connection, wanted.keys()), now)


def _may_link(seen: Seen) -> bool:
    primary = seen.conversation.primary_link
    return seen.owns and (primary is None or primary.origin not in ("manual", CHOSEN))


def _freed(connection: sa.Connection, acting: Acting, asked: Sequence[Seen], ref: ItemRef) -> list[Seen]:
    """End automatic links to the very item, without a tombstone: from now on a person wants them."""
    same = {each.conversation.id: p.id for each in asked if (p := each.conversation.primary_link) and p.ref == ref}
    by, batch = acting.member.id, acting.batch_id
    link_rows.remove(connection, list(same.values()), why="replaced", at=acting.now, by=by, batch_id=batch)
    return [
        replace(each, conversation=replace(each.conversation, links=())) if each.conversation.id in same else each
        for each in asked
    ]


def create_persons(
    installation: Installation, account: Account, crms: Sequence[CrmConnection], messages: Sequence[ProviderMessage]
) -> None:
    """Make persons of those whom nobody in the CRM is known by, as far as the policy says; before they are decided on.

    The CRM is asked first, so that nobody is made twice. A CRM that does not answer holds up no mail.
    """
    with installation.database.for_team(account.team_id) as connection:
        around = surroundings(connection)
        named = dict(_named(messages, around.policy.smart_bcc_creates))
        wanted = {
            address: name
            for address, name in named.items()
            if not is_ours(address, around.ours) and not is_blocked(address, around.policy.blocklist)
        }
        keys = {match_key(address): address for address in wanted}
        known = rows.persons_by_addresses(connection, sorted(wanted), sorted(keys))
    for each in {match_key(address) for person in known for address in person.addresses} & keys.keys():
        del wanted[keys[each]]
    if not 0 < len(wanted) <= around.policy.max_counterparts:
        return
    for crm in crms:
        if not installation.open_crm(crm).capabilities.create_person:
            continue
        try:
            _create(installation, crm, wanted)
        except (ProviderError, Conflict, CrmRests):
            continue  # the mail is decided on what there is; crm_calls remembers what went wrong
        return


def _create(installation: Installation, crm: CrmConnection, wanted: dict[str, str]) -> None:
    follow = offers.following(installation, crm.team_id)
    with crm_calls.calling(installation, crm) as adapter:
        mirror.look_up(installation.database, adapter, crm, installation.clock, sorted(wanted), follow=follow)
        with installation.database.for_team(crm.team_id) as connection:
            found = rows.persons_by_addresses(connection, sorted(wanted), [match_key(each) for each in wanted])
        there = {address for person in found for address in person.addresses}
        for address, name in sorted(wanted.items()):
            if address in there:
                continue
            made = adapter.create_person(name or address.partition("@")[0], [address])
            with installation.database.for_team(crm.team_id) as connection:
                mirror.add(connection, crm, CrmChanges("", persons=(made,)), follow=follow)


def _named(messages: Sequence[ProviderMessage], creates: _Creates) -> Iterator[tuple[str, str]]:
    """Yield (address, name) of those whom the policy makes persons of: never who only wrote to us unasked."""
    for message in messages:
        if creates != "nobody" and message.folder == "sent" and not message.namespace:
            yield from _people(message, ("to", "cc"))
        if creates == "everybody":
            for original in message.quoted:
                yield from _people(original, ("from",))


def _people(message: ProviderMessage, roles: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, value in message.headers:
        if name.lower() in roles:
            yield from ((address, written) for written, address in read_list(value).mailboxes)
