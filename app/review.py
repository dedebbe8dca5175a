"""The review queue: what needs a choice, what may be suggested for it, and taking the first suggestion."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from app import deciding, links
from app.acting import may_name
from app.errors import Conflict, NotFound
from app.linking.addresses import match_key, untagged
from app.linking.authenticity import message_verdict
from app.linking.decide import decide
from app.linking.reasons import sentence, utc
from app.linking.suggest import SuggestInput, Suggestion, suggest
from app.linking.visibility import Reader
from app.links import Acting, Seen, see
from app.model import Decision, DecisionInput, Item, ItemRef, Member, Person
from app.store import accounts as account_rows
from app.store import decisions, mirror, mirror_records
from app.store.inbox import Neighbours

MOST_CHOICES = 100


@dataclass(frozen=True, slots=True)
class Choice:
    """A conversation that waits for a choice, why, and what to choose from, best first."""

    seen: Seen
    decision: Decision
    suggestions: tuple[Suggestion, ...]
    may_name: bool  # people and items, in the sentence

    @property
    def reason(self) -> str:
        """The code of what has to be looked at."""
        return str(self.decision.params.get("review", self.decision.reason))


def choices(connection: sa.Connection, member: Member) -> list[Choice]:
    """Return what the member may link and what needs a choice, newest mail first, at most MOST_CHOICES.

    What several items fit, and what is linked to an item that closed while another one is open, or to a lead that is
    younger than its conversation.
    """
    reader = Reader.of(member, account_rows.accounts(connection))
    waiting = decisions.undecided(connection, None if reader.is_admin else reader.account_ids, MOST_CHOICES)
    seen = {key: each for key, each in see(connection, member, waiting).items() if each.may_link}
    dismissed = links.dismissed(
        connection, [each.conversation for each in seen.values() if each.conversation.dismissed]
    )
    shown = [seen[each] for each in waiting if each in seen and each not in dismissed]
    decided = decisions.current(connection, [each.conversation.id for each in shown])
    found = suggestions_of(connection, shown)
    told = [
        (each, decided[each.conversation.id].decision)
        for each in shown
        if each.conversation.id in decided and found[each.conversation.id]
    ]
    named = may_name(connection, member, told)
    return [
        Choice(each, decision, found[each.conversation.id], each.conversation.id in named) for each, decision in told
    ]


@dataclass(frozen=True, slots=True)
class Group:
    """Conversations with the same people that wait for the same choice: one answer settles them all."""

    people: tuple[str, ...]  # as far as the reader may know
    choices: tuple[Choice, ...]  # newest mail first
    suggestions: tuple[Suggestion, ...]  # those that every one of them has, as the newest ranks them

    @property
    def id(self) -> str:
        """What the page knows the group by: its newest conversation."""
        return self.choices[0].seen.conversation.public_id

    @property
    def is_linked(self) -> bool:
        """Whether they are linked, to an item that they should leave."""
        return self.choices[0].seen.conversation.primary_link is not None


def groups(connection: sa.Connection, member: Member) -> list[Group]:
    """Return the choices a person at a time, the group with the newest mail first.

    Those that share no suggestion, or are linked to different items, wait apart.
    """
    together: dict[object, list[Choice]] = {}
    for choice in choices(connection, member):
        conversation = choice.seen.conversation
        linked = conversation.primary_link.ref if conversation.primary_link else None
        key = (_people_of(choice.seen), linked, choice.reason)
        together.setdefault(key, []).append(choice)
    names = _names(connection, member, [choice.seen for members in together.values() for choice in members])
    found = []
    for members in together.values():
        shared = _shared(members)
        if shared:
            found.append(Group(names[members[0].seen.conversation.id], tuple(members), shared))
        else:
            found += [Group(names[each.seen.conversation.id], (each,), each.suggestions) for each in members]
    return found


def marks(shown: Sequence[Group]) -> dict[int, str]:
    """Return for each conversation what changes when there is something else to choose from, in whatever order."""
    found = {}
    for choice in (choice for group in shown for choice in group.choices):
        key = choice.seen.conversation.id
        told = (key, sorted((str(each.ref), each.state) for each in choice.suggestions))
        found[key] = hashlib.sha256(repr(told).encode()).hexdigest()[:8]
    return found


def neighbours(connection: sa.Connection, seen: Seen) -> Neighbours:
    """Return what stands next to a conversation in the queue; one that was settled keeps its place."""
    shown = groups(connection, seen.member)
    order = [choice.seen.conversation.public_id for group in shown for choice in group.choices]
    return Neighbours.of(order, seen.conversation.public_id, _place_of(seen, shown))


def _place_of(seen: Seen, shown: Sequence[Group]) -> int:
    """Return where a conversation that was settled would stand: among its people's, else by its newest mail."""

    def is_newer(choice: Choice) -> bool:
        return choice.seen.known[-1].at > seen.known[-1].at

    place = older = 0
    for group in shown:
        if _people_of(group.choices[0].seen) == _people_of(seen):
            return place + sum(is_newer(choice) for choice in group.choices)
        place += len(group.choices)
        older = place if is_newer(group.choices[0]) else older
    return older


