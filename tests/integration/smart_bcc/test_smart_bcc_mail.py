"""Mail that a member sends to a Smart BCC address, through the real server, worker's job and database."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import doctor, sender_addresses, smart_bcc
from app.acting import Acting
from app.model import Policy
from app.policy import as_json
from app.ports import FilteredMessage, Mailbox
from app.store import smart_bcc as rows
from app.store import teams
from tests.integration.smart_bcc.post_office import ADA, BEA, BOB, DOMAIN, PostOffice, letter, opened, quoted

pytestmark = [pytest.mark.integration, pytest.mark.smtp, pytest.mark.enable_socket]

FORWARD = """See below.

---------- Forwarded message ---------
From: Bea <bea@acme.test>
Date: Mon, Mar 2, 2026 at 9:14 AM
Subject: Rollout
To: Ada <ada@northwind.test>

When do we start?
"""


def forwards(post: PostOffice, to: str, number: int = 5, text: str = FORWARD, **headers: str) -> bytes:
    return letter(text, to=to, subject="Fwd: Rollout", number=number, **headers)


def linked(post: PostOffice) -> list[tuple[str, str] | None]:
    """Return (item, origin) of each conversation's link."""
    links = [conversation.primary_link for conversation in post.conversations()]
    return [(str(link.ref), link.origin) if link else None for link in links]


def persons(post: PostOffice, *addresses: str) -> set[str]:
    return {person.name for person in post.office.crm.people_by_address(addresses)}


def set_policy(post: PostOffice, **changed: object) -> None:
    with post.office.team() as connection:
        teams.set_policy(connection, as_json(Policy(**changed)))  # type: ignore[arg-type]  # the test's own


# --- copies -----------------------------------------------------------------------------------------------------------


def test_a_copy_of_ones_own_mail_is_a_conversation_linked_by_the_rules(post: PostOffice) -> None:
    post.receive(post.address(), letter())
    found = post.only()
    assert [m.internet_id for m in found.messages] == ["<m1@northwind.test>"]
    (copy,) = found.messages[0].copies
    assert (copy.in_sent, copy.verdict) == (True, "own")
    assert linked(post) == [("deal/d1", "automatic")]
    post.office.write_notes()
    assert "Here they are." in post.office.notes()[0]


@pytest.mark.parametrize("first", ["copy", "mailbox"])
def test_a_copy_of_mail_that_a_mailbox_also_holds_is_one_conversation(post: PostOffice, first: str) -> None:
    sent = {"From": f"Ada <{ADA}>", "To": f"Bea <{BEA}>", "Subject": "Prices", "Message_ID": "<m1@northwind.test>"}
    sent["Date"] = "Mon, 02 Mar 2026 08:00:00 +0000"
    post.office.mail.deliver(ADA, 1, folder="sent", **sent)
    answer = {"From": f"Bea <{BEA}>", "To": f"Ada <{ADA}>", "In_Reply_To": "<m1@northwind.test>"}
    if first == "copy":
        post.receive(post.address(), letter())
        post.sync()
    else:
        post.sync()
        post.receive(post.address(), letter())
    post.office.mail.deliver(ADA, 2, **answer, Subject="Re: Prices", Message_ID="<m2@acme.test>")
    post.sync()
    found = post.only()
    assert [len(message.copies) for message in found.messages] == [2, 1]
    assert linked(post) == [("deal/d1", "automatic")]


def test_mail_that_is_delivered_again_is_there_once(post: PostOffice) -> None:
    address = post.address()
    for way in (b"", b"Received: from a by b; Mon, 02 Mar 2026 08:00:00 +0000\r\n"):
        post.receive(address, way + letter())
        post.receive(address, way + forwards(post, address))
    copied, forward = post.conversations()
    assert len(copied.messages[0].copies) == 1
    assert len(forward.messages) == 2
    assert post.office.value("SELECT count(*) FROM received_mail") == 2


def test_one_mail_to_two_addresses_is_linked_to_the_item_of_one(post: PostOffice) -> None:
    post.receive([post.address(), post.address(item=post.deal())], letter(to="somebody@else.test"))
    assert linked(post) == [("deal/d1", "smart_bcc")]


def test_the_teams_address_takes_mail_for_whoever_of_the_team_sends(post: PostOffice) -> None:
    post.receive(post.team_address(), letter(sender=BOB), mail_from=BOB)
    (copy,) = post.only().messages[0].copies
    assert post.office.account(copy.account_id).owner_id == post.member("bob").id


