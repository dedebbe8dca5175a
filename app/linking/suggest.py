"""Ranked suggestions for a person who links by hand (T5), and the folding that search and ranking share.

Pure and fed with rows: the caller brings only what the reader may see (conversations.md V4).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.linking.situation import ref_order
from app.linking.subjects import base_subject
from app.model import Evidence, Item, ItemRef, ItemState, Person, RememberedChoice, Tombstone

MAX_FOLDED_CHARS = 1000  # before and after: some letters grow 18-fold
MAX_SUGGESTIONS = 10

# Letters that Unicode does not take apart into a letter and a mark.
_PLAIN_LETTERS = str.maketrans(
    {"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th"}
)
_MARKS = re.compile("[\u0300-\u036f]")  # of Latin, Greek and Cyrillic letters; other scripts need theirs
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"(#?)(\w[\w-]*)")
_LEAST_WORD_CHARS = 3
_LITTLE_WORDS = """about and are for from has our per the was with you your
    bir bizim icin ile olan sizin"""
_LITTLE = frozenset(_LITTLE_WORDS.split())
# A deleted item cannot be linked, and a converted lead lives on as its deal.
_NEVER: frozenset[ItemState] = frozenset({"deleted", "converted"})


@dataclass(frozen=True, slots=True)
class SuggestInput:
    """What suggestions for one conversation are made from."""

    subject: str
    items: tuple[Item, ...]  # every item that may be suggested, any state
    persons: tuple[Person, ...] = ()  # the counterparts' CRM persons
    reply_to: tuple[Person, ...] = ()  # whom only Reply-To names: web forms
    similar: tuple[Person, ...] = ()  # whose address differs by a +tag only
    same_people: Mapping[ItemRef, int] = field(default_factory=dict)  # earlier conversations of the same people
    remembered: tuple[RememberedChoice, ...] = ()  # what people chose for them by hand
    tombstones: tuple[Tombstone, ...] = ()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An item to link to, with everything that speaks for it."""

    ref: ItemRef
    title: str
    state: ItemState
    evidence: tuple[Evidence, ...]


def fold(text: str) -> str:
    """Bring text to the form that search compares: case, marks, Turkish dots, width and spacing make no difference.

    "isik", "IŞIK" and "ışık" all become "isik". Folding twice changes nothing. At most 1,000 characters.
    """
    text = text[:MAX_FOLDED_CHARS]
    if not text.isascii():
        # Twice taken apart: compatibility forms hide capitals (℡), and casefold() makes marks (İ, ǰ).
        text = unicodedata.normalize("NFKD", text).casefold()
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text)).translate(_PLAIN_LETTERS)
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.lower().split())[:MAX_FOLDED_CHARS].rstrip()


def suggest(given: SuggestInput, limit: int = MAX_SUGGESTIONS) -> tuple[Suggestion, ...]:
    """Rank the items that something speaks for, best first, at most `limit`.

    What counts, in this order: not taken off this conversation before; open; an item of a counterpart; of their
    organization; its number or title in the subject; words shared with the subject; earlier conversations and choices
    of the same people; recent activity. The order never depends on the order of what is given.
    """
    subject = _Subject(given.subject)
    ranked = []
    for item in given.items:
        evidence, strength = _weigh(item, given, subject)
        if any(strength) and item.state not in _NEVER:
            ranked.append((_rank(item, given, strength), _suggestion(item, given, evidence)))
    ranked.sort(key=lambda entry: entry[0])
    unique = {suggestion.ref: suggestion for _, suggestion in ranked}
    return tuple(unique.values())[:limit]


class _Subject:
    """A subject read once: its words as written and folded, and what could be numbers of items."""

    def __init__(self, subject: str) -> None:
        folded = fold(subject)
        self.text = f" {' '.join(_WORD.findall(folded))} "
        self.words = _telling_words(subject).keys()
        # A short number says something only behind a #.
        self.numbers = {
            word
            for sign, word in _NUMBER.findall(folded)
            if _has_digit(word) and (sign or len(word) >= _LEAST_WORD_CHARS)
        }


