"""Messages while they are being placed: who wrote them, who holds them, which of them stand or fall together.

A block is a set of messages joined by witnesses that give rights (W1, W3). A conversation is one block, and the blocks
that hang on it by a witness that gives none (W2): those may turn out to belong elsewhere, and then move as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.linking.addresses import is_ours
from app.linking.alias import claimed_ids, own_ids
from app.linking.authenticity import message_verdict, sender
from app.model import Conversation, Copy, Joined, Link, Message, Ours, Tombstone, Verdict

_KEPT_FLAGS = frozenset({"message_id_reused", "derived"})  # once true, always true
_COMPUTED_FLAGS = _KEPT_FLAGS | {"new_here"}

NOT_LOOKED_AT = (0, 0, 0)  # the size of a block of which nobody who claims it has heard

Order = tuple[datetime, bytes, bytes]


@dataclass(slots=True, eq=False)
class Home:
    """What makes a block a conversation: its id, and what hangs on it. `stored` is it as it was given, if it was."""

    id: int
    namespace: str = ""
    stored: Conversation | None = None
    links: tuple[Link, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()

    @property
    def primary_link(self) -> Link | None:
        return next((link for link in self.links if link.is_primary), None)

    def take_over(self, other: Home) -> None:
        """Take the links and tombstones of a conversation that becomes part of this one."""
        links = {link.ref: link for link in self.links}
        for link in other.links:
            # Both linked to one record: what a person chose stays (data.md, merge).
            if link.ref not in links or (link.origin == "manual" and links[link.ref].origin != "manual"):
                links[link.ref] = link
        self.links = tuple(links.values())
        known = {tombstone.ref for tombstone in self.tombstones}
        self.tombstones += tuple(each for each in other.tombstones if each.ref not in known)


class Node:
    """A message, and what counts when it is placed.

    ids          its own
    claims       those it refers to, the one it answers first
    people       the addresses that take part in it, Bcc included
    accounts     those whose copy can be a witness for it: none when its sender is proven false
    holding      those whose copy makes them hold it
    derived_from those it forwards to new people under a new subject
    is_root      it founded its block: it had no witness that gives rights
    is_new_here  its sender took no part before, so it gives nobody anything (Block.is_new_here)
    """

    __slots__ = (
        "accounts",
        "block",
        "claims",
        "copies",
        "derived_from",
        "failed",
        "flags",
        "holding",
        "id",
        "ids",
        "is_new_here",
        "is_proved",
        "is_root",
        "message",
        "order",
        "people",
        "sender",
    )

    block: Block

    def __init__(self, node_id: int, message: Message, copies: Sequence[Copy], *, is_root: bool) -> None:
        self.id = node_id
        self.message = message
        self.claims = claimed_ids(message)
        author = sender(message)
        self.sender = author.address if author else None
        self.derived_from: set[Node] = set()
        self.flags = {flag for flag in message.flags if flag in _KEPT_FLAGS}
        self.is_root = is_root
        self.is_new_here = False
        self._take(copies, message_verdict(message))

    def set_copies(self, copies: Sequence[Copy]) -> None:
        """Take these copies, and work out again what follows from them."""
        self._take(copies, message_verdict(replace(self.message, copies=tuple(copies))))

    def _take(self, copies: Sequence[Copy], verdict: Verdict) -> None:
        message = self.message
        self.copies = tuple(copies)
        self.ids = own_ids(message, copies)
        self.order: Order = (
            min((copy.at for copy in copies), default=message.at),
            message.mid_hash,
            message.fingerprint,
        )
        self.failed = verdict == "fail"
        self.is_proved = verdict in {"own", "pass"}
        every = frozenset(copy.account_id for copy in copies)
        good = frozenset(copy.account_id for copy in copies if copy.verdict != "fail" or copy.genuine)
        self.accounts: frozenset[int] = frozenset() if self.failed else good
        self.holding = every if self.failed else good
        people = {person.address for person in message.participants if person.role != "reply_to"}
        people.update(person.address for copy in copies for person in copy.bcc)
        self.people = frozenset(people)


class Block:
    """Messages joined by witnesses that give rights.

    home          what makes it a conversation; of no account while it hangs on another
    parent        the block it hangs on without rights
    is_by_sender  it hangs there because its sender takes part (W2), not because an account holds a copy
    stored_for    the message for which a stored conversation has it there; nothing says otherwise since
    size          how many people and accounts it had when that was last looked at
    """

    __slots__ = (
        "_accounts",
        "_held",
        "_last",
        "_people",
        "children",
        "home",
        "is_by_sender",
        "is_stale",
        "nodes",
        "parent",
        "size",
        "stored_for",
    )

    def __init__(self, home: Home) -> None:
        self.home = home
        self.nodes: list[Node] = []
        self.parent: Block | None = None
        self.children: list[Block] = []
        self.is_by_sender = False
        self.stored_for: Node | None = None
        self.is_stale = False
        self.size = NOT_LOOKED_AT
        self._people: set[str] = set()
        self._accounts: set[int] = set()
        self._held: set[int] = set()
        self._last: Order | None = None

    @property
    def people(self) -> set[str]:
        """Who takes part: everybody on a message that founded the block, or whose sender took part before."""
        self._refresh()
        return self._people

    @property
    def accounts(self) -> set[int]:
        """The accounts that hold it with rights."""
        self._refresh()
        return self._accounts

    @property
    def held(self) -> set[int]:
        """The accounts that hold any of its messages."""
        self._refresh()
        return self._held

    def is_new_here(self, node: Node) -> bool:
        """Say whether the sender of one of its messages took no part before."""
        self._refresh()
        return node.is_new_here

    @property
    def founder(self) -> Node:
        """The eldest of the messages that founded it."""
        self._refresh()
        return next((node for node in self.nodes if node.is_root), self.nodes[0])

    @property
    def eldest(self) -> Node:
        """The eldest of its messages: by clocks that differ, so it need not be the founder."""
        self._refresh()
        return self.nodes[0]

    @property
    def base(self) -> Block:
        """The block that is the conversation."""
        block = self
        while block.parent is not None:
            block = block.parent
        return block

    def tree(self) -> Iterator[Block]:
        """Yield this block and all that hang on it."""
        yield self
        for child in self.children:
            yield from child.tree()

    def chain(self) -> Iterator[Block]:
        """Yield this block, the one it hangs on, and so on to the base."""
        block: Block | None = self
        while block is not None:
            yield block
            block = block.parent

    def add(self, node: Node) -> None:
        """Add a message: at no cost when it is the newest."""
        self.nodes.append(node)
        node.block = self
        if self.is_stale or node.is_root or self._last is None or node.order < self._last:
            self.is_stale = True
        else:
            self._count(node)

    def hang_on(self, parent: Block | None, *, is_by_sender: bool = False) -> None:
        """Hang on another block, or on none."""
        if self.parent is not None:
            self.parent.children.remove(self)
        if parent is not None:
            parent.children.append(self)
        self.parent = parent
        self.is_by_sender = is_by_sender

    def takes_part(self, address: str, without: Block | None = None) -> bool:
        """Say whether somebody takes part in the conversation of which this is the base.

        What hangs on it counts when its own sender takes part, `without` (and what hangs on that) does not.
        """
        return address in self.people or any(
            child.is_by_sender and child is not without and child.takes_part(address, without)
            for child in self.children
        )

    def is_held_by(self, accounts: frozenset[int], without: Block) -> bool:
        """Say whether one of the accounts holds any message of the conversation of which this is the base."""
        return not accounts.isdisjoint(self.held) or any(
            child is not without and child.is_held_by(accounts, without) for child in self.children
        )

    def counterparts(self, before: Order, ours: Ours, *, sure: bool) -> set[str]:
        """Return who took part before a moment and is not ours; `sure` leaves out what strangers brought in.

        The time of the messages decides, not the order in which they were read.
        """
        self._refresh()
        people = set[str]().union(
            *(node.people for node in self.nodes if node.order < before and not (sure and node.is_new_here))
        )
        found = {address for address in people if not is_ours(address, ours)}
        if not sure:
            for child in self.children:
                found |= child.counterparts(before, ours, sure=False)
        return found

    def _refresh(self) -> None:
        """Work out again who takes part: in the order of time, whatever the order of arrival."""
        if not self.is_stale:
            return
        self.is_stale = False
        self.nodes.sort(key=lambda node: node.order)
        # What founded the block counts from the start: providers' clocks differ, and an answer may look older.
        roots = [node for node in self.nodes if node.is_root]
        self._people = set[str]().union(*(node.people for node in roots))
        self._accounts, self._held = set(), set()
        for node in self.nodes:
            self._count(node)

    def _count(self, node: Node) -> None:
        self._last = node.order
        node.is_new_here = not node.is_root and (node.failed or node.sender not in self._people)
        self._held |= node.holding
        if not node.is_new_here:
            self._people |= node.people
            self._accounts |= node.holding


def load(conversation: Conversation, home: Home) -> Block:
    """Build the blocks of a stored conversation; return its base."""
    ordered = sorted(conversation.messages, key=lambda message: (message.at, message.mid_hash, message.fingerprint))
    rightful = [message for message in ordered if message.joined != "w2"]
    base = Block(home)
    for message in rightful or ordered:
        base.add(Node(message.id, message, message.copies, is_root=message.joined == "founded"))
    if not any(node.is_root for node in base.nodes):  # it was given back by undoing a merge
        base.nodes[0].is_root = True
        base.is_stale = True
    with_id: dict[str, Node] = {}
    for message in ordered if rightful else ():
        if message.joined != "w2":
            continue
        node = Node(message.id, message, message.copies, is_root=False)
        answered = (with_id[each] for each in node.claims if each in with_id)
        block = next((each.block for each in answered if not each.accounts.isdisjoint(node.accounts)), None)
        if block is None:
            node.is_root = True
            block = Block(home)
            block.hang_on(base, is_by_sender=node.sender is not None and node.sender in base.people)
            block.stored_for = node
        block.add(node)
        with_id.update(dict.fromkeys(node.ids, node))
    return base


def exported(node: Node) -> Message:
    """Return the message as it stands now; the very one that was given when nothing changed."""
    message = node.message
    joined: Joined = "founded" if node.is_root else "w1"
    if node.block.parent is not None:
        joined = "w2"
    copies = tuple(
        copy if copy.joined == (came := copy_joined(node, copy)) else replace(copy, joined=came) for copy in node.copies
    )
    kept = tuple(flag for flag in message.flags if flag not in _COMPUTED_FLAGS)
    now = (node.id, node.order[0], joined, copies, kept + flags(node))
    if (message.id, message.at, message.joined, message.copies, message.flags) == now:
        return message
    return replace(message, id=now[0], at=now[1], joined=joined, copies=copies, flags=now[4])


def flags(node: Node) -> tuple[str, ...]:
    """Return what is to be said about how a message came in."""
    block = node.block
    # A block that hangs here because an account holds a copy was founded by a stranger.
    is_new_here = block.is_new_here(node) or (
        block.parent is not None and not block.is_by_sender and node is block.founder
    )
    return tuple(sorted(node.flags | {"new_here"} if is_new_here else node.flags))


def copy_joined(node: Node, copy: Copy) -> Joined:
    """Say how a copy came in: "w2" gives its holder no right over the conversation (conversations.md V2, V3)."""
    if node.block.parent is not None or copy.account_id not in node.block.accounts:
        return "w2"
    if copy is not node.copies[0]:
        return "w3"
    return "founded" if node.is_root else "w1"