# --- items ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_team", [False, True])
def test_an_items_address_links_to_the_item(post: PostOffice, of_team: bool) -> None:
    post.office.crm.put_item("deal", "d2", "Closed", state="won", person="p1")
    address = post.team_address(post.deal("d2")) if of_team else post.address(item=post.deal("d2"))
    post.receive(address, letter())
    assert linked(post) == [("deal/d2", "smart_bcc")]  # by hand also a closed one
    post.receive(post.address(), letter("Again.", number=2, In_Reply_To="<m1@northwind.test>"))
    assert linked(post) == [("deal/d2", "smart_bcc")]


def test_an_items_address_replaces_an_automatic_link_and_no_choice(post: PostOffice) -> None:
    post.office.crm.put_item("deal", "d2", "Second", state="lost", person="p1")
    post.receive(post.address(), letter())
    assert linked(post) == [("deal/d1", "automatic")]
    answer = letter("More.", number=2, References="<m1@northwind.test>")
    post.receive(post.address(item=post.deal("d2")), answer)
    assert linked(post) == [("deal/d2", "smart_bcc")]
    post.office.link(post.only().id, "d1")
    post.receive(post.address(item=post.deal("d2")), letter("Last.", number=3, References="<m1@northwind.test>"))
    assert linked(post) == [("deal/d1", "manual")]


def test_an_address_of_an_item_that_was_deleted_links_nothing(post: PostOffice) -> None:
    address = post.address(item=post.deal())
    post.receive(post.address(), letter(to="somebody@else.test", number=9))  # the mirror is filled
    post.office.crm.delete("deal", "d1")
    post.receive(address, letter())
    assert linked(post) == [None, None]


# --- forwards ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["forward", "sent copy"])
def test_a_forward_is_a_conversation_of_its_own_beside_the_original(post: PostOffice, first: str) -> None:
    post.office.mail.deliver(ADA, 1, Subject="Rollout", Message_ID="<o1@acme.test>")
    post.sync()
    to = post.address(item=post.deal())
    names = {"In_Reply_To": "<o1@acme.test>", "References": "<o1@acme.test>"}
    headers = {"From": f"Ada <{ADA}>", "To": to, "Subject": "Fwd: Rollout", "Message_ID": "<m5@northwind.test>"}
    headers |= {"Date": "Mon, 02 Mar 2026 08:00:00 +0000"}
    post.office.mail.deliver(ADA, 2, folder="sent", **headers, **names)
    for step in ("forward", "sent copy") if first == "forward" else ("sent copy", "forward"):
        if step == "forward":
            post.receive(to, forwards(post, to, **names))
        else:
            post.sync()
    post.office.mail.deliver(ADA, 3, Subject="Re: Rollout", Message_ID="<o3@acme.test>", **names)
    post.sync()
    by_size = sorted(post.conversations(), key=lambda each: each.namespace)
    original, forward = by_size
    assert {message.internet_id for message in original.messages} == {"<o1@acme.test>", "<o3@acme.test>"}
    assert "<m5@northwind.test>" in {message.internet_id for message in forward.messages}
    assert forward.primary_link is not None
    assert (str(forward.primary_link.ref), forward.primary_link.origin) == ("deal/d1", "smart_bcc")
    (copied,) = [message for message in forward.messages if "quoted" not in message.flags]
    assert len(copied.copies) == 2


def test_what_a_forward_shows_is_quoted_and_proves_nothing(post: PostOffice) -> None:
    set_policy(post, smart_bcc_creates="recipients")
    stranger = FORWARD.replace("bea@acme.test", "ceo@partner.test")
    to = post.address()
    post.receive(to, forwards(post, to, text=stranger))
    found = post.only()
    (original,) = quoted(found)
    assert [person.address for person in original.participants] == ["ceo@partner.test", ADA]
    assert f"forwarded_by:{ADA}" in original.flags
    assert "date_estimated" in original.flags
    assert original.copies[0].verdict == "none"
    assert post.text_of(original) == "When do we start?"
    assert persons(post, "ceo@partner.test") == set()
    assert linked(post) == [None]


