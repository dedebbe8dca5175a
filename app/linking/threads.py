"""Which conversation a message belongs to: identity, joining, merging (conversations.md I, J, M).

Pure and in memory. The sync feeds it the stored conversations around a batch, `threadlink threads` everything there is.

The order of arrival makes no difference: a message is looked at again whenever another message or copy may have given
it a witness, and what joined without rights (W2) moves when a better witness turns up. What joined with rights is never
split.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from app.linking.addresses import is_ours
from app.linking.alias import Key, keys
from app.linking.blocks import NOT_LOOKED_AT, Block, Node, copy_joined, flags
from app.linking.forest import MAX_MERGES_AN_HOUR, Forest, MergeDone, Pair
from app.linking.hints import Index, agree
from app.linking.merging import Why, absorbed, meets, objection, objection_to_hanging, unite
from app.model import Conversation, Copy, Joined, Message, Ours

__all__ = ["MAX_MERGES_AN_HOUR", "Key", "MergeDone", "Pair", "Placement", "Threads", "Why", "keys"]

_MAX_LOOKS = 20  # at one message while another is placed: circles of claims must not keep us busy


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a copy of a message was put; later ones of the batch may change that, see Threads.conversations."""

    conversation_id: int
    message_id: int
    is_new_message: bool
    is_new_copy: bool
    joined: Joined  # how this copy came in
    flags: tuple[str, ...] = ()
    merges: tuple[MergeDone, ...] = ()
    pairs: tuple[Pair, ...] = ()
    claims: tuple[int, ...] = ()  # conversations it says it belongs to, and does not


