"""Who may read a message, who may link a conversation, what a CRM note may hold (conversations.md V, linking.md S14).

Everything is judged copy by copy: a reader sees of a message what the copies show that this reader may read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from app.linking.authenticity import direction, message_verdict, sender
from app.model import Account, Conversation, Copy, Level, Member, Message, NoteMessage, Ours, Participant

LEVELS: tuple[Level, ...] = ("private", "metadata", "subject", "full")  # each shows what those before it show
_WITH_RIGHTS = frozenset({"founded", "w1", "w3"})  # V3: a copy that joined by W2 lets its holder read it, no more


@dataclass(frozen=True, slots=True)
class Reader:
    """A member as a reader: the accounts that are this member's, owned or shared as a collaborator."""

    member_id: int
    is_admin: bool
    account_ids: frozenset[int]

    @classmethod
    def of(cls, member: Member, accounts: Iterable[Account]) -> Reader:
        """Build the reader a member is, from all accounts of the team."""
        own = frozenset(
            account.id for account in accounts if account.owner_id == member.id or member.id in account.collaborator_ids
        )
        return cls(member.id, member.role == "admin", own)

    def without_administration(self) -> Reader:
        """Return the same member with no more than an owner's rights."""
        return replace(self, is_admin=False)


def message_level(
    reader: Reader,
    message: Message,
    conversation: Conversation,
    accounts: Iterable[Account],
    ours: Ours,
    *,
    sees_item: bool = True,
) -> Level:
    """Return how much of a message a member may read.

    All of it through a copy in an own account; what the accounts share, for who sees the linked item, but never mail
    among ourselves (T9); people and dates for an administrator.
    """
    if not reader.account_ids.isdisjoint(copy.account_id for copy in message.copies):
        return "full"
    shared: Level = "private"
    if sees_item and conversation.primary_link is not None and direction(message, ours) != "internal":
        shared = _widest(_shared_levels(message, conversation, _by_id(accounts)).values())
    return _widest((shared, "metadata")) if reader.is_admin else shared


def readable_copy(
    reader: Reader,
    message: Message,
    conversation: Conversation,
    accounts: Iterable[Account],
    ours: Ours,
    *,
    sees_item: bool = True,
) -> Copy | None:
    """Return the copy whose text a member may read: an own one, else one whose account shares it in full.

    A copy may carry other content than its siblings, so one that its owner keeps is never shown for another.
    """
    own = next((c for c in message.copies if c.account_id in reader.account_ids and not c.deleted), None)
    if own is not None or conversation.primary_link is None or not sees_item or direction(message, ours) == "internal":
        return own
    levels = _shared_levels(message, conversation, _by_id(accounts))
    return next((copy for copy, level in levels.items() if level == "full" and not copy.deleted), None)


def may_see(
    reader: Reader, conversation: Conversation, accounts: Iterable[Account], ours: Ours, *, sees_item: bool = True
) -> bool:
    """Say whether a conversation exists for a member; when not, every answer is `not_found` (V6)."""
    known = tuple(accounts)
    return any(
        message_level(reader, message, conversation, known, ours, sees_item=sees_item) != "private"
        for message in conversation.messages
    )


def may_link(reader: Reader, conversation: Conversation) -> bool:
    """Say whether a member is one of the conversation's owners, or an administrator (S14, V3)."""
    return reader.is_admin or not reader.account_ids.isdisjoint(_holders(conversation))


def visible_bcc(reader: Reader, message: Message) -> tuple[Participant, ...]:
    """Return the Bcc recipients a member may know of: those on the sender's copy, for its owner."""
    return tuple(
        person
        for copy in message.copies
        if copy.in_sent and copy.account_id in reader.account_ids
        for person in copy.bcc
    )


def note_messages(conversation: Conversation, accounts: Iterable[Account], ours: Ours) -> tuple[NoteMessage, ...]:
    """Return what the CRM note of a conversation may hold, by time: what everybody who sees the item may read.

    No mail among ourselves (T9), none whose sender is proven false (A), and of the others what their copies share.
    """
    known = _by_id(accounts)
    ordered = sorted(conversation.messages, key=lambda message: (message.at, message.mid_hash, message.fingerprint))
    found = (_note_message(message, conversation, known, ours) for message in ordered)
    return tuple(each for each in found if each is not None)


def _note_message(
    message: Message, conversation: Conversation, accounts: Mapping[int, Account], ours: Ours
) -> NoteMessage | None:
    way = direction(message, ours)
    if way == "internal" or message_verdict(message) == "fail":
        return None
    levels = _shared_levels(message, conversation, accounts)
    level = _widest(levels.values())
    if level == "private":
        return None
    author = sender(message) or Participant("", "from")
    # A copy may carry other content than its siblings: one that is false, or that its owner keeps, shows nothing.
    content = next((copy for copy, shown in levels.items() if shown == "full" and not copy.deleted), None)
    return NoteMessage(
        at=message.at,
        from_name=author.name,
        from_address=author.address,
        direction=way,
        subject=message.subject if level in {"subject", "full"} else None,
        snippet=content.snippet if content else None,
        attachments=tuple(attachment.name for attachment in content.attachments) if content else (),
        internet_id=message.internet_id,
    )


def _shared_levels(message: Message, conversation: Conversation, accounts: Mapping[int, Account]) -> dict[Copy, Level]:
    """Return how much each copy shows to who sees the linked item, eldest first; a false copy shows nothing."""
    copies = sorted(message.copies, key=lambda copy: (copy.at, copy.account_id))
    return {
        copy: _shared_level(accounts[copy.account_id], conversation, accounts)
        for copy in copies
        if copy.account_id in accounts and (copy.verdict != "fail" or copy.genuine)
    }


def _shared_level(account: Account, conversation: Conversation, accounts: Mapping[int, Account]) -> Level:
    """Return the level an account shares a conversation at.

    An owner may make it more private for everybody, but open it wider only when nobody else's account holds it.
    """
    override = conversation.visibility
    if override is None or override == account.visibility:
        return account.visibility
    if LEVELS.index(override) < LEVELS.index(account.visibility):
        return override
    owners = {_owners(accounts[each]) for each in _holders(conversation) if each in accounts}
    return override if owners == {_owners(account)} else account.visibility


def _owners(account: Account) -> frozenset[int]:
    return account.collaborator_ids if account.owner_id is None else frozenset({account.owner_id})


def _holders(conversation: Conversation) -> set[int]:
    """Return the accounts with a copy that founded the conversation or joined it with a witness that gives rights."""
    return {
        copy.account_id for message in conversation.messages for copy in message.copies if copy.joined in _WITH_RIGHTS
    }


def _widest(levels: Iterable[Level]) -> Level:
    return max(levels, key=LEVELS.index, default="private")


def _by_id(accounts: Iterable[Account]) -> dict[int, Account]:
    return {account.id: account for account in accounts}
