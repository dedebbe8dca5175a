"""What the rules look at: a conversation's people and items, worked out once from a DecisionInput.

Nothing is decided here (rules.py) and nothing is worded (reasons.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from app.linking import authenticity
from app.linking.addresses import is_ours, match_key
from app.model import Candidate, DecisionInput, Evidence, Item, ItemRef, Message, Person, Role

_RECIPIENTS = frozenset[Role](("to", "cc", "bcc"))
_FIELD_NAMES: dict[Role, str] = {"to": "To", "cc": "Cc", "bcc": "Bcc"}


@dataclass(frozen=True, slots=True)
class Appearance:
    """A counterpart in one message: in which role, and who sent that message ("" when no sender can be read)."""

    role: Role
    sender: str


@dataclass(frozen=True, slots=True)
class Match:
    """A CRM person who takes part, with the counterpart addresses that led there."""

    person: Person
    addresses: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.person.name or self.addresses[0]


@dataclass(frozen=True, slots=True)
class Look:
    """An item that was looked at: the people who led to it, and the code that rules it out, or None."""

    item: Item
    matches: tuple[Match, ...]
    ruled_out: str | None


class Situation:
    """The facts of one decision. The conversation has at least one message."""

    def __init__(self, given: DecisionInput) -> None:
        self.given = given
        self.policy = given.policy
        self.messages = sorted(given.conversation.messages, key=order)
        # By message, in the same order: (address, role) of everybody who takes part.
        self._people = [participations(message) for message in self.messages]
        addresses = {address for people in self._people for address, _ in people}
        self._theirs = {address for address in addresses if not is_ours(address, given.ours)}

    @cached_property
    def arriving(self) -> Message:
        """The message that "arrives": the newest that is neither automated nor internal.

        When there is none, the newest that is not internal; when all are internal, the newest.
        """
        newest_automated: Message | None = None
        for message, people in zip(reversed(self.messages), reversed(self._people), strict=True):
            if self._is_internal(people):
                continue
            if not self.is_skipped(message):
                return message
            newest_automated = newest_automated or message
        return newest_automated or self.messages[-1]

    @cached_property
    def is_internal(self) -> bool:
        """Whether every participant of the conversation is ours."""
        return all(self._is_internal(people) for people in self._people)

    def is_skipped(self, message: Message) -> bool:
        """Say whether the message is automated and may not trigger a link (T2); calendar mail may."""
        return self.policy.skip_automated and message.automated not in (None, "calendar")

    @cached_property
    def counterparts(self) -> dict[str, list[Appearance]]:
        """Who is not ours, by address. Who only appears on messages whose sender is proven false is nobody (T10)."""
        found: dict[str, list[Appearance]] = defaultdict(list)
        for message, people in zip(self.messages, self._people, strict=True):
            if authenticity.message_verdict(message) == "fail":
                continue
            sender = sender_address(message)
            for address, role in people:
                if address in self._theirs:
                    found[address].append(Appearance(role, sender))
        return dict(found)

    @cached_property
    def recipients(self) -> frozenset[str]:
        """The distinct addresses in To, Cc and visible Bcc over the conversation, ours included (S11)."""
        return frozenset(address for people in self._people for address, role in people if role in _RECIPIENTS)

    @cached_property
    def matches(self) -> tuple[Match, ...]:
        """The CRM persons with a counterpart's address, primary or secondary (S6)."""
        addresses_of: dict[ItemRef, set[str]] = defaultdict(set)
        for address in self.counterparts:
            for ref in self._persons_with(address):
                addresses_of[ref].add(address)
        people = {person.ref: person for person in self.given.persons}
        return tuple(
            Match(people[ref], tuple(sorted(addresses_of[ref]))) for ref in sorted(addresses_of, key=ref_order)
        )

    @cached_property
    def organizations(self) -> tuple[ItemRef, ...]:
        """The organizations of the matched persons (S7)."""
        found = {match.person.organization for match in self.matches if match.person.organization}
        return tuple(sorted(found, key=ref_order))

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """Every item of the matched persons, each once (S8): first what is not ruled out, then by reference."""
        by_ref = {match.person.ref: match for match in self.matches}
        items = {item.ref: item for item in self.given.items}
        looks = []
        for item in items.values():
            refs = {item.person, *item.participants} & by_ref.keys()
            if refs:
                matches = tuple(by_ref[ref] for ref in sorted(refs, key=ref_order))
                looks.append(Look(item, matches, self._ruled_out(item)))
        return tuple(sorted(looks, key=lambda look: (look.ruled_out is not None, ref_order(look.item.ref))))

    def knows_sender_of_arriving(self) -> bool:
        """Say whether the arriving message was sent by us or by a matched person."""
        return self._is_known(sender_address(self.arriving))

    def candidate(self, look: Look, otherwise: str | None = None) -> Candidate:
        """Turn a look into what a decision shows; `otherwise` is the code when nothing else rules the item out."""
        return Candidate(look.item.ref, look.item.title, look.ruled_out or otherwise, tuple(self._evidence(look)))

    def is_younger_than_conversation(self, item: Item) -> bool:
        """Say whether the item was created when the conversation was already going on."""
        return item.created_at > self.messages[0].at

    def _is_internal(self, people: Sequence[tuple[str, Role]]) -> bool:
        # Whose participants cannot be read at all is nobody's internal mail.
        return bool(people) and all(address not in self._theirs for address, _ in people)

    def _ruled_out(self, item: Item) -> str | None:
        if not item.is_open:
            return "item_closed"
        return "item_newer_than_message" if item.created_at > self._existed_by else None

    @cached_property
    def _existed_by(self) -> datetime:
        """The moment by which an item must exist (S9)."""
        return self.messages[0].at if self.policy.retroactive == "conversation" else self.arriving.at

    @cached_property
    def _refs_by_address(self) -> dict[str, list[ItemRef]]:
        found: dict[str, list[ItemRef]] = defaultdict(list)
        for person in self.given.persons:
            if not person.deleted:
                for address in person.addresses:
                    found[address].append(person.ref)
        return found

    @cached_property
    def _refs_by_key(self) -> dict[str, list[ItemRef]]:
        found: dict[str, list[ItemRef]] = defaultdict(list)
        for address, refs in self._refs_by_address.items():
            # A variant of our own address is still our own, and ours never match a person.
            if not is_ours(address, self.given.ours):
                found[match_key(address)] += refs
        return found

    def _persons_with(self, address: str) -> list[ItemRef]:
        """Look an address up as it is written, and only then as the mailbox it stands for."""
        return self._refs_by_address.get(address) or self._refs_by_key.get(match_key(address)) or []

    @cached_property
    def _known_addresses(self) -> frozenset[str]:
        return frozenset(address for match in self.matches for address in match.addresses)

    def _is_known(self, sender: str) -> bool:
        return sender in self._known_addresses or is_ours(sender, self.given.ours)

    def _evidence(self, look: Look) -> Iterable[Evidence]:
        """Say what speaks for an item, person by person, then about the item itself."""
        for match in look.matches:
            is_main = match.person.ref == look.item.person
            named = {"person": match.name, "address": match.addresses[0]}
            yield Evidence("main_contact" if is_main else "participant", named)
            shared = self._shares_address_with(match)
            if shared:
                yield Evidence("shared_address", {**named, "person": [match.name, *shared]})
            field = self._only_named_by_strangers(match)
            if field:
                yield Evidence("matched_through_recipient", {**named, "field": field})
        created = {"date": look.item.created_at.isoformat()}
        is_younger = self.is_younger_than_conversation(look.item)
        yield Evidence("younger_than_conversation" if is_younger else "older_than_conversation", created)

    def _shares_address_with(self, match: Match) -> list[str]:
        others = (other for other in self.matches if other is not match)
        return [other.name for other in others if not set(other.addresses).isdisjoint(match.addresses)]

    def _only_named_by_strangers(self, match: Match) -> str | None:
        """Name the field a person was matched through when only senders we don't know wrote it there (C9)."""
        fields = set()
        for address in match.addresses:
            for appearance in self.counterparts[address]:
                if appearance.role not in _RECIPIENTS or self._is_known(appearance.sender):
                    return None
                fields.add(_FIELD_NAMES[appearance.role])
        return min(fields)


def order(message: Message) -> tuple[datetime, bytes, bytes]:
    """Order messages by time; ties by what the message is, never by how it came."""
    return message.at, message.mid_hash, message.fingerprint


def ref_order(ref: ItemRef) -> tuple[int, str, str]:
    """Order references, the same on every run."""
    return ref.connection_id, ref.kind, ref.external_id


def participations(message: Message) -> list[tuple[str, Role]]:
    """Return (address, role) of everybody who takes part in a message.

    Reply-To is where an answer should go, not somebody who takes part. Bcc counts where it is a fact: on the copy in
    the sender's own Sent folder.
    """
    people = [(participant.address, participant.role) for participant in message.participants]
    people += [(hidden.address, hidden.role) for copy in message.copies if copy.in_sent for hidden in copy.bcc]
    return [(address, role) for address, role in people if role != "reply_to"]


def sender_address(message: Message) -> str:
    """Return the sender's address, "" when none can be read."""
    sender = authenticity.sender(message)
    return sender.address if sender else ""
