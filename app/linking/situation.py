"""What the rules look at: a conversation's people and items, worked out once from a DecisionInput.

Nothing is decided here (rules.py) and nothing is worded (reasons.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from app.linking import authenticity
from app.linking.addresses import is_ours, match_key
from app.model import Candidate, DecisionInput, Evidence, Item, ItemRef, Message, Person, Role

_FIELD_NAMES: dict[Role, str] = {"to": "To", "cc": "Cc", "bcc": "Bcc"}  # the recipients, as a header names them

# The order of messages: by time; ties by what the message is, never by how it came.
order = attrgetter("at", "mid_hash", "fingerprint")
# The order of references: any, but the same on every run.
ref_order = attrgetter("connection_id", "kind", "external_id")


@dataclass(slots=True)
class Match:
    """A CRM person who takes part, with the counterpart addresses that led there, sorted."""

    person: Person
    addresses: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.person.name or self.addresses[0]


@dataclass(slots=True)
class Look:
    """An item that was looked at: the people who led to it, and the code that rules it out, or None."""

    item: Item
    matches: list[Match]
    ruled_out: str | None


class Situation:
    """The facts of one decision; the conversation has at least one message.

    messages       by time
    arriving       the message that "arrives": the newest that is neither automated nor internal; without one, the
                   newest that is not internal; without that, the newest
    earlier_messages  how many messages stand before it
    verdict        whether its sender is who the header claims
    counterparts   the addresses that are not ours. Who only appears on messages whose sender is proven false is
                   nobody (T10)
    matches        the CRM persons with a counterpart's address, primary or secondary (S6), by reference
    organizations  theirs (S7), by reference
    known          the addresses that are ours or a matched person's
    looks          every item of those persons, each once (S8): first what is not ruled out, then by reference
    fitting        the looks that nothing rules out: the candidates that are counted
    """

    def __init__(self, given: DecisionInput) -> None:
        self.given = given
        self.policy = given.policy
        self.messages = sorted(given.conversation.messages, key=order)
        self._people = [participations(message) for message in self.messages]
        addresses = {address for people in self._people for address, _ in people}
        self._theirs = {address for address in addresses if not is_ours(address, given.ours)}
        self.earlier_messages = self._find_arriving()
        self.arriving = self.messages[self.earlier_messages]
        verdicts = [authenticity.message_verdict(message) for message in self.messages]
        self.verdict = verdicts[self.earlier_messages]
        self._honest = [
            (sender_address(message), people)
            for message, people, verdict in zip(self.messages, self._people, verdicts, strict=True)
            if verdict != "fail"
        ]
        self.counterparts = {address for _, people in self._honest for address, _ in people} & self._theirs
        self.matches = self._find_matches()
        self.organizations = self._find_organizations()
        self.known = (addresses - self._theirs).union(*(match.addresses for match in self.matches))
        self.looks = self._find_looks()
        self.fitting = [look for look in self.looks if look.ruled_out is None]

    @property
    def is_internal(self) -> bool:
        """Whether every participant of the conversation is ours (T1)."""
        return not self._theirs and all(self._people)

    def is_skipped(self, message: Message) -> bool:
        """Say whether the message is automated and may not trigger a link (T2); calendar mail may."""
        return self.policy.skip_automated and message.automated not in (None, "calendar")

    def recipients(self) -> set[str]:
        """Return the distinct addresses in To, Cc and visible Bcc over the conversation, ours included (S11)."""
        return {address for people in self._people for address, role in people if role in _FIELD_NAMES}

    def is_younger_than_conversation(self, item: Item) -> bool:
        """Say whether the item was created when the conversation was already going on."""
        return item.created_at > self.messages[0].at

    def candidates(self, otherwise: str | None = None) -> tuple[Candidate, ...]:
        """Turn the looks into what a decision shows; `otherwise` is the code where nothing else rules the item out."""
        shared, strangers_fields = self._find_shared(), self._find_strangers_fields()
        return tuple(
            [
                Candidate(
                    look.item.ref,
                    look.item.title,
                    look.ruled_out or otherwise,
                    tuple(self._evidence(look, shared, strangers_fields)),
                )
                for look in self.looks
            ]
        )

    # --- working it out ---

    def _find_arriving(self) -> int:
        newest_external: int | None = None
        for position in reversed(range(len(self.messages))):
            # Mail whose participants cannot be read at all is nobody's internal mail.
            addresses = [address for address, _ in self._people[position]]
            if addresses and self._theirs.isdisjoint(addresses):
                continue
            if not self.is_skipped(self.messages[position]):
                return position
            if newest_external is None:
                newest_external = position
        return len(self.messages) - 1 if newest_external is None else newest_external

    def _find_matches(self) -> tuple[Match, ...]:
        """Look an address up as it is written, and only when nobody has it so as the mailbox it stands for."""
        persons = sorted((one for one in self.given.persons if not one.deleted), key=lambda one: ref_order(one.ref))
        found = [(person, self.counterparts.intersection(person.addresses)) for person in persons]
        rest: dict[str, set[str]] = defaultdict(set)
        for address in self.counterparts.difference(*(addresses for _, addresses in found)):
            rest[match_key(address)].add(address)
        if rest:
            found = [(person, addresses.union(*self._spellings(person, rest))) for person, addresses in found]
        return tuple(Match(person, tuple(sorted(addresses))) for person, addresses in found if addresses)

    def _spellings(self, person: Person, by_key: Mapping[str, set[str]]) -> Iterable[set[str]]:
        """Yield the addresses that stand for a mailbox of this person. Ours never match, in any spelling."""
        for address in person.addresses:
            found = by_key.get(match_key(address))
            if found and not is_ours(address, self.given.ours):
                yield found

    def _find_organizations(self) -> tuple[ItemRef, ...]:
        found = {match.person.organization for match in self.matches if match.person.organization}
        return tuple(sorted(found, key=ref_order))

    def _find_looks(self) -> tuple[Look, ...]:
        by_ref = {match.person.ref: match for match in self.matches}
        # By which moment an item must exist to be linked (S9).
        latest = (self.messages[0] if self.policy.retroactive == "conversation" else self.arriving).at
        looks = []
        for item in {item.ref: item for item in self.given.items}.values():
            refs = {item.person, *item.participants} if item.participants else (item.person,)
            matches = [match for ref in refs if ref and (match := by_ref.get(ref))]
            if matches:
                if len(matches) > 1:
                    matches.sort(key=lambda match: ref_order(match.person.ref))
                looks.append(Look(item, matches, _ruled_out(item, latest)))
        return tuple(sorted(looks, key=lambda look: (look.ruled_out is not None, ref_order(look.item.ref))))

    # --- what speaks for an item ---

    def _evidence(
        self, look: Look, shared: Mapping[str, list[str]], strangers_fields: Mapping[str, str]
    ) -> list[Evidence]:
        """Say what speaks for an item, person by person, then about the item itself."""
        found = []
        for match in look.matches:
            is_main = match.person.ref == look.item.person
            named = {"person": match.name, "address": match.addresses[0]}
            found.append(Evidence("main_contact" if is_main else "participant", named))
            if shared:
                found += [
                    Evidence("shared_address", {"person": shared[address], "address": address})
                    for address in match.addresses
                    if address in shared
                ]
            if strangers_fields and strangers_fields.keys() >= set(match.addresses):
                field = strangers_fields[match.addresses[0]]
                found.append(Evidence("matched_through_recipient", {**named, "field": field}))
        age = "younger_than_conversation" if self.is_younger_than_conversation(look.item) else "older_than_conversation"
        found.append(Evidence(age, {"date": look.item.created_at.isoformat()}))
        return found

    def _find_shared(self) -> dict[str, list[str]]:
        """Name the persons behind each matched address that several of them have."""
        holders: dict[str, list[str]] = defaultdict(list)
        for match in self.matches:
            for address in match.addresses:
                holders[address].append(match.name)
        return {address: names for address, names in holders.items() if len(names) > 1}

    def _find_strangers_fields(self) -> dict[str, str]:
        """Name the field in which an address stands, for those that only senders we don't know have written (C9)."""
        by_strangers = [people for sender, people in self._honest if sender not in self.known]
        if not by_strangers:
            return {}
        vouched = {address for sender, people in self._honest if sender in self.known for address, _ in people}
        vouched |= {address for people in by_strangers for address, role in people if role not in _FIELD_NAMES}
        fields: dict[str, str] = {}
        for people in by_strangers:
            for address, role in sorted(people):
                if address not in vouched:
                    fields.setdefault(address, _FIELD_NAMES[role])
        return fields


def participations(message: Message) -> list[tuple[str, Role]]:
    """Return (address, role) of everybody who takes part in a message.

    Reply-To is where an answer should go, not somebody who takes part. Bcc counts where it is a fact: on the copy in
    the sender's own Sent folder.
    """
    people: list[tuple[str, Role]] = [(one.address, one.role) for one in message.participants if one.role != "reply_to"]
    for copy in message.copies:
        if copy.in_sent:
            people += [(hidden.address, hidden.role) for hidden in copy.bcc]
    return people


def sender_address(message: Message) -> str:
    """Return the sender's address, "" when none can be read."""
    sender = authenticity.sender(message)
    return sender.address if sender else ""


def _ruled_out(item: Item, latest: datetime) -> str | None:
    if not item.is_open:
        return "item_closed"
    return "item_newer_than_message" if item.created_at > latest else None
