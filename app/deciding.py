"""Reads what decide() sees, decides, and stores the decision with what follows from it, for many conversations at once.

A fixed number of queries, however many conversations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.linking.addresses import is_ours, match_key
from app.linking.decide import decide, digest
from app.model import (
    ITEM_KINDS,
    Account,
    Conversation,
    Decision,
    DecisionInput,
    Item,
    ItemRef,
    Origin,
    Ours,
    Person,
    Policy,
)
from app.store import accounts, crm, decisions, inbox, mirror, queue, teams
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
    linked = mirror.items(connection, {c.primary_link.ref for c in conversations if c.primary_link})
    digests = {conversation.id: counterparts_digest(conversation, around.ours) for conversation in conversations}
    remembered = link_rows.remembered(connection, {found for found in digests.values() if found})
    by_key = _by_match_key(persons)
    by_person = _by_person(items)
    given = []
    for conversation in conversations:
        matching = _matching(addresses[conversation.id], by_key)
        looked_at = {ref: item for person in matching for ref, item in by_person.get(person.ref, {}).items()}
        primary = conversation.primary_link
        if primary is not None and primary.ref in linked:  # its people may take part no longer (S12)
            looked_at[primary.ref] = linked[primary.ref]
        holders = {copy.account_id for message in conversation.messages for copy in message.copies}
        given.append(
            DecisionInput(
                conversation=conversation,
                accounts=tuple(account for account in around.accounts if account.id in holders),
                ours=around.ours,
                persons=matching,
                items=tuple(sorted(looked_at.values(), key=lambda item: str(item.ref))),
                policy=around.policy,
                remembered=remembered.get(digests[conversation.id] or b"", ()),
            )
        )
    return given


def decide_all(
    connection: sa.Connection,
    team_id: int,
    conversations: Sequence[Conversation],
    around: Surroundings,
    now: datetime,
    *,
    only_copies: Collection[int] = (),
) -> None:
    """Decide on the conversations, store the decisions, relate and link, and ask for the notes of linked ones.

    `only_copies` are conversations that got a further copy of a message they had: where the answer is that the link
    stays, the decision that made it stays the current one, so that the order of two mailboxes makes no difference.
    """
    if not conversations:
        return
    decided = [(given, decide(given)) for given in inputs(connection, conversations, around)]
    before = decisions.current(connection, sorted(only_copies))
    stays = {
        given.conversation.id: before[given.conversation.id].id
        for given, decision in decided
        if decision.outcome == "keep"
        and given.conversation.id in before
        and before[given.conversation.id].decision.outcome == "link"
    }
    stored = decisions.record(
        connection,
        team_id,
        [(g.conversation.id, digest(g), decision) for g, decision in decided if g.conversation.id not in stays],
        now,
    )
    apply_decisions(
        connection,
        team_id,
        [(g.conversation, decision, (stays | stored)[g.conversation.id]) for g, decision in decided],
        *names_of([given for given, _ in decided]),
        now,
    )
    inbox.refresh(connection, [conversation.id for conversation in conversations])


def names_of(given: Collection[DecisionInput]) -> tuple[dict[ItemRef, str], dict[ItemRef, str]]:
    """Return what the organizations and the persons of these inputs are called."""
    persons = {person for each in given for person in each.persons}
    organizations = {person.organization: person.organization_name for person in persons if person.organization}
    return organizations, {person.ref: person.name for person in persons}


def record_only(connection: sa.Connection, team_id: int, conversations: Sequence[Conversation], now: datetime) -> None:
    """Store how conversations stand now without acting on it: after a person changed something."""
    stand = inputs(connection, conversations, surroundings(connection))
    decisions.record(connection, team_id, [(each.conversation.id, digest(each), decide(each)) for each in stand], now)
    inbox.refresh(connection, [each.conversation.id for each in stand])


def apply_decisions(
    connection: sa.Connection,
    team_id: int,
    decided: Sequence[tuple[Conversation, Decision, int]],
    organizations: Mapping[ItemRef, str],
    persons: Mapping[ItemRef, str],
    now: datetime,
    *,
    origin: Origin = "automatic",
    made_by: int | None = None,
    batch_id: str | None = None,
) -> None:
    """Relate the people, link what was decided, and ask for the notes of linked conversations to be looked at.

    Who had the rules run over earlier mail is named by `made_by`, and what that did is taken back by `batch_id`.
    """
    new: list[link_rows.NewLink] = []
    notes: set[tuple[int, ItemRef]] = set()
    for conversation, decision, decision_id in decided:
        there = {link.ref for link in conversation.links}
        for ref in (*decision.persons, *decision.organizations):
            if ref not in there:
                title = persons.get(ref) or organizations.get(ref) or ""
                new.append(
                    link_rows.NewLink(conversation.id, ref, title, False, "automatic", now, decision_id=decision_id)
                )
        if decision.outcome == "link" and decision.item is not None:
            new.append(
                link_rows.NewLink(
                    conversation.id,
                    decision.item,
                    decision.item_title,
                    True,
                    origin,
                    now,
                    made_by=made_by,
                    decision_id=decision_id,
                    batch_id=batch_id,
                )
            )
            notes.add((conversation.id, decision.item))
        elif conversation.primary_link is not None:
            notes.add((conversation.id, conversation.primary_link.ref))
    link_rows.add(connection, team_id, new, refresh=False)
    want_notes(connection, team_id, notes)


def want_notes(connection: sa.Connection, team_id: int, wanted: Collection[tuple[int, ItemRef]]) -> None:
    """Ask for these notes to be looked at, and enqueue the job for each in the same transaction."""
    primary = {(conversation_id, ref) for conversation_id, ref in wanted if ref.kind in ITEM_KINDS}
    write_ids = crm.want_notes(connection, team_id, primary)
    queue.defer(connection, "crm_write", [crm.job(team_id, write_id) for write_id in write_ids])


def counterparts_digest(conversation: Conversation, ours: Ours) -> bytes | None:
    """Return what a choice is remembered by (T5): the conversation's counterparts; None when it has none."""
    people = {
        participant.address
        for message in conversation.messages
        for participant in (*message.participants, *(bcc for copy in message.copies for bcc in copy.bcc))
        if participant.role != "reply_to" and not is_ours(participant.address, ours)
    }
    return hashlib.sha256("\n".join(sorted(people)).encode()).digest() if people else None


def _matching(addresses: set[str], by_key: Mapping[str, Mapping[ItemRef, Person]]) -> tuple[Person, ...]:
    found: dict[ItemRef, Person] = {}
    for address in addresses:
        found |= by_key.get(match_key(address), {})
    return tuple(sorted(found.values(), key=lambda person: str(person.ref)))


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