def _weigh(item: Item, given: SuggestInput, subject: _Subject) -> tuple[list[Evidence], tuple[int, ...]]:
    """Return the evidence for an item and how much of each kind there is, in the order of their weight."""
    people = _of_people(item, given)
    organization = _of_organization(item, given.persons)
    named = _named_in(item, subject)
    words = [] if named else _shared_words(item, subject)
    past = _of_the_past(item, given)
    is_direct = any(evidence.code in ("main_contact", "participant") for evidence in people)
    strength = (
        2 if is_direct else len(people[:1]),
        len(organization),
        len(named),
        len(words),
        sum(times for _, times in past),
    )
    shared = [Evidence("shared_words", {"words": words})] if words else []
    return [*people, *organization, *named, *shared, *(evidence for evidence, _ in past)], strength


def _of_people(item: Item, given: SuggestInput) -> list[Evidence]:
    """Say which people lead to the item: who writes, then who is only named or looks alike."""
    found = []
    seen = set()
    for persons, indirect in ((given.persons, ""), (given.reply_to, "reply_to"), (given.similar, "similar_address")):
        for person in sorted(persons, key=lambda one: ref_order(one.ref)):
            if person.ref not in (item.person, *item.participants) or person.ref in seen:
                continue
            seen.add(person.ref)
            address = next(iter(person.addresses), "")
            code = indirect or ("main_contact" if person.ref == item.person else "participant")
            found.append(Evidence(code, {"person": person.name or address, "address": address}))
    return found


def _of_organization(item: Item, persons: Iterable[Person]) -> list[Evidence]:
    names = sorted(
        person.organization_name
        for person in persons
        if person.organization and person.organization == item.organization
    )
    return [Evidence("organization_item", {"organization": names[0]})] if names else []


def _named_in(item: Item, subject: _Subject) -> list[Evidence]:
    """Say whether the subject names the item by its number or its whole title."""
    found = []
    if fold(item.ref.external_id) in subject.numbers:
        found.append(Evidence("number_in_subject", {"number": item.ref.external_id}))
    title = " ".join(_WORD.findall(fold(item.title)))
    if len(title) >= _LEAST_WORD_CHARS and not base_subject(item.title).is_generic and f" {title} " in subject.text:
        found.append(Evidence("title_in_subject"))
    return found


def _shared_words(item: Item, subject: _Subject) -> list[str]:
    """Return the words of the title that the subject has too, as the title writes them."""
    title = _telling_words(item.title)
    return [title[word] for word in title if word in subject.words]


def _of_the_past(item: Item, given: SuggestInput) -> list[tuple[Evidence, int]]:
    chosen = max((choice.times for choice in given.remembered if choice.ref == item.ref), default=0)
    earlier = given.same_people.get(item.ref, 0)
    counts = (("chosen_before", chosen), ("same_people", earlier))
    return [(Evidence(code, {"n": times}), times) for code, times in counts if times > 0]


def _suggestion(item: Item, given: SuggestInput, evidence: Iterable[Evidence]) -> Suggestion:
    also = [Evidence("recent_activity", {"date": _activity(item).isoformat()})]
    also += [
        Evidence("unlinked_before", {"member": tombstone.member_name, "date": tombstone.at.isoformat()})
        for tombstone in given.tombstones
        if tombstone.ref == item.ref
    ]
    return Suggestion(item.ref, item.title, item.state, (*evidence, *also))


def _rank(item: Item, given: SuggestInput, strength: tuple[int, ...]) -> tuple[object, ...]:
    """Return what suggestions are sorted by, the smallest first."""
    was_unlinked = any(tombstone.ref == item.ref for tombstone in given.tombstones)
    most_first = tuple(-amount for amount in strength)
    return was_unlinked, not item.is_open, most_first, -_activity(item).timestamp(), ref_order(item.ref)


def _activity(item: Item) -> datetime:
    return item.updated_at or item.created_at


def _telling_words(text: str) -> dict[str, str]:
    """Return the words that tell something, folded and as they are written, in their order."""
    composed = unicodedata.normalize("NFC", text[:MAX_FOLDED_CHARS])  # a mark of its own would end the word
    words = {fold(word): word for word in _WORD.findall(composed)}
    return {
        folded: word
        for folded, word in words.items()
        if len(folded) >= _LEAST_WORD_CHARS and folded not in _LITTLE and not base_subject(word).is_generic
    }


def _has_digit(word: str) -> bool:
    return any(char.isdigit() for char in word)