def test_an_attached_mail_is_the_original_and_takes_no_ones_identity(post: PostOffice) -> None:
    post.office.mail.deliver(ADA, 1, Subject="Rollout", Message_ID="<o1@acme.test>")
    post.sync()
    before = post.only()
    inner = letter("When?", sender=f"Bea <{BEA}>", to=ADA, subject="Rollout", Message_ID="<o1@acme.test>").decode()
    boundary = 'multipart/mixed; boundary="xx"'
    body = f"--xx\r\nContent-Type: text/plain\r\n\r\nLook.\r\n--xx\r\nContent-Type: message/rfc822\r\n\r\n{inner}--xx--"
    to = post.address()
    post.receive(to, letter(body, to=to, subject="Fwd: Rollout", number=5, Content_Type=boundary))
    original, forward = post.conversations()
    assert original.messages == before.messages
    (copied,) = quoted(forward)
    assert (copied.subject, post.text_of(copied).strip()) == ("Rollout", "When?")
    assert copied.internet_id != "<o1@acme.test>"


def test_the_note_of_a_forward_shows_the_original_and_not_what_a_colleague_wrote(post: PostOffice) -> None:
    to = post.address(item=post.deal())
    post.receive(to, forwards(post, to))
    post.office.write_notes()
    (note,) = post.office.notes()
    assert "When do we start?" in note
    assert "See below" not in note


def test_a_note_to_oneself_is_kept_and_says_that_there_is_no_original(post: PostOffice) -> None:
    to = post.address()
    post.receive(to, letter("Call Bea.", to=to, subject="Note"))
    assert post.only().messages[0].flags == ("no_original",)


def test_of_several_attached_mails_the_topmost_decides_and_an_outlook_file_is_named(post: PostOffice) -> None:
    kinds = ["message/rfc822", "message/rfc822", "application/octet-stream; name==?utf-8?q?x=2Emsg?="]
    mails = [letter("When?", sender=f"{who} <{who}@acme.test>", to=ADA).decode() for who in ("bea", "tom", "eve")]
    parts = (f"--xx\r\nContent-Type: {kind}\r\n\r\n{mail}" for kind, mail in zip(kinds, mails, strict=True))
    to, boundary = post.address(), 'multipart/mixed; boundary="xx"'
    post.receive(to, letter("".join(parts) + "--xx--", to=to, subject="Fwd: Rollout", Content_Type=boundary))
    found = post.only()
    authors = [message.participants[0].address for message in found.messages]
    assert authors == ["tom@acme.test", BEA, ADA]
    assert found.messages[-1].flags == ("msg_file",)
    assert linked(post) == [("deal/d1", "automatic")]


# --- persons ----------------------------------------------------------------------------------------------------------


def test_persons_are_made_when_the_policy_says_so(post: PostOffice) -> None:
    post.receive(post.address(), letter(to="Tom <tom@new.test>"))
    assert persons(post, "tom@new.test") == set()
    set_policy(post, smart_bcc_creates="recipients", blocklist=frozenset({"blocked.test"}))
    to = f"Tom <tom@new.test>, {BOB}, x@blocked.test"
    post.receive(post.address(), letter("Two.", to=to, number=2))
    assert persons(post, "tom@new.test") == {"Tom"}
    assert persons(post, BOB, "x@blocked.test") == set()
    related = [str(link.ref) for link in post.conversations()[-1].links]
    assert any(name.startswith("person/") for name in related)
    post.receive(post.address(), letter("Three.", to="tom@new.test", number=3))
    assert len(post.office.crm.people_by_address(["tom@new.test"])) == 1


def test_who_was_forwarded_becomes_a_person_only_when_everybody_may(post: PostOffice) -> None:
    set_policy(post, smart_bcc_creates="everybody")
    to = post.address()
    post.receive(to, forwards(post, to, text=FORWARD.replace("Bea <bea@acme.test>", "Eve <eve@new.test>")))
    assert persons(post, "eve@new.test") == {"Eve"}


# --- who sent it ------------------------------------------------------------------------------------------------------


def test_mail_that_does_not_prove_its_author_is_held_until_released(post: PostOffice) -> None:
    post.dns.known["northwind.test", "TXT"] = ["v=spf1 -all"]
    post.receive(post.address(), letter())
    assert post.conversations() == []
    (held,) = post.held()
    assert (held.why, held.sender, held.subject) == ("not_proven", ADA, "Prices")
    assert post.held("bob") == []
    assert "mail_held" in {finding.code for finding in doctor.examine(post.office.installation, post.office.team_id)[1]}
    with post.office.team() as connection:
        smart_bcc.release(post.office.installation, connection, post.member(), held.public_id)
    post.read()
    assert post.held() == []
    assert linked(post) == [("deal/d1", "automatic")]


