"""What a conversation links to, and why: decide() asks the rules; digest() names what they were asked about."""

from __future__ import annotations

import hashlib

from app.linking import authenticity, rules
from app.linking.addresses import is_blocked, is_ours
from app.linking.situation import Situation, order, participations, ref_order, sender_address
from app.model import Decision, DecisionInput, Item, Message, Person


def decide(given: DecisionInput) -> Decision:
    """Decide what the conversation links to, whom it relates, and say why.

    Pure: equal inputs give equal decisions, whatever the order of messages, persons, items or accounts. Only the
    outcome "link" asks for a new primary link; nothing here ever ends one.
    """
    if not given.conversation.messages:
        return Decision("none", "no_known_person")
    situation = Situation(given)
    for rule in rules.RULES:
        if decision := rule(situation):
            return decision
    return rules.no_open_item(situation)


def digest(given: DecisionInput) -> bytes:
    """Name everything decide() reads by a sha256; the same for the same facts in any order.

    Of the sets that belong to the whole team (ours, the blocklist) only what they say about these addresses counts,
    so a colleague's new mailbox does not make every conversation look new.
    """
    conversation, policy = given.conversation, given.policy
    link = conversation.primary_link
    messages = sorted(conversation.messages, key=order)
    addresses = {address for message in messages for address, _ in participations(message)}
    addresses.update(sender_address(message) for message in messages)
    addresses.update(address for person in given.persons for address in person.addresses)
    facts = (
        [_message_facts(message) for message in messages],
        [
            (address, is_ours(address, given.ours), is_blocked(address, policy.blocklist))
            for address in sorted(addresses)
        ],
        link and (ref_order(link.ref), link.title),
        sorted((ref_order(stone.ref), stone.member_name, stone.at.isoformat()) for stone in conversation.tombstones),
        sorted((account.address, account.auto_link) for account in given.accounts),
        sorted(repr(_person_facts(person)) for person in given.persons),
        sorted(repr(_item_facts(item)) for item in given.items),
        sorted((ref_order(choice.ref), choice.times) for choice in given.remembered),
        (policy.retroactive, policy.blocklist_scope, policy.skip_automated, policy.max_counterparts),
        (policy.learned_auto_link, policy.sender_must_be_known),
    )
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass")).digest()


def _message_facts(message: Message) -> tuple[object, ...]:
    return (
        message.id,
        message.at.isoformat(),
        message.mid_hash,
        message.fingerprint,
        message.automated,
        authenticity.message_verdict(message),
        sender_address(message),
        sorted(set(participations(message))),
    )


def _person_facts(person: Person) -> tuple[object, ...]:
    organization = person.organization and ref_order(person.organization)
    return ref_order(person.ref), person.name, person.deleted, sorted(person.addresses), organization


def _item_facts(item: Item) -> tuple[object, ...]:
    person = item.person and ref_order(item.person)
    participants = sorted(map(ref_order, item.participants))
    return ref_order(item.ref), item.title, item.state, item.created_at.isoformat(), person, participants
