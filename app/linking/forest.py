"""The conversations while messages are placed: which there are, what changed, what merged and what was left apart.

Bookkeeping only; the rules are in threads and merging.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from app.linking.blocks import Block, Home, Node, exported, load
from app.linking.merging import Why
from app.model import Conversation

MAX_MERGES_AN_HOUR = 20


@dataclass(frozen=True, slots=True)
class MergeDone:
    """Two conversations became one. `absorbed_before` is what stood before: undoing it gives those messages back."""

    survivor: int
    absorbed: int
    absorbed_before: Conversation
    account_id: int  # whose copy was the witness
    message_id: int  # the message that brought them together


@dataclass(frozen=True, slots=True)
class Pair:
    """Two conversations that look like one and were left apart; the review queue asks."""

    conversation: int
    other: int
    why: Why
    message_id: int  # the message that refers to both


class Forest:
    """The conversations, each a block with what hangs on it. New ones have ids below zero."""

    def __init__(
        self,
        conversations: Iterable[Conversation],
        merges_this_hour: Mapping[int, int] | None,
        kept_apart: Collection[tuple[int, int]],
    ) -> None:
        self._merges: list[MergeDone] = []
        self._redirects: dict[int, int] = {}  # conversations that ended before anybody saw them
        self.pairs: list[tuple[Node, Node]] = []  # (message, one it refers to in another conversation)
        self._why: dict[Node, dict[Node, Why]] = defaultdict(dict)
        self._merges_this_hour = Counter(merges_this_hour)
        self._kept_apart = frozenset(frozenset(pair) for pair in kept_apart)
        self._last_id = 0
        self._bases: dict[Home, Block] = {}
        self._changed: set[Home] = set()
        for conversation in sorted(conversations, key=lambda each: each.id):
            home = Home(
                conversation.id, conversation.namespace, conversation, conversation.links, conversation.tombstones
            )
            self._bases[home] = load(conversation, home)

    def new_id(self) -> int:
        """Return the next id for something that is not stored yet."""
        self._last_id -= 1
        return self._last_id

    def bases(self) -> list[Block]:
        """Return the block of every conversation."""
        return list(self._bases.values())

    # --- changes -------------------------------------------------------------------------------------------------

    def change(self, block: Block) -> None:
        """Note that something changed in the conversation of a block."""
        self._changed.add(block.base.home)

    def found(self, node: Node) -> None:
        """Let a new message found a conversation; those of one namespace found theirs together (S16)."""
        namespace = node.message.namespace
        known = (each for each in self.bases() if each.home.namespace == namespace) if namespace else iter(())
        block = next(known, None) or Block(Home(self.new_id(), namespace))
        block.add(node)
        self.settle_in(block)

    def stand_alone(self, block: Block, namespace: str = "") -> None:
        """Let a block be a conversation of its own, a new one when it hung on another."""
        if block.parent is not None:
            self.change(block)
            block.hang_on(None)
            block.home = Home(self.new_id())
        block.home.namespace = namespace
        self.settle_in(block)

    def settle_in(self, block: Block) -> None:
        """Note that a block changed, and that it is its conversation when it hangs on no other."""
        if block.parent is None:
            self._bases[block.home] = block
        self.change(block)

    def absorb(self, gone: Home, into: Block, before: Conversation | None, account_id: int, node: Node) -> None:
        """End a conversation that became part of another; `before` is what to keep for undoing it, if anything."""
        del self._bases[gone]
        home = into.base.home
        home.take_over(gone)
        if before is not None:
            # What stood before the message that brought them together.
            messages = tuple(message for message in before.messages if message.id != node.id)
            self._merges.append(MergeDone(home.id, gone.id, replace(before, messages=messages), account_id, node.id))
            self._merges_this_hour[account_id] += 1
        else:
            self._redirects[gone.id] = home.id

    # --- restraints ----------------------------------------------------------------------------------------------

    def may_merge(self, account_id: int) -> bool:
        """Say whether an account may cause one more merge in this hour."""
        return self._merges_this_hour[account_id] < MAX_MERGES_AN_HOUR

    def are_kept_apart(self, one: Block, other: Block) -> bool:
        """Say whether a person took these two conversations apart."""
        return bool(self._kept_apart) and frozenset((one.base.home.id, other.base.home.id)) in self._kept_apart

    def pair(self, node: Node, other: Node, why: Why) -> None:
        """Note that a message refers to another conversation and did not join it; the first reason counts."""
        if node.block.base is not other.block.base and other not in self._why[node]:
            self._why[node][other] = why
            self.pairs.append((node, other))

    # --- answers -------------------------------------------------------------------------------------------------

    def merges(self, since: int = 0) -> list[MergeDone]:
        """Return the merges in their order, without the first ones."""
        return [replace(merge, survivor=self._survivor(merge.survivor)) for merge in self._merges[since:]]

    def _survivor(self, conversation_id: int) -> int:
        while conversation_id in self._redirects:
            conversation_id = self._redirects[conversation_id]
        return conversation_id

    def told(self, pairs: Iterable[tuple[Node, Node]]) -> list[Pair]:
        """Return those of the pairs that are two conversations still, each pair of conversations once."""
        found: dict[frozenset[int], Pair] = {}
        for node, other in pairs:
            mine, theirs = node.block.base.home.id, other.block.base.home.id
            if mine != theirs:
                found.setdefault(frozenset((mine, theirs)), Pair(mine, theirs, self._why[node][other], node.id))
        return list(found.values())

    def claimed_by(self, node: Node) -> tuple[int, ...]:
        """Return the conversations that a message refers to and is no part of."""
        homes = [other.block.base.home for other in self._why.get(node, ())]
        return tuple(dict.fromkeys(home.id for home in homes if home is not node.block.base.home))

    def conversations(self) -> list[Conversation]:
        """Return every conversation as it is now."""
        return [self.conversation(home) for home in self._bases]

    def touched(self) -> list[Conversation]:
        """Return those that are new, or not what they were."""
        now = [(home, self.conversation(home)) for home in self._bases if home in self._changed]
        return [conversation for home, conversation in now if conversation is not home.stored]

    def conversation(self, home: Home) -> Conversation:
        """Return a conversation as it is now; the very object that was given when nothing changed in it."""
        stored = home.stored
        if stored is not None and home not in self._changed:
            return stored
        nodes = [node for block in self._bases[home].tree() for node in block.nodes]
        nodes.sort(key=lambda node: node.order)
        now = replace(
            stored or Conversation(home.id),
            messages=tuple(exported(node) for node in nodes),
            links=home.links,
            tombstones=home.tombstones,
            namespace=home.namespace,
        )
        return stored if stored is not None and now == stored else now
