"""What may say that two messages belong together when no reference does: provider thread, Exchange thread, subject.

A hint is not a witness: it only counts between two messages that one account holds (mail-connectors.md 4.3, 4.5).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from app.linking.addresses import is_ours
from app.linking.alias import SUBJECT_WINDOW, answered_subject, subjects
from app.linking.blocks import Node
from app.model import Ours

MAX_MESSAGES_FOR_SUBJECT = 500  # a conversation that long is not continued by its subject alone
_MAX_CANDIDATES = 20  # of one hint: a subject that is used more often says nothing

_Hint = tuple[str, int, str]


class Index:
    """The messages by hint."""

    def __init__(self) -> None:
        self._nodes: dict[_Hint, list[Node]] = defaultdict(list)
        self._hints: dict[Node, list[_Hint]] = {}

    def add(self, node: Node) -> None:
        """Remember a message, or an account that now holds a copy of it as well."""
        self._hints[node] = list(_hints(node))
        for hint in self._hints[node]:
            there = self._nodes[hint]
            # Who names an unknown id joins the first that named it, so nobody needs to know the others.
            if node not in there[-_MAX_CANDIDATES:] and not (hint[0] == "claim" and there):
                there.append(node)

    def candidates(self, node: Node) -> Iterator[tuple[str, Node]]:
        """Yield (kind of hint, other message), the best kind first, then the newest."""
        for hint in self._hints.get(node, ()):
            for other in reversed(self._nodes[hint][-_MAX_CANDIDATES:]):
                if other is not node and not other.message.namespace:
                    yield hint[0], other


def agree(kind: str, joiner: Node, other: Node, ours: Ours) -> bool:
    """Say whether what two messages say themselves bears the hint out, `joiner` being the one that would join."""
    if kind == "claim":
        return joiner.message.base_subject == other.message.base_subject or not (
            joiner.message.is_forward or other.message.is_forward
        )
    if kind == "thread":
        return joiner.message.base_subject == other.message.base_subject or len(joiner.people ^ other.people) < 2
    if kind == "index":
        return joiner.message.base_subject == other.message.base_subject and _share(joiner, other, ours)[0]
    return _answers_by_subject(joiner, other, ours)


def _answers_by_subject(joiner: Node, other: Node, ours: Ours) -> bool:
    base = other.block.base
    return (
        answered_subject(joiner.message) == other.message.base_subject
        and other.order < joiner.order
        and joiner.order[0] - other.order[0] <= SUBJECT_WINDOW
        and sum(len(block.nodes) for block in base.tree()) <= MAX_MESSAGES_FOR_SUBJECT
        and joiner.sender is not None
        and base.takes_part(joiner.sender)
        and _share(joiner, other, ours) == (True, True)
    )


def _share(one: Node, other: Node, ours: Ours) -> tuple[bool, bool]:
    """Return whether somebody who is not ours takes part in both, and whether somebody who is."""
    whose = {is_ours(address, ours) for address in one.people & other.people}
    return False in whose, True in whose


def _hints(node: Node) -> Iterator[_Hint]:
    message = node.message
    bases = subjects(message)
    for copy in node.copies:
        account = copy.account_id
        for claimed in node.claims:
            yield "claim", account, claimed
        if copy.provider_thread_id:
            yield "thread", account, copy.provider_thread_id
        if message.thread_index:
            yield "index", account, message.thread_index
        for base in bases:
            yield "subject", account, base