def test_a_server_of_the_operators_in_front_may_prove_the_author(post: PostOffice, tmp_path: Path) -> None:
    post.dns.failing |= {"northwind.test", "_dmarc.northwind.test"}  # nobody asks it
    with opened(post.office, tmp_path / "front", {"SMART_BCC_FRONT": "mx.own.test"}, post.dns) as behind:
        passed = "dmarc=pass header.from=northwind.test"
        written = f"mx.evil.test; {passed}\r\nAuthentication-Results: mx.own.test; {passed}"
        behind.receive(behind.address(), letter(Authentication_Results=written, number=1))
        behind.receive(behind.address(), letter(number=2))
        behind.receive(behind.address(), letter(Authentication_Results=f"mx.own.test; {passed}", number=3))
    assert [held.why for held in post.held()] == ["not_proven"] * 2
    assert [message.internet_id for message in post.only().messages] == ["<m3@northwind.test>"]
    with opened(post.office, tmp_path / "near", {"SMART_BCC_TRUSTED_NETWORKS": "127.0.0.0/8"}, post.dns) as near:
        near.receive(near.address(), letter(number=4))
    assert (len(post.held()), len(post.conversations())) == (2, 2)


def test_an_address_that_was_changed_is_unknown_and_one_envelope_serves_two_teams(
    post: PostOffice, team: Callable[..., int]
) -> None:
    old, installation = post.address(), post.office.installation
    with post.office.team() as connection:
        smart_bcc.change_addresses(installation, connection, post.member())
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        post.send(old, letter())
    assert {code for code, _ in refused.value.recipients.values()} == {550}
    other = team("Southwind")
    with installation.database.for_team(other) as connection:
        teams.add_member(connection, other, "Sue", "sue@southwind.test")
        theirs = smart_bcc.addresses(installation, connection, teams.members(connection)[0], None).own
    post.send([post.address(), theirs], letter())
    for team_id in (post.office.team_id, other):
        with installation.database.for_team(team_id) as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM received_mail")).scalar() == 1


def test_an_address_that_needs_no_proof_is_taken_by_a_secret_address_alone(post: PostOffice) -> None:
    post.dns.known["northwind.test", "TXT"] = ["v=spf1 -all"]
    with post.office.team() as connection:
        rows.set_unsigned(connection, post.office.team_id, post.member().id, ADA, True)
    post.receive(post.team_address(), letter())  # whoever saw the team's address could have sent this
    assert ([held.why for held in post.held()], post.conversations()) == (["not_proven"], [])
    post.receive(post.team_address(post.deal()), letter(number=2))
    post.receive(post.address(), letter(to="somebody@else.test", number=3))
    assert (len(post.held()), linked(post)) == (1, [("deal/d1", "smart_bcc"), None])


def test_mail_of_a_stranger_is_held_and_can_be_thrown_away(post: PostOffice) -> None:
    post.receive(post.address(), letter(sender="x@evil.test", to=post.address()), mail_from="x@evil.test")
    (held,) = post.held()
    assert held.why == "unknown_sender"
    with post.office.team() as connection:
        smart_bcc.discard(post.office.installation, connection, post.member(), held.public_id)
    assert (post.held(), post.conversations()) == ([], [])


def test_what_was_held_is_judged_again_when_its_sender_is_verified(post: PostOffice) -> None:
    home, token = "ada@home.test", "t" * 32
    post.dns.known["home.test", "TXT"] = ["v=spf1 ip4:127.0.0.1 -all"]
    post.receive(post.address(), letter(sender=home), mail_from=home)
    post.receive(post.address(), letter(sender=home, number=2), mail_from="x@evil.test")
    post.receive(post.address(), letter(sender="x@evil.test", number=3), mail_from="x@evil.test")
    assert [held.why for held in post.held()] == ["unknown_sender"] * 3
    acting = Acting(post.office.team_id, post.member(), post.office.clock.now())
    with post.office.team() as connection:
        sender_addresses.add(connection, acting, home)
        rows.ask_member_address(connection, acting.member.id, home, smart_bcc.hashed(token), acting.now, acting.now)
        assert sender_addresses.verify(connection, acting, token) == home
    post.read()
    assert sorted(held.why for held in post.held()) == ["not_proven", "unknown_sender"]
    assert linked(post) == [("deal/d1", "automatic")]