def _people_of(seen: Seen) -> frozenset[object]:
    """Return the persons of a conversation; of one without, who takes part."""
    persons = frozenset(link.ref for link in seen.conversation.links if link.ref.kind == "person")
    return persons or frozenset(seen.counterparts)


def _shared(members: Sequence[Choice]) -> tuple[Suggestion, ...]:
    everywhere = set.intersection(*({each.ref for each in choice.suggestions} for choice in members))
    return tuple(each for each in members[0].suggestions if each.ref in everywhere)


def _names(connection: sa.Connection, member: Member, asked: Sequence[Seen]) -> dict[int, tuple[str, ...]]:
    """Return what to call the people of each conversation: as the CRM does, where it shows them to the member (C13)."""
    persons = {
        seen.conversation.id: [link.ref for link in seen.conversation.links if link.ref.kind == "person"]
        for seen in asked
    }
    known = mirror_records.records(connection, {ref for refs in persons.values() for ref in refs})
    audience = mirror.audience(connection, member)
    shown = {ref: r.title for ref, r in known.items() if r.title and audience.is_in(ref.connection_id, r.visible_to)}
    return {
        seen.conversation.id: tuple(shown[ref] for ref in persons[seen.conversation.id] if ref in shown)
        or tuple(name or address for address, name in seen.counterparts.items())
        for seen in asked
    }


def document(choice: Choice, locale: str) -> dict[str, Any]:
    """Return a choice as programs read it; names and addresses only for who may know them all."""
    conversation = choice.seen.conversation
    return {
        "id": conversation.public_id,
        "subject": choice.seen.subject,
        "last_message_at": utc(choice.seen.known[-1].at),
        "reason": choice.reason,
        "sentence": sentence(choice.reason, choice.decision.params if choice.may_name else {}, locale),
        "suggestions": [suggestion_document(each, locale) for each in choice.suggestions],
    }


def suggestion_document(suggestion: Suggestion, locale: str) -> dict[str, Any]:
    """Return a suggestion as programs read it."""
    return {
        "kind": suggestion.ref.kind,
        "id": suggestion.ref.external_id,
        "title": suggestion.title,
        "state": suggestion.state,
        "evidence": [sentence(evidence.code, evidence.params, locale) for evidence in suggestion.evidence],
    }


def suggestions(connection: sa.Connection, seen: Seen) -> tuple[Suggestion, ...]:
    """Rank the items to link a conversation to, best first, each with its evidence."""
    return suggestions_of(connection, [seen])[seen.conversation.id]


