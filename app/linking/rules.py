"""The rules of automatic linking, in the order in which they are asked; the first that answers decides.

Each rule reads the situation and returns a Decision, or None when it has nothing to say. Relating people (S6, S7)
stands beside the rules: whatever they answer relates everybody we know, except the reasons in RELATES_NOBODY.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from app.linking.addresses import is_blocked
from app.linking.reasons import action_for
from app.linking.situation import Look, Situation, ref_order, sender_address
from app.model import Candidate, Decision, Item, ItemRef, Outcome, Tombstone

Rule = Callable[[Situation], Decision | None]

RELATES_NOBODY = frozenset({"internal_only", "blocked_address", "sender_not_authenticated"})
LEARNED_AFTER = 3  # how often people must have made the same choice (T5)


def keep(situation: Situation) -> Decision | None:
    """S3, S12: a linked conversation stays linked, also when its item was closed."""
    link = situation.given.conversation.primary_link
    if link is None:
        return None
    named = {"item": link.title or str(link.ref), "kind": link.ref.kind}
    others = [look for look in situation.looks if look.item.is_open and look.item.ref != link.ref]
    linked = next((item for item in situation.given.items if item.ref == link.ref), None)
    if linked is None or linked.is_open or not others:
        return _decision(situation, "keep", "follows_conversation", named)
    review = {**named, "review": "linked_item_closed", "state": linked.state}
    return _decision(situation, "keep", "follows_conversation", review, situation.candidates())


def auto_link_off(situation: Situation) -> Decision | None:
    """S4: one account with a copy and its switch on is enough."""
    accounts = situation.given.accounts
    if any(account.auto_link for account in accounts):
        return None
    addresses = sorted(account.address for account in accounts)
    return _decision(situation, "none", "auto_link_off", {"account": _one_or_many(addresses)})


def internal_only(situation: Situation) -> Decision | None:
    """T1: every participant of the conversation is ours."""
    return _decision(situation, "none", "internal_only") if situation.is_internal else None


def sender_not_authenticated(situation: Situation) -> Decision | None:
    """T10: the provider says that the sender is not who the header claims."""
    if situation.verdict != "fail":
        return None
    return _decision(situation, "none", "sender_not_authenticated", {"address": sender_address(situation.arriving)})


def automated_message(situation: Situation) -> Decision | None:
    """T2: nothing but automated mail came from outside."""
    arriving = situation.arriving
    if not situation.is_skipped(arriving):
        return None
    return _decision(situation, "none", "automated_message", {"automated": arriving.automated})


def blocked_address(situation: Situation) -> Decision | None:
    """T3: by default a conversation is blocked when nobody but blocked addresses is on the other side."""
    policy, counterparts = situation.policy, situation.counterparts
    if not policy.blocklist:
        return None
    blocked = sorted(address for address in counterparts if is_blocked(address, policy.blocklist))
    if not blocked or (policy.blocklist_scope == "sole" and len(blocked) < len(counterparts)):
        return None
    return _decision(situation, "none", "blocked_address", {"address": _one_or_many(blocked)})


def too_many_people(situation: Situation) -> Decision | None:
    """T8: mail to a crowd says little about an item."""
    count, most = len(situation.counterparts), situation.policy.max_counterparts
    return _decision(situation, "none", "too_many_people", {"n": count, "most": most}) if count > most else None


def no_known_person(situation: Situation) -> Decision | None:
    """S5: no counterpart is a person in the CRM."""
    return None if situation.matches else _decision(situation, "none", "no_known_person")


def sender_unknown(situation: Situation) -> Decision | None:
    """C9: the policy asks that the sender be a person in the CRM, not only somebody in Cc."""
    if not situation.policy.sender_must_be_known or sender_address(situation.arriving) in situation.known:
        return None
    return _decision(situation, "none", "sender_unknown", {"address": sender_address(situation.arriving)})


def learned_choice(situation: Situation) -> Decision | None:
    """T5: people chose the same of several open items often enough."""
    fits = situation.fitting
    if len(fits) < 2 or not situation.policy.learned_auto_link:
        return None
    often = {choice.ref: choice.times for choice in situation.given.remembered if choice.times >= LEARNED_AFTER}
    learned = [look for look in fits if look.item.ref in often.keys() - _tombstones(situation).keys()]
    return _link(situation, "learned_choice", learned[0], n=often[learned[0].item.ref]) if len(learned) == 1 else None


def several_open_items(situation: Situation) -> Decision | None:
    """S10: deals, leads and projects are counted together; a person chooses."""
    fits = situation.fitting
    if len(fits) < 2:
        return None
    params = {"person": _one_or_many(match.name for look in fits for match in look.matches), "n": len(fits)}
    return _decision(situation, "ambiguous", "several_open_items", params, situation.candidates())


def unlinked_by_person(situation: Situation) -> Decision | None:
    """T4: a person took the only open item off this conversation before."""
    fits = situation.fitting
    tombstone = _tombstones(situation).get(fits[0].item.ref) if fits else None
    if tombstone is None:
        return None
    params = {**_named(fits[0].item), "member": tombstone.member_name, "date": tombstone.at.isoformat()}
    return _decision(situation, "none", "unlinked_by_person", params, situation.candidates("unlinked_by_person"))


def only_open_item(situation: Situation) -> Decision | None:
    """S8, S9: exactly one open item that is old enough."""
    fits = situation.fitting
    return _link(situation, "only_open_item", fits[0]) if fits else None


def item_newer_than_message(situation: Situation) -> Decision | None:
    """S9: e-mail is not linked retroactively."""
    return _ruled_out_by(situation, "item_newer_than_message")


def item_closed(situation: Situation) -> Decision | None:
    """S12: a closed item is never linked automatically."""
    return _ruled_out_by(situation, "item_closed")


def no_open_item_group(situation: Situation) -> Decision | None:
    """S11: more than two recipients, and no open item among them."""
    count = len(situation.recipients())
    return _decision(situation, "none", "no_open_item_group", {"n": count}) if count > 2 else None


def no_open_item(situation: Situation) -> Decision:
    """Say that the known people have no item at all: the answer when no rule has one."""
    return _decision(
        situation, "none", "no_open_item", {"person": _one_or_many(match.name for match in situation.matches)}
    )


RULES: tuple[Rule, ...] = (
    keep,
    auto_link_off,
    internal_only,
    sender_not_authenticated,
    automated_message,
    blocked_address,
    too_many_people,
    no_known_person,
    sender_unknown,
    learned_choice,
    several_open_items,
    unlinked_by_person,
    only_open_item,
    item_newer_than_message,
    item_closed,
    no_open_item_group,
)


def _decision(
    situation: Situation,
    outcome: Outcome,
    reason: str,
    params: Mapping[str, object] | None = None,
    candidates: tuple[Candidate, ...] = (),
    item: Item | None = None,
) -> Decision:
    """Make the decision, with whom it relates (S6, S7): everybody we know, except for three reasons."""
    relates = reason not in RELATES_NOBODY
    return Decision(
        outcome,
        reason,
        params or {},
        candidates,
        item=item.ref if item else None,
        item_title=item.title if item else "",
        persons=tuple(match.person.ref for match in situation.matches) if relates else (),
        organizations=situation.organizations if relates else (),
        trigger_id=situation.arriving.id,
        action=action_for(reason),
        earlier_messages=situation.earlier_messages if item else 0,
    )


def _link(situation: Situation, reason: str, look: Look, **params: object) -> Decision:
    """Link to this item; a lead that appeared in the middle of the conversation is shown for review as well (C14)."""
    item = look.item
    named: dict[str, object] = {**_named(item), "person": _one_or_many(match.name for match in look.matches), **params}
    if item.ref.kind == "lead" and situation.is_younger_than_conversation(item):
        named["review"] = "lead_younger_than_conversation"
    return _decision(situation, "link", reason, named, situation.candidates(), item)


def _ruled_out_by(situation: Situation, code: str) -> Decision | None:
    """Answer with this code when it ruled out an item, and name the item that came last."""
    items = [look.item for look in situation.looks if look.ruled_out == code]
    if not items:
        return None
    latest = max(items, key=lambda item: (item.created_at, ref_order(item.ref)))
    return _decision(situation, "none", code, _named(latest), situation.candidates())


def _tombstones(situation: Situation) -> dict[ItemRef, Tombstone]:
    return {tombstone.ref: tombstone for tombstone in situation.given.conversation.tombstones}


def _named(item: Item) -> dict[str, object]:
    return {"item": item.title or str(item.ref), "kind": item.ref.kind, "state": item.state}


def _one_or_many(values: Iterable[str]) -> str | list[str]:
    """Return one value as it is, several as a list, each once."""
    found = list(dict.fromkeys(values))
    return found[0] if len(found) == 1 else found
