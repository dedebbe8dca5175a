"""Who may read, link and see in a note: a test for each sentence of conversations.md V and linking.md "Visibility"."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.linking.visibility import (
    LEVELS,
    Reader,
    may_link,
    may_see,
    message_level,
    note_messages,
    readable_copy,
    visible_bcc,
)
from app.model import (
    Account,
    Attachment,
    Conversation,
    ItemRef,
    Joined,
    Level,
    Link,
    Member,
    Message,
    NoteMessage,
)
from tests.unit.linking.mails import ADA, BEA, CAN, OURS, START, copy_in, mail

ADA_ID, CAN_ID, DIR_ID = 11, 12, 13
LINK = Link(1, ItemRef("deal", "1"), True, "automatic", None, START)


def account(
    number: int, owner_id: int | None, visibility: Level = "full", collaborators: tuple[int, ...] = ()
) -> Account:
    return Account(
        id=number,
        public_id=str(number),
        team_id=1,
        provider="gmail",
        kind="team" if owner_id is None else "personal",
        address=f"a{number}@northwind.test",
        mailbox=f"a{number}",
        own_addresses=frozenset(),
        auto_link=True,
        visibility=visibility,
        owner_id=owner_id,
        collaborator_ids=frozenset(collaborators),
    )


ACCOUNTS = (account(1, ADA_ID), account(2, CAN_ID), account(3, None, collaborators=(ADA_ID, DIR_ID)))


def reader(member_id: int, accounts: tuple[Account, ...] = ACCOUNTS, *, is_admin: bool = False) -> Reader:
    member = Member(member_id, "", "", "", "admin" if is_admin else "member")
    return Reader.of(member, accounts)


def held_by(message: Message, *numbers: int, joined: Joined = "w1", **changes: object) -> Message:
    """Return the message with a copy in each of these accounts."""
    model = replace(message.copies[0], snippet="Hello", text="Hello there", attachments=(Attachment("q.pdf", 1),))
    copies = (
        replace(model, id=number, account_id=number, provider_id=str(number), joined=joined, **changes)
        for number in numbers
    )
    return replace(message, copies=tuple(copies))


def conversation(*messages: Message, **more: object) -> Conversation:
    return Conversation(1, messages=messages, **{"links": (LINK,), **more})


M = held_by(copy_in(mail("m", BEA, ADA), ADA), 1, joined="founded")


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_member_reads_a_message_through_an_own_account() -> None:
    assert message_level(reader(ADA_ID), M, conversation(M, links=()), ACCOUNTS, OURS) == "full"


def test_a_collaborator_reads_a_team_account() -> None:
    message = held_by(M, 3)
    for member, level in [(ADA_ID, "full"), (DIR_ID, "full"), (CAN_ID, "private")]:
        assert message_level(reader(member), message, conversation(message, links=()), ACCOUNTS, OURS) == level


@pytest.mark.parametrize("level", LEVELS)
def test_others_read_at_the_level_of_the_account_when_they_see_the_linked_item(level: Level) -> None:
    accounts = (account(1, ADA_ID, level), account(2, CAN_ID))
    assert message_level(reader(CAN_ID, accounts), M, conversation(M), accounts, OURS) == level


def test_it_is_private_while_not_linked() -> None:
    assert message_level(reader(CAN_ID), M, conversation(M, links=()), ACCOUNTS, OURS) == "private"
    related = replace(LINK, is_primary=False, ref=ItemRef("person", "p"))
    assert message_level(reader(CAN_ID), M, conversation(M, links=(related,)), ACCOUNTS, OURS) == "private"


def test_it_is_private_for_who_does_not_see_the_item() -> None:
    assert message_level(reader(CAN_ID), M, conversation(M), ACCOUNTS, OURS, sees_item=False) == "private"


def test_a_reader_sees_what_the_most_open_copy_shows() -> None:
    accounts = (account(1, ADA_ID, "metadata"), account(2, CAN_ID, "subject"), account(3, DIR_ID))
    message = held_by(M, 1, 2)
    assert message_level(reader(DIR_ID, accounts), message, conversation(message), accounts, OURS) == "subject"


def test_a_copy_in_an_account_that_is_gone_shows_nothing() -> None:
    assert message_level(reader(CAN_ID), M, conversation(M), ACCOUNTS[1:], OURS) == "private"


def test_a_false_copy_shows_nothing_to_others_until_it_is_said_to_be_genuine() -> None:
    false = held_by(M, 1, verdict="fail")
    assert message_level(reader(CAN_ID), false, conversation(false), ACCOUNTS, OURS) == "private"
    genuine = held_by(M, 1, verdict="fail", genuine=True)
    assert message_level(reader(CAN_ID), genuine, conversation(genuine), ACCOUNTS, OURS) == "full"


def test_mail_among_ourselves_is_not_seen_through_the_item() -> None:
    internal = held_by(copy_in(mail("i", ADA, CAN), ADA), 1)
    whole = conversation(M, internal)
    assert message_level(reader(DIR_ID), internal, whole, ACCOUNTS, OURS) == "private"
    assert message_level(reader(ADA_ID), internal, whole, ACCOUNTS, OURS) == "full"


def copy_read(member: int, message: Message, accounts: tuple[Account, ...] = ACCOUNTS, **more: object) -> int | None:
    sees_item = bool(more.pop("sees_item", True))
    found = readable_copy(
        reader(member, accounts), message, conversation(message, **more), accounts, OURS, sees_item=sees_item
    )
    return found.account_id if found else None


def test_an_own_copy_is_read_before_a_shared_one() -> None:
    message = held_by(M, 1, 2)
    assert (copy_read(ADA_ID, message), copy_read(CAN_ID, message)) == (1, 2)


def test_a_copy_that_its_owner_keeps_is_not_shown_for_one_that_is_shared() -> None:
    accounts = (account(1, ADA_ID, "private"), account(2, CAN_ID), account(3, DIR_ID))
    message = held_by(M, 1, 2)
    assert copy_read(DIR_ID, message, accounts) == 2
    assert copy_read(DIR_ID, held_by(M, 1), accounts) is None
    assert copy_read(ADA_ID, message, accounts) == 1


@pytest.mark.parametrize("level", LEVELS)
def test_a_text_is_read_through_a_copy_that_is_shared_in_full(level: Level) -> None:
    accounts = (account(1, ADA_ID, level), account(2, CAN_ID))
    assert copy_read(CAN_ID, M, accounts) == (1 if level == "full" else None)


def test_a_copy_that_was_deleted_is_read_by_nobody() -> None:
    assert copy_read(ADA_ID, held_by(M, 1, deleted=True)) is None
    assert copy_read(CAN_ID, held_by(M, 1, deleted=True)) is None


def test_no_text_is_read_without_link_item_or_among_ourselves() -> None:
    assert copy_read(CAN_ID, M, links=()) is None
    assert copy_read(CAN_ID, M, sees_item=False) is None
    assert copy_read(DIR_ID, held_by(copy_in(mail("i", ADA, CAN), ADA), 1)) is None


# --- the owner's override --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("override", LEVELS)
@pytest.mark.parametrize("default", LEVELS)
def test_an_owner_may_override_the_level_for_a_conversation(override: Level, default: Level) -> None:
    accounts = (account(1, ADA_ID, default), account(2, CAN_ID))
    whole = conversation(M, visibility=override)
    assert message_level(reader(CAN_ID, accounts), M, whole, accounts, OURS) == override


@pytest.mark.parametrize(("override", "level"), [("full", "metadata"), ("private", "private")])
def test_an_override_opens_nobody_elses_copies_but_may_close_them(override: Level, level: Level) -> None:
    accounts = (account(1, ADA_ID, "metadata"), account(2, CAN_ID, "metadata"), account(3, DIR_ID))
    message = held_by(M, 1, 2)
    whole = conversation(message, visibility=override)
    assert message_level(reader(DIR_ID, accounts), message, whole, accounts, OURS) == level


def test_an_override_opens_no_copy_that_joined_without_rights() -> None:
    accounts = (account(1, ADA_ID), account(2, CAN_ID, "metadata"), account(3, DIR_ID))
    weak = held_by(replace(M, internet_id="<w@x>"), 2, joined="w2")
    whole = conversation(M, weak, visibility="full")
    assert message_level(reader(DIR_ID, accounts), weak, whole, accounts, OURS) == "metadata"


def test_collaborators_of_one_team_account_are_one_owner() -> None:
    accounts = (account(1, None, "metadata", (ADA_ID, CAN_ID)), account(2, None, "metadata", (CAN_ID, ADA_ID)))
    message = held_by(M, 1, 2)
    whole = conversation(message, visibility="full")
    assert message_level(reader(DIR_ID, accounts), message, whole, accounts, OURS) == "full"


# --- administrators --------------------------------------------------------------------------------------------------


def test_administrators_see_neither_subject_nor_text_of_a_private_conversation() -> None:
    for whole in (conversation(M, links=()), conversation(M, visibility="private")):
        assert message_level(reader(CAN_ID, is_admin=True), M, whole, ACCOUNTS, OURS) == "metadata"


def test_administrators_read_what_everybody_who_sees_the_item_reads() -> None:
    assert message_level(reader(CAN_ID, is_admin=True), M, conversation(M), ACCOUNTS, OURS) == "full"


def test_administrators_know_of_mail_among_ourselves_no_more_than_people_and_dates() -> None:
    internal = held_by(copy_in(mail("i", ADA, CAN), ADA), 1)
    level = message_level(reader(DIR_ID, is_admin=True), internal, conversation(M, internal), ACCOUNTS, OURS)
    assert level == "metadata"


# --- what exists, who may link ---------------------------------------------------------------------------------------


def test_what_a_member_may_not_see_at_all_is_not_there() -> None:
    assert not may_see(reader(CAN_ID), conversation(M, links=()), ACCOUNTS, OURS)
    assert not may_see(reader(CAN_ID), conversation(M, visibility="private"), ACCOUNTS, OURS)
    assert not may_see(reader(CAN_ID), conversation(M), ACCOUNTS, OURS, sees_item=False)


def test_one_readable_message_makes_a_conversation_visible() -> None:
    other = held_by(replace(M, internet_id="<o@x>"), 2, joined="w2")
    assert may_see(reader(CAN_ID), conversation(M, other, links=()), iter(ACCOUNTS), OURS)
    assert may_see(reader(DIR_ID), conversation(M), iter(ACCOUNTS), OURS)
    assert may_see(reader(DIR_ID, is_admin=True), conversation(M, links=()), ACCOUNTS, OURS)


@pytest.mark.parametrize(("joined", "may"), [("founded", True), ("w1", True), ("w3", True), ("w2", False)])
def test_link_rights_come_from_a_copy_with_a_witness(joined: Joined, may: bool) -> None:
    whole = conversation(M, held_by(replace(M, internet_id="<o@x>"), 2, joined=joined))
    assert may_link(reader(CAN_ID), whole) == may


def test_collaborators_of_a_team_account_and_administrators_may_link() -> None:
    whole = conversation(held_by(M, 3))
    assert may_link(reader(DIR_ID), whole)
    assert not may_link(reader(CAN_ID), whole)
    admin = reader(CAN_ID, is_admin=True)
    assert may_link(admin, whole)
    assert not may_link(admin.without_administration(), whole)


def test_what_a_member_sees_is_not_always_what_a_member_may_link() -> None:
    assert may_see(reader(CAN_ID), conversation(M), ACCOUNTS, OURS)
    assert not may_link(reader(CAN_ID), conversation(M))


def test_bcc_recipients_are_shown_to_the_owner_of_the_senders_copy_alone() -> None:
    message = copy_in(mail("m", ADA, BEA, bcc=[CAN]), ADA)
    sent = message.copies[0]
    shown = replace(message, copies=(sent, replace(sent, account_id=2, in_sent=False)))
    assert [person.address for person in visible_bcc(reader(ADA_ID), shown)] == [CAN]
    assert visible_bcc(reader(CAN_ID), shown) == ()
    assert visible_bcc(reader(DIR_ID, is_admin=True), shown) == ()


# --- the note --------------------------------------------------------------------------------------------------------


def test_a_note_holds_what_everybody_who_sees_the_item_may_read() -> None:
    [noted] = note_messages(conversation(M), ACCOUNTS, OURS)
    assert noted == NoteMessage(START, "", BEA, "inbound", "Rollout plan", "Hello", ("q.pdf",), M.internet_id)


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("metadata", (None, None, ())),
        ("subject", ("Rollout plan", None, ())),
        ("full", ("Rollout plan", "Hello", ("q.pdf",))),
    ],
)
def test_a_note_shows_a_message_at_the_level_of_its_copies(level: Level, shown: tuple[object, ...]) -> None:
    [noted] = note_messages(conversation(M), [account(1, ADA_ID, level)], OURS)
    assert (noted.subject, noted.snippet, noted.attachments) == shown


def test_a_private_copy_is_not_in_the_note() -> None:
    private = held_by(replace(M, internet_id="<o@x>"), 2, joined="w2", snippet="margin")
    accounts = (account(1, ADA_ID), account(2, CAN_ID, "private"))
    noted = note_messages(conversation(M, private), accounts, OURS)
    assert [each.snippet for each in noted] == ["Hello"]


def test_making_a_conversation_more_private_empties_its_note() -> None:
    assert note_messages(conversation(M, visibility="private"), ACCOUNTS, OURS) == ()


def test_the_text_in_a_note_comes_from_a_copy_that_is_shared_whole() -> None:
    accounts = (account(1, ADA_ID, "subject"), account(2, CAN_ID))
    message = held_by(M, 1, 2)
    hers, his = message.copies
    shared = replace(message, copies=(replace(hers, snippet="hers"), replace(his, snippet="his")))
    [noted] = note_messages(conversation(shared), accounts, OURS)
    assert noted.snippet == "his"


def test_the_text_in_a_note_comes_from_no_false_copy() -> None:
    message = held_by(M, 1, 2)
    first, second = message.copies
    mixed = replace(message, copies=(replace(first, verdict="fail", snippet="forged"), replace(second, verdict="pass")))
    [noted] = note_messages(conversation(mixed), ACCOUNTS, OURS)
    assert noted.snippet == "Hello"


def test_a_message_whose_sender_is_false_is_not_in_the_note_unless_it_is_genuine() -> None:
    false = held_by(replace(M, internet_id="<f@x>"), 1, verdict="fail")
    assert len(note_messages(conversation(M, false), ACCOUNTS, OURS)) == 1
    genuine = held_by(replace(M, internet_id="<f@x>"), 1, verdict="fail", genuine=True)
    assert len(note_messages(conversation(M, genuine), ACCOUNTS, OURS)) == 2


def test_mail_among_ourselves_is_not_in_the_note() -> None:
    internal = held_by(copy_in(mail("i", ADA, CAN), ADA), 1)
    assert len(note_messages(conversation(M, internal), ACCOUNTS, OURS)) == 1


def test_a_deleted_mail_stays_in_the_note_without_its_text() -> None:
    [noted] = note_messages(conversation(held_by(M, 1, deleted=True)), ACCOUNTS, OURS)
    assert (noted.subject, noted.snippet, noted.attachments) == ("Rollout plan", None, ())


def test_a_note_is_ordered_by_time_whatever_the_order_of_arrival() -> None:
    later = held_by(copy_in(mail("r", ADA, BEA, at=5), ADA), 1, in_sent=True)
    noted = note_messages(conversation(later, M), ACCOUNTS, OURS)
    assert [(each.from_address, each.direction) for each in noted] == [(BEA, "inbound"), (ADA, "outbound")]


def test_a_note_never_holds_bcc() -> None:
    sent = held_by(copy_in(mail("m", ADA, BEA, bcc=["hidden@acme.test"]), ADA), 1)
    assert "hidden" not in repr(note_messages(conversation(sent), ACCOUNTS, OURS))


def test_a_mail_without_a_sender_is_noted_without_one() -> None:
    sent = held_by(copy_in(mail("m", ADA, BEA), ADA), 1)
    [noted] = note_messages(conversation(replace(sent, participants=sent.participants[1:])), ACCOUNTS, OURS)
    assert (noted.from_name, noted.from_address) == ("", "")
