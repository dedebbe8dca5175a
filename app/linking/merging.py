"""When two blocks of messages may become one, and what becomes of the conversations they were (conversations.md M)."""

from __future__ import annotations

from typing import Literal

from app.linking.blocks import NOT_LOOKED_AT, Block, Home, Node, Order
from app.model import Ours

Why = Literal["claims", "different_links", "visibility", "counterparts", "many_merges", "sender_failed"]


def objection(node: Node, target: Block, ours: Ours) -> Why | None:
    """Say why a message with a witness for `target` must not bring its own block there, or None.

    When the message is the eldest of its block, the others would have followed it one by one had they come in the
    order of time. When older ones are there, two conversations meet: the sender must take part in both, and the
    counterparts of one, as they stood before this message, include those of the other.
    """
    source = node.block
    is_meeting = meets(node)
    if is_meeting and (target.parent is not None or source.base is target.base):
        return "claims"  # who answers both gives no rights over the one, and takes none over the other
    if source.founder.failed or (target.founder.failed and is_meeting):
        return "sender_failed"
    if absorbed(node, target) is not None:
        judge = _different_settings if target.parent is None else objection_to_hanging
        if why := judge(source.home, target.base.home):
            return why
    return "counterparts" if is_meeting and not _is_of_the_same_people(node, target, ours) else None


def objection_to_hanging(source: Home, target: Home) -> Why | None:
    """Say why a conversation must not become part of one in which its holders have no rights, or None."""
    if why := _different_settings(source, target):
        return why
    # A link that a person made would become one of a conversation in which that person may link nothing.
    return "claims" if source.primary_link and source.primary_link.origin != "automatic" else None


def meets(node: Node) -> bool:
    """Say whether there are older messages in the message's block."""
    return node.block.eldest.order < node.order


def survivor(one: Block, other: Block) -> Block:
    """Return which of two conversations stays: the linked one, else one that is stored, else the eldest."""
    return min(one, other, key=_rank)


def absorbed(node: Node, target: Block) -> Home | None:
    """Return the conversation that ends when a message brings its block to the target, or None."""
    source = node.block
    if source.parent is not None or source is target.base:
        return None
    return target.home if target.parent is None and survivor(source, target) is source else source.home


def unite(node: Node, target: Block) -> Block:
    """Make one block of the message's own and the target; return it, in the place that it takes."""
    source = node.block
    node.is_root = False
    place = survivor(source, target) if source.parent is None and target.parent is None else target
    # One of the two may hang on the other.
    top = [block for block in place.chain() if block in (source, target)][-1]
    parent, is_by_sender, stored_for, home = top.parent, top.is_by_sender, top.stored_for, top.home
    kept, gone = (target, source) if len(target.nodes) >= len(source.nodes) else (source, target)
    source.hang_on(None)
    target.hang_on(None)
    for child in list(gone.children):
        child.hang_on(kept, is_by_sender=child.is_by_sender)
    for each in gone.nodes:
        kept.add(each)
    kept.hang_on(parent, is_by_sender=is_by_sender)
    kept.stored_for = stored_for
    kept.home = home
    if kept is source:
        kept.is_stale = True  # the message is no root any more
    if gone.size != NOT_LOOKED_AT:
        kept.size = NOT_LOOKED_AT
    return kept


def _different_settings(one: Home, other: Home) -> Why | None:
    if one.primary_link and other.primary_link and one.primary_link.ref != other.primary_link.ref:
        return "different_links"
    if one.stored and other.stored and one.stored.visibility != other.stored.visibility:
        return "visibility"
    return None


def _is_of_the_same_people(node: Node, target: Block, ours: Ours) -> bool:
    source = node.block
    if source.is_new_here(node) or node.sender not in target.people:
        return False
    mine, theirs = source.base, target.base
    before = node.order
    return mine.counterparts(before, ours, sure=False) <= theirs.counterparts(before, ours, sure=True) or (
        theirs.counterparts(before, ours, sure=False) <= mine.counterparts(before, ours, sure=True)
    )


def _rank(block: Block) -> tuple[bool, bool, Order]:
    home = block.home
    return home.primary_link is None, home.stored is None, block.eldest.order