def test_a_customer_who_answers_all_is_read_where_the_mail_is_known(post: PostOffice) -> None:
    post.receive(post.address(), letter())
    post.dns.known["acme.test", "TXT"] = ["v=spf1 ip4:127.0.0.1 -all"]
    answer = letter("Fine.", sender=BEA, to=ADA, number=2, In_Reply_To="<m1@northwind.test>", Cc=post.address())
    post.receive(post.address(), answer, mail_from=BEA)
    found = post.only()
    assert len(found.messages) == 2
    assert found.messages[1].copies[0].verdict == "pass"
    post.dns.known["acme.test", "TXT"] = ["v=spf1 -all"]  # it lets nobody send from here
    forged = letter("Pay here.", sender=BEA, to=ADA, number=3, In_Reply_To="<m1@northwind.test>")
    post.receive(post.address(), forged, mail_from=BEA)
    alone = post.conversations()[-1]
    assert (alone.messages[0].copies[0].verdict, alone.links) == ("fail", ())
    post.receive(post.address(), letter("Eh?", sender=BEA, to=ADA, number=4, In_Reply_To="<x@y>"), mail_from=BEA)
    assert [held.why for held in post.held()] == ["unknown_sender"]


def test_many_mails_are_judged_with_as_few_queries_as_one(post: PostOffice) -> None:
    for number in range(1, 5):  # a stranger who claims to answer something: held back, the last kind of judgement
        mail = letter(sender="x@evil.test", number=number, In_Reply_To=f"<x{number}@y.test>")
        post.send(post.address(), mail, mail_from="x@evil.test")
    (row,) = post.office.rows("SELECT id FROM account WHERE provider = 'smart_bcc'")
    ids = [each.provider_id for each in post.office.rows("SELECT provider_id FROM received_mail ORDER BY id")]
    connector = post.office.installation.mail["smart_bcc"]
    mailbox = Mailbox(post.office.account(row.id), post.office.installation.credentials_of(post.office.account(row.id)))

    def queries(wanted: list[str]) -> int:
        told: list[object] = []
        listener = lambda *args: told.append(args[2])  # noqa: E731 - kept, to be removed again
        sa.event.listen(post.office.installation.database.engine, "before_cursor_execute", listener)
        outcomes = connector.fetch(mailbox, wanted)
        sa.event.remove(post.office.installation.database.engine, "before_cursor_execute", listener)
        assert [each.provider_id for each in outcomes if isinstance(each, FilteredMessage)] == wanted
        return len(told)

    assert queries(ids[:1]) == queries(ids)
    assert len(post.held()) == 4


def test_gmails_forwarding_is_read_as_the_mail_itself(post: PostOffice) -> None:
    address = post.address()
    caf = f"ada+caf_={address.replace('@', '=')}@northwind.test"
    post.receive(address, letter("Hello.", sender=f"Bea <{BEA}>", to=ADA, number=7), mail_from=caf)
    found = post.only()
    (copy,) = found.messages[0].copies
    assert (copy.in_sent, found.namespace) == (False, "")
    assert found.messages[0].participants[0].address == BEA


def test_a_dns_that_does_not_answer_holds_the_mail_up_and_loses_nothing(post: PostOffice) -> None:
    post.dns.failing.add("northwind.test")
    post.receive(post.address(), letter())
    assert (post.conversations(), post.held()) == ([], [])
    assert set(post.office.states().values()) == {("pending", "Unavailable")}

    def wait(**passed: float) -> None:
        post.office.clock.step(**passed)
        for account_id in post.office.rows("SELECT id FROM account WHERE provider = 'smart_bcc'"):
            post.office.sync(account_id.id)

    post.dns.failing.clear()
    wait(minutes=5)
    assert linked(post) == [("deal/d1", "automatic")]
    post.dns.failing.add("northwind.test")
    post.receive(post.address(), letter(number=2))
    for _ in range(12):  # it is never given up: after an hour its member is asked
        wait(minutes=6)
    assert [held.why for held in post.held()] == ["not_proven"]


def test_an_address_that_a_mail_shows_to_others_is_to_be_changed(post: PostOffice) -> None:
    address = post.address()
    post.receive(address, letter(Cc=address))
    assert "address_shown" in post.only().messages[0].flags
    assert address.partition("@")[2] == DOMAIN


def test_policies_keep_what_smart_bcc_may_create() -> None:
    assert asdict(replace(Policy(), smart_bcc_creates="recipients"))["smart_bcc_creates"] == "recipients"
