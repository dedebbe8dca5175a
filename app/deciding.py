"""Reads what decide() sees, decides, and stores the decision with what follows from it, for many conversations at once.

A fixed number of queries, however many conversations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app import links
from app.linking.addresses import match_key
from app.linking.decide import decide, digest
from app.model import (
    Account,
    Conversation,
    Decision,
    DecisionInput,
    Item,
    ItemRef,
    Ours,
    Person,
    Policy,
    RememberedChoice,
)
from app.store import accounts, decisions, mirror, teams
from app.store import links as link_rows


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a team's decisions have in common."""

    accounts: tuple[Account, ...]
    ours: Ours
    policy: Policy


def surroundings(connection: sa.Connection) -> Surroundings:
    """Read the team's accounts, addresses and policy."""
    team = teams.team(connection)
    return Surroundings(
        tuple(accounts.accounts(connection)), accounts.ours(connection), policy_of(team.policy if team else {})
    )


def policy_of(stored: Mapping[str, object]) -> Policy:
    """Make the policy from a team's stored choices; what it does not name keeps its default."""
    known = {name: value for name, value in stored.items() if name in Policy.__dataclass_fields__}
    if "blocklist" in known:
        known["blocklist"] = frozenset(map(str, known["blocklist"]))  # type: ignore[call-overload]  # a JSON list
    return Policy(**known)  # type: ignore[arg-type]  # the same fields, checked when they were stored


def inputs(
    connection: sa.Connection, conversations: Sequence[Conversation], around: Surroundings
) -> list[DecisionInput]:
    """Read the persons, items and remembered choices that decide() needs for these conversations."""
    addresses = {
        conversation.id: {
            participant.address
            for message in conversation.messages
            for participant in (*message.participants, *(p for copy in message.copies for p in copy.bcc))
        }
        for conversation in conversations
    }
    everybody = set().union(*addresses.values()) - around.ours.addresses
    persons = mirror.persons_by_addresses(connection, sorted(everybody), sorted({match_key(a) for a in everybody}))
    items = mirror.items_of_persons(connection, [person.ref for person in persons])
    digests = {conversation.id: links.counterparts_digest(conversation, around.ours) for conversation in conversations}
    remembered = link_rows.remembered(connection, {found for found in digests.values() if found})
    by_key = _by_match_key(persons)
    by_person = _by_person(items)
    return [
        _input(
            conversation,
            addresses[conversation.id],
            around,
            by_key,
            by_person,
            remembered.get(digests[conversation.id] or b"", ()),
        )
        for conversation in conversations
    ]


def decide_all(
    connection: sa.Connection,
    team_id: int,
    conversations: Sequence[Conversation],
    around: Surroundings,
    now: datetime,
    *,
    act: bool = True,
) -> dict[int, Decision]:
    """Decide on the conversations and store the decisions; unless `act` is False, relate, link and ask for notes."""
    if not conversations:
        return {}
    decided = [(given, decide(given)) for given in inputs(connection, conversations, around)]
    stored = decisions.record(
        connection, team_id, [(given.conversation.id, digest(given), decision) for given, decision in decided], now
    )
    if act:
        links.apply_decisions(
            connection,
            team_id,
            [(given.conversation, decision, stored[given.conversation.id]) for given, decision in decided],
            {p.ref: p.name for given, _ in decided for p in given.persons},
            {p.organization: p.organization_name for given, _ in decided for p in given.persons if p.organization},
            now,
        )
    return {given.conversation.id: decision for given, decision in decided}


def _input(
    conversation: Conversation,
    addresses: set[str],
    around: Surroundings,
    by_key: Mapping[str, Mapping[ItemRef, Person]],
    by_person: Mapping[ItemRef, Mapping[ItemRef, Item]],
    remembered: tuple[RememberedChoice, ...],
) -> DecisionInput:
    holders = {copy.account_id for message in conversation.messages for copy in message.copies}
    persons: dict[ItemRef, Person] = {}
    for address in addresses:
        persons |= by_key.get(match_key(address), {})
    items: dict[ItemRef, Item] = {}
    for ref in persons:
        items |= by_person.get(ref, {})
    return DecisionInput(
        conversation=conversation,
        accounts=tuple(account for account in around.accounts if account.id in holders),
        ours=around.ours,
        persons=tuple(sorted(persons.values(), key=lambda person: str(person.ref))),
        items=tuple(sorted(items.values(), key=lambda item: str(item.ref))),
        policy=around.policy,
        remembered=remembered,
    )


def _by_match_key(persons: Sequence[Person]) -> dict[str, dict[ItemRef, Person]]:
    found: dict[str, dict[ItemRef, Person]] = {}
    for person in persons:
        for address in person.addresses:
            found.setdefault(match_key(address), {})[person.ref] = person
    return found


def _by_person(items: Sequence[Item]) -> dict[ItemRef, dict[ItemRef, Item]]:
    found: dict[ItemRef, dict[ItemRef, Item]] = {}
    for item in items:
        for ref in (*([item.person] if item.person else []), *item.participants):
            found.setdefault(ref, {})[item.ref] = item
    return found