def suggestions_of(connection: sa.Connection, asked: Sequence[Seen]) -> dict[int, tuple[Suggestion, ...]]:
    """Rank the items for each of the conversations, which one member sees, with as many queries as for one."""
    if not asked:
        return {}
    by_id = {seen.conversation.id: seen for seen in asked}
    given = deciding.inputs(connection, [seen.conversation for seen in asked], deciding.surroundings(connection))
    persons = {each.conversation.id: _related(each) for each in given}
    similar = _similar(connection, asked)
    of_similar = mirror.items_of_persons(connection, {person.ref for each in similar.values() for person in each})
    organizations = {person.organization for found in persons.values() for person in found if person.organization}
    of_organization: dict[ItemRef, list[Item]] = defaultdict(list)
    for item in mirror.items_of_organizations(connection, organizations):
        if item.organization is not None:
            of_organization[item.organization].append(item)
    known = [item for each in given for item in each.items]
    known += [item for items in (of_similar, *of_organization.values()) for item in items]
    people = {person for each in given for person in each.persons} | {p for each in similar.values() for p in each}
    hidden = mirror.hidden(connection, asked[0].member, {item.ref for item in known} | mirror.refs_of(people))
    ranked = {}
    for each in given:
        seen = by_id[each.conversation.id]
        theirs = {person.organization for person in persons[seen.conversation.id] if person.organization}
        items = {item.ref: item for item in each.items}
        items |= {item.ref: item for organization in theirs for item in of_organization[organization]}
        alike = {person.ref for person in similar[seen.conversation.id]}
        items |= {item.ref: item for item in of_similar if alike & {item.person, *item.participants}}
        ranked[seen.conversation.id] = suggest(
            SuggestInput(
                subject=seen.subject or "",
                items=tuple(item for item in items.values() if item.ref not in hidden),
                persons=_unnamed(persons[seen.conversation.id], hidden),
                reply_to=_unnamed(_answered(seen, each), hidden),
                similar=tuple(p for p in similar[seen.conversation.id] if p.ref not in hidden),
                remembered=each.remembered,
                tombstones=seen.conversation.tombstones,
            )
        )
    return ranked


def _related(given: DecisionInput) -> tuple[Person, ...]:
    related = set(decide(given).persons)
    return tuple(person for person in given.persons if person.ref in related)


def _unnamed(persons: Iterable[Person], hidden: Collection[ItemRef]) -> tuple[Person, ...]:
    """Return persons without the names that the CRM hides: they still say which item it is (C13)."""
    return tuple(
        replace(
            person,
            name="" if person.ref in hidden else person.name,
            addresses=() if person.ref in hidden else person.addresses,
            organization_name="" if person.organization in hidden else person.organization_name,
        )
        for person in persons
    )


def _answered(seen: Seen, given: DecisionInput) -> tuple[Person, ...]:
    """Return the persons to whom alone answers go, as those of a web form: nothing is linked because of them."""
    keys = {
        match_key(participant.address)
        for message in seen.known
        for participant in message.participants
        if participant.role == "reply_to" and message_verdict(message) != "fail"
    }
    return tuple(each for each in given.persons if not keys.isdisjoint(map(match_key, each.addresses)))


def _similar(connection: sa.Connection, asked: Sequence[Seen]) -> dict[int, tuple[Person, ...]]:
    """Return, for each conversation, the persons who have a counterpart's address without its +tag."""
    plain = {
        seen.conversation.id: {untagged(address) for address in seen.counterparts} - seen.counterparts.keys()
        for seen in asked
    }
    found = mirror.persons_by_addresses(connection, set().union(*plain.values()), ())
    return {
        key: tuple(person for person in found if not addresses.isdisjoint(person.addresses))
        for key, addresses in plain.items()
    }


def accept(connection: sa.Connection, acting: Acting, conversation_id: int) -> None:
    """Link a conversation to its first suggestion, by hand.

    Raises NotFound, NotAllowed (not_owner), Conflict (no_open_item, already_linked).
    """
    seen = links.see(connection, acting.member, [conversation_id]).get(conversation_id)
    if seen is None:
        raise NotFound
    first = next(iter(suggestions(connection, seen)), None)
    if first is None:
        raise Conflict("no_open_item")
    links.link(connection, acting, conversation_id, first.ref)