class Threads:
    """Conversations in memory, and the messages placed in them.

    `conversations` are whole ones: all that share a key with the batch, and those that claim a message of one of them.
    `merges_this_hour` counts by account; `kept_apart` are pairs of conversations that a person took apart. New
    conversations, messages and copies have ids below zero, the same ones for the same input.
    """

    def __init__(
        self,
        conversations: Iterable[Conversation],
        ours: Ours,
        merges_this_hour: Mapping[int, int] | None = None,
        kept_apart: Collection[tuple[int, int]] = (),
    ) -> None:
        self._ours = ours
        self._forest = Forest(conversations, merges_this_hour, kept_apart)
        self._nodes: dict[int, Node] = {}
        self._same: dict[tuple[bytes, bytes], list[Node]] = defaultdict(list)
        self._copies: dict[tuple[int, str], Node] = {}
        self._with_id: dict[str, list[Node]] = defaultdict(list)
        self._claiming: dict[str, list[Node]] = defaultdict(list)
        self._hints = Index()
        self._queue: deque[Node] = deque()
        for base in self._forest.bases():
            for block in base.tree():
                block.size = _size(block)
                for node in block.nodes:
                    self._register(node)

    # --- answers -------------------------------------------------------------------------------------------------

    @property
    def conversations(self) -> list[Conversation]:
        """Every conversation as it is now; one that nothing changed is the very object that was given."""
        return self._forest.conversations()

    @property
    def touched(self) -> list[Conversation]:
        """The conversations that are new or in which a message, copy, right or flag changed."""
        return self._forest.touched()

    @property
    def merges(self) -> list[MergeDone]:
        """The merges so far, in their order."""
        return self._forest.merges()

    @property
    def pairs(self) -> list[Pair]:
        """The conversations that look like one and are two, each pair once."""
        return self._forest.told(self._forest.pairs)

    def conversation_of(self, message_id: int) -> int:
        """Return the id of the conversation a message is in now."""
        return self._nodes[message_id].block.base.home.id

    # --- placing -------------------------------------------------------------------------------------------------

    def place(self, message: Message) -> Placement:
        """Put a message with its one copy into its conversation. Doing it again changes nothing."""
        copy = message.copies[0]
        forest = self._forest
        merges_before, pairs_before = len(forest.merges()), len(forest.pairs)
        known = self._copies.get((copy.account_id, copy.provider_id))
        node = known or self._find(message)
        is_new = node is None
        if node is None:
            node = self._add(message)
        elif known is None:
            self._add_copy(node, message)
        elif copy.genuine:
            self._set_copies(
                node, [replace(each, genuine=True) if _is_same(each, copy) else each for each in node.copies]
            )
        self._settle(node)
        return Placement(
            conversation_id=node.block.base.home.id,
            message_id=node.id,
            is_new_message=is_new,
            is_new_copy=known is None,
            joined=next(copy_joined(node, each) for each in node.copies if _is_same(each, copy)),
            flags=flags(node),
            merges=tuple(forest.merges(merges_before)),
            pairs=tuple(forest.told(forest.pairs[pairs_before:])),
            claims=forest.claimed_by(node),
        )

    def _find(self, message: Message) -> Node | None:
        """Return the message of which this is one more copy: same id, same fingerprint (I).

        The Sent copy of a forward to a Smart BCC address belongs to that copy's own conversation (S16).
        """
        same = self._same.get((message.mid_hash, message.fingerprint), ())
        mine = next((node for node in same if node.message.namespace == message.namespace), None)
        if mine is None and message.namespace:
            return next((node for node in same if not node.message.namespace), None)
        return mine or next(iter(same), None)

    def _add(self, message: Message) -> Node:
        """Let a new message found a conversation; whether it stays there shows when it is looked at."""
        copy = replace(message.copies[0], id=self._forest.new_id())
        node = Node(self._forest.new_id(), message, (copy,), is_root=True)
        self._forest.found(node)
        for other in self._with_id.get(message.internet_id, ()):
            if other.message.internet_id == message.internet_id and other.message.namespace == message.namespace:
                for each in (node, other):
                    each.flags.add("message_id_reused")
                    self._forest.change(each.block)
        self._register(node)
        self._look_again(node)
        return node

    def _add_copy(self, node: Node, message: Message) -> None:
        if message.namespace and not node.message.namespace:
            self._withdraw(node, message.namespace)
        self._set_copies(node, [*node.copies, replace(message.copies[0], id=self._forest.new_id())])

    def _set_copies(self, node: Node, copies: list[Copy]) -> None:
        node.set_copies(copies)
        node.block.is_stale = True
        self._forest.change(node.block)
        self._register_copies(node)
        self._look_again(node)

    def _withdraw(self, node: Node, namespace: str) -> None:
        """Take a message out of the original conversation: it turns out to be a forward to a Smart BCC address."""
        node.message = replace(node.message, namespace=namespace)
        block = node.block
        for child in list(block.children):
            self._forest.stand_alone(child)
            self._queue.append(child.founder)
        if len(block.nodes) == 1:
            self._forest.stand_alone(block, namespace)
            return
        self._forest.change(block)
        block.nodes.remove(node)
        block.founder.is_root = True
        block.is_stale = True
        self._queue.append(block.founder)
        node.is_root = True
        self._forest.found(node)

    # --- looking at messages -------------------------------------------------------------------------------------

    def _look_again(self, node: Node) -> None:
        """Look at a message, and at those for which it, or this copy of it, may be what was missing."""
        self._queue.append(node)
        for each in node.ids:
            self._queue.extend(self._claiming.get(each, ()))

    def _settle(self, placed: Node) -> None:
        """Look at what waits, then at those for which a message that was placed may be a hint."""
        looks: Counter[Node] = Counter()
        self._drain(looks)
        for _, other in self._hints.candidates(placed):
            if _is_waiting(other) and other.block.base is not placed.block.base:
                self._queue.append(other)
        self._drain(looks)

    def _drain(self, looks: Counter[Node]) -> None:
        while self._queue:
            node = self._queue.popleft()
            looks[node] += 1
            if looks[node] <= _MAX_LOOKS and not node.message.namespace:
                self._look_at(node)
                self._note_growth(node.block)

    def _look_at(self, node: Node) -> None:
        """Join a message to what it has a witness for; pair it with what it only claims."""
        named = list(self._named(node))
        is_refused = False
        for other in named:
            if other.block is not node.block:
                is_refused |= self._join(node, other) is False
        if node.accounts and node is node.block.founder and not is_refused:
            self._hang(node, named)
            self._join_by_hint(node)
        for other in named:
            self._forest.pair(node, other, "sender_failed" if node.failed else "claims")

    def _named(self, node: Node) -> Iterator[Node]:
        """Yield the known messages a message refers to, the one it answers first.

        Not those it is only derived from: a forward to new people under a new subject founds a conversation of its
        own, and what answers the forward answers nothing before it.
        """
        passed_over: set[str] = set()
        for each in node.claims:
            known = [
                other for other in self._with_id.get(each, ()) if not other.message.namespace and other is not node
            ]
            if len(known) > 1:  # a reused id
                known.sort(key=lambda other: (*_distance(node, other), other.order))
            if not known or each in passed_over:
                continue
            if self._is_derived(node, known[0]):
                node.derived_from.add(known[0])
                node.flags.add("derived")
            else:
                passed_over.update(known[0].claims if "derived" in known[0].flags else ())
                yield known[0]

    def _join(self, node: Node, other: Node) -> bool | None:
        """Join the conversation of another message with a witness that gives rights (W1).

        Returns False when there is a witness and rule M says no, None when there is no witness.
        """
        for target in other.block.chain():
            if target is node.block:
                return None
            if shared := node.accounts & target.accounts:
                return self._unite(node, other, target, min(shared))
        return None

    def _unite(self, node: Node, other: Node, target: Block, account_id: int) -> bool:
        """Make one of the message's block and the target, unless rule M says no; return whether it did."""
        source = node.block
        gone = absorbed(node, target)
        is_merge = gone is not None and (gone.stored is not None or meets(node))
        why = objection(node, target, self._ours)
        if why is None and is_merge and not self._forest.may_merge(account_id):
            why = "many_merges"
        if self._forest.are_kept_apart(source, target):
            return False
        if why is not None:
            self._forest.pair(node, other, why)
            return False
        before = self._forest.conversation(gone) if gone and is_merge else None
        self._forest.change(source)
        self._forest.change(target)
        target_founder = target.founder
        kept = unite(node, target)
        self._forest.settle_in(kept)
        if gone is not None:
            self._forest.absorb(gone, kept, before, account_id, node)
        if kept.parent is not None or kept.founder is not target_founder:
            self._queue.append(kept.founder)
        return True

    def _hang(self, node: Node, named: Iterable[Node]) -> None:
        """Hang the block a message founded on a conversation it refers to: its sender takes part there (W2).

        The same, and for the same rights, which are none, when its account holds a message there without rights.
        """
        block = node.block
        for other in named:
            if block in other.block.chain():
                continue
            base = other.block.base
            is_by_sender = self._is_trusted(node) and base.takes_part(node.sender or "", without=block)
            is_by_account = node.message.automated != "bounce" and base.is_held_by(node.accounts, without=block)
            if is_by_sender or is_by_account:
                if base is not block.base:
                    self._hang_on(node, other, is_by_sender=is_by_sender)
                return
        if block.parent is not None and block.stored_for is not node:
            self._forest.stand_alone(block)

    def _hang_on(self, node: Node, other: Node, *, is_by_sender: bool) -> None:
        block, target = node.block, other.block
        if self._forest.are_kept_apart(block, target):
            return
        self._forest.change(block)
        if block.parent is None:
            account_id = min(node.accounts)
            is_merge = block.home.stored is not None
            why = objection_to_hanging(block.home, target.base.home)
            if why is None and is_merge and not self._forest.may_merge(account_id):
                why = "many_merges"
            if why is not None:
                self._forest.pair(node, other, why)
                return
            before = self._forest.conversation(block.home) if is_merge else None
            self._forest.absorb(block.home, target, before, account_id, node)
        block.hang_on(target, is_by_sender=is_by_sender)
        block.stored_for = None
        block.size = NOT_LOOKED_AT
        self._forest.change(block)

    def _join_by_hint(self, node: Node) -> None:
        """Join by provider thread, Exchange thread or subject a message that no reference placed."""
        if not _is_waiting(node):
            return
        for kind, other in self._hints.candidates(node):
            base = other.block.base
            if base is node.block.base or any(base is origin.block.base for origin in node.derived_from):
                continue
            shared = node.accounts & other.accounts & other.block.accounts
            if shared and self._agree(kind, node, other) and self._unite_by_hint(node, other, min(shared)):
                return

    def _agree(self, kind: str, node: Node, other: Node) -> bool:
        """Say whether two messages bear a hint out; by subject only a reply that nothing else placed joins."""
        if kind != "subject" or other.order < node.order:
            return agree(kind, node, other, self._ours)
        return _is_waiting(other) and agree(kind, other, node, self._ours)

    def _unite_by_hint(self, node: Node, other: Node, account_id: int) -> bool:
        """Unite the blocks of two messages; of two that nothing placed, the elder one founded what they become."""
        founder = other.block.founder
        if _is_waiting(founder) and node.order < founder.order:
            return self._unite(founder, node, node.block, account_id)
        return self._unite(node, other, other.block, account_id)

    def _note_growth(self, block: Block) -> None:
        """Look again at what may have a witness now that more people or accounts take part in a conversation.

        Those that refer to one of its messages, and its own messages that refer to another conversation.
        """
        if block.size == (size := _size(block)):
            return
        block.size = size
        for each in block.base.tree():
            for node in each.nodes:
                if self._forest.claimed_by(node):
                    self._queue.append(node)
                for known_id in node.ids:
                    self._queue.extend(other for other in self._claiming.get(known_id, ()) if other.block is not each)

    def _is_derived(self, node: Node, other: Node) -> bool:
        """Say whether a message is a forward to new people under a new subject: a conversation of its own (4.3)."""
        if not node.message.is_forward or node.message.base_subject == other.message.base_subject:
            return False
        others = [person for person in node.people if person != node.sender and not is_ours(person, self._ours)]
        return bool(others) and not any(other.block.base.takes_part(person) for person in others)

    def _is_trusted(self, node: Node) -> bool:
        """Say whether a sender may be believed where no account vouches: one of ours only with a proof (A)."""
        return node.sender is not None and (node.is_proved or not is_ours(node.sender, self._ours))

    # --- finding again -------------------------------------------------------------------------------------------

    def _register(self, node: Node) -> None:
        self._nodes[node.id] = node
        self._same[node.message.mid_hash, node.message.fingerprint].append(node)
        if not node.message.namespace:
            for each in node.claims:
                self._claiming[each].append(node)
        self._register_copies(node)

    def _register_copies(self, node: Node) -> None:
        for each in node.ids:
            if node not in self._with_id[each]:
                self._with_id[each].append(node)
        for copy in node.copies:
            self._copies[copy.account_id, copy.provider_id] = node
        if not node.message.namespace and not node.failed:
            self._hints.add(node)


def _is_waiting(node: Node) -> bool:
    """Say whether a message founded its conversation because nothing placed it elsewhere."""
    block = node.block
    return node.is_root and block.parent is None and not node.failed and node is block.founder


def _is_same(one: Copy, other: Copy) -> bool:
    return (one.account_id, one.provider_id) == (other.account_id, other.provider_id)


def _distance(node: Node, other: Node) -> tuple[bool, bool, bool]:
    """Return how far a message with a reused id is from the one that names it; false is nearer.

    Nearest is what the account holds, then whose author the answer goes to, then what the answering person got.
    """
    return (
        node.accounts.isdisjoint(other.block.accounts),
        other.sender not in node.people,
        node.sender not in other.people,
    )


def _size(block: Block) -> tuple[int, int, int]:
    return len(block.people), len(block.accounts), len(block.held)
