"""decide(): one test for each sentence of the linking rules, S1 to S12 and T1 to T10."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.linking import rules
from app.linking.decide import decide
from app.linking.reasons import sentence
from app.model import Conversation, Decision, ItemRef, Ours, Policy, RememberedChoice
from tests.unit.linking.building import (
    ADA,
    BEA,
    CAN,
    IN_FEBRUARY,
    NINE,
    OURS,
    account,
    copy,
    given,
    hours,
    item,
    link,
    message,
    person,
    ref,
    tombstone,
)

CAN_PERSON = person("p2", CAN, name="Can")


def answer(decision: Decision) -> tuple[str, str]:
    return decision.outcome, decision.reason


def ruled_out(decision: Decision) -> dict[str, str | None]:
    return {str(candidate.ref): candidate.ruled_out for candidate in decision.candidates}


def evidence(decision: Decision, name: str = "deal/d1") -> list[str]:
    return [one.code for candidate in decision.candidates if str(candidate.ref) == name for one in candidate.evidence]


def evidence_params(decision: Decision, code: str) -> dict[str, object]:
    found = [one.params for candidate in decision.candidates for one in candidate.evidence if one.code == code]
    return dict(found[0])


# --- 0 relate ---


def test_every_person_with_a_counterparts_address_is_related_and_its_organization_too() -> None:
    both = given(message(cc=[CAN]), persons=[person(), CAN_PERSON, person("p3", "eve@other.test")])
    decision = decide(both)
    assert decision.persons == (ref("person/p1"), ref("person/p2"))
    assert decision.organizations == (ref("organization/o1"),)


def test_a_person_without_an_organization_brings_none() -> None:
    assert decide(given(persons=[person(organization=None)])).organizations == ()


def test_a_secondary_address_relates_as_the_primary_does() -> None:
    assert decide(given(persons=[person("p1", "bea@home.test", BEA)])).persons == (ref("person/p1"),)


def test_people_are_related_whatever_was_decided() -> None:
    cases = [
        given(links=[link()]),
        given(accounts=[account(auto_link=False)]),
        given(message(automated="bulk")),
        given(policy=Policy(max_counterparts=0)),
        given(message("eve@else.test", cc=[BEA]), policy=Policy(sender_must_be_known=True)),
        given(items=[]),
        given(tombstones=[tombstone()]),
    ]
    assert {decide(case).reason for case in cases} == {
        "follows_conversation",
        "auto_link_off",
        "automated_message",
        "too_many_people",
        "sender_unknown",
        "no_open_item",
        "unlinked_by_person",
    }
    assert {decide(case).persons for case in cases} == {(ref("person/p1"),)}


def test_nobody_is_related_when_only_colleagues_write_or_the_address_is_blocked_or_the_sender_is_false() -> None:
    cases = {
        "internal_only": given(message(ADA, ["can@northwind.test"])),
        "blocked_address": given(policy=Policy(blocklist=frozenset({BEA}))),
        "sender_not_authenticated": given(message(verdict="fail")),
    }
    for reason, case in cases.items():
        decision = decide(case)
        assert (decision.reason, decision.persons, decision.organizations) == (reason, (), ())


def test_a_deleted_person_is_not_related() -> None:
    assert decide(given(persons=[person(deleted=True)])).reason == "no_known_person"


def test_our_own_address_never_matches_a_crm_person() -> None:
    decision = decide(given(persons=[person("p9", ADA, "a.da@gmail.com")]))
    assert answer(decision) == ("none", "no_known_person")


def test_another_spelling_of_our_own_address_never_matches_a_crm_person() -> None:
    written_to = given(message(BEA, ["a.d.a@gmail.com"]), persons=[person("p9", "ada@gmail.com")])
    assert decide(written_to).persons == ()


def test_a_person_filed_under_our_own_spelling_is_not_found_through_it() -> None:
    only_exact = Ours(frozenset({"a.da@gmail.com"}))
    case = given(message("ada@gmail.com", ["x@else.test"]), persons=[person("p9", "a.da@gmail.com")], ours=only_exact)
    assert decide(case).persons == ()


def test_gmail_dots_and_tags_lead_to_the_same_person() -> None:
    case = given(message("b.ea+news@googlemail.com"), persons=[person("p1", "bea@gmail.com")])
    assert decide(case).persons == (ref("person/p1"),)


def test_an_exact_match_is_taken_before_another_spelling() -> None:
    people = [person("p1", "b.ea@gmail.com"), person("p2", "bea@gmail.com")]
    assert decide(given(message("bea@gmail.com"), persons=people)).persons == (ref("person/p2"),)


def test_a_tag_elsewhere_than_at_gmail_is_another_address() -> None:
    assert decide(given(message("bea+news@acme.test"))).reason == "no_known_person"


def test_reply_to_is_never_a_reason_to_relate_or_link() -> None:
    decision = decide(given(message("form@web.test", reply_to=BEA)))
    assert answer(decision) == ("none", "no_known_person")


def test_bcc_of_the_senders_copy_counts_as_a_counterpart() -> None:
    decision = decide(given(message(ADA, ["eve@else.test"], bcc=[BEA])))
    assert (answer(decision), decision.persons) == (("link", "only_open_item"), (ref("person/p1"),))


def test_a_bcc_header_of_a_received_copy_is_only_a_claim() -> None:
    assert decide(given(message("eve@else.test", bcc=[BEA]))).reason == "no_known_person"


# --- 1 keep ---


def test_a_linked_conversation_keeps_its_link() -> None:
    decision = decide(given(links=[link("lead/l7", title="Old lead")]))
    assert (answer(decision), decision.item) == (("keep", "follows_conversation"), None)
    assert sentence(decision.reason, decision.params, "tr").startswith(
        "Konuşma “Old lead” potansiyel müşterisine bağlı"
    )


def test_a_link_to_a_person_is_no_primary_link() -> None:
    related = replace(link("person/p1"), is_primary=False)
    assert decide(given(links=[related])).reason == "only_open_item"


def test_a_linked_conversation_is_kept_when_its_item_closes() -> None:
    decision = decide(given(links=[link()], items=[item(state="won")]))
    assert (answer(decision), "review" in decision.params) == (("keep", "follows_conversation"), False)


def test_the_review_queue_offers_the_move_when_the_item_is_closed_and_a_counterpart_has_another_open_item() -> None:
    later = item("deal/d2", created_at=NINE + hours(1))
    decision = decide(given(links=[link()], items=[item(state="won"), later]))
    assert answer(decision) == ("keep", "follows_conversation")
    assert decision.params["review"] == "linked_item_closed"
    assert ruled_out(decision) == {"deal/d1": "item_closed", "deal/d2": "item_newer_than_message"}
    assert sentence("linked_item_closed", decision.params).startswith("“Rollout” is won")


def test_nothing_is_offered_while_the_linked_item_is_open() -> None:
    decision = decide(given(links=[link()], items=[item(), item("deal/d2")]))
    assert (decision.candidates, "review" in decision.params) == ((), False)


def test_a_link_without_a_title_is_named_by_its_reference() -> None:
    assert decide(given(links=[link(title="")])).params["item"] == "deal/d1"


# --- 2 auto-link off ---


def test_nothing_is_linked_when_no_account_with_a_copy_has_auto_link_on() -> None:
    decision = decide(given(accounts=[account(auto_link=False)]))
    assert (answer(decision), decision.action) == (("none", "auto_link_off"), "turn_on_auto_link")
    assert sentence(decision.reason, decision.params) == f"Automatic linking is off for {ADA}."


def test_one_switch_that_is_on_is_enough() -> None:
    accounts = [account(auto_link=False), account("sales@northwind.test", number=2)]
    assert decide(given(accounts=accounts)).outcome == "link"


def test_every_account_that_is_off_is_named() -> None:
    accounts = [account("b@northwind.test", auto_link=False), account("a@northwind.test", number=2, auto_link=False)]
    assert decide(given(accounts=accounts)).params["account"] == ["a@northwind.test", "b@northwind.test"]


# --- 3 internal, not authenticated ---


def test_a_conversation_of_colleagues_is_internal() -> None:
    decision = decide(given(message(ADA, ["can@northwind.test"]), message("can@northwind.test", [ADA], number=2)))
    assert (answer(decision), decision.action) == (("none", "internal_only"), None)


def test_a_sender_whose_verdict_is_fail_links_nothing_and_relates_nobody() -> None:
    decision = decide(given(message(verdict="fail")))
    assert answer(decision) == ("none", "sender_not_authenticated")
    assert (decision.persons, decision.candidates) == ((), ())
    assert BEA in sentence(decision.reason, decision.params)


def test_a_failed_sender_that_somebody_called_genuine_is_no_longer_false() -> None:
    assert decide(given(message(verdict="fail", genuine=True))).outcome == "link"


@pytest.mark.parametrize("verdict", ["own", "pass", "none", "weak"])
def test_every_other_verdict_behaves_as_always(verdict: str) -> None:
    case = given(message(copies=[copy(verdict=verdict)]))
    assert decide(case).reason == "only_open_item"


def test_who_only_appears_on_a_failed_message_is_no_counterpart_while_honest_ones_are() -> None:
    forged = message("eve@else.test", cc=[CAN], verdict="fail")
    honest = message(number=2, at=NINE + hours(1))
    decision = decide(given(forged, honest, persons=[person(), CAN_PERSON], items=[item(), item("deal/d2", of="p2")]))
    assert (decision.reason, decision.persons, decision.item) == ("only_open_item", (ref("person/p1"),), ref("deal/d1"))


def test_a_false_sender_is_named_before_automated_mail() -> None:
    assert decide(given(message(automated="bulk", verdict="fail"))).reason == "sender_not_authenticated"


# --- the trigger ---


def test_the_newest_message_that_is_neither_automated_nor_internal_triggers() -> None:
    newest = message(number=2, at=NINE + hours(1))
    internal = message(ADA, ["can@northwind.test"], number=3, at=NINE + hours(2))
    bounce = message("mailer-daemon@acme.test", number=4, at=NINE + hours(3), automated="bounce")
    decision = decide(given(message(), newest, internal, bounce))
    assert (decision.reason, decision.trigger_id) == ("only_open_item", 2)


def test_messages_of_one_moment_are_ordered_by_their_hash() -> None:
    messages = [message(number=number) for number in (1, 2, 3)]
    last = max(messages, key=lambda one: one.mid_hash)
    assert decide(given(*messages)).trigger_id == last.id


def test_an_internal_message_inside_a_customers_conversation_does_not_trigger() -> None:
    created_between = item(created_at=NINE + hours(1))
    internal = message(ADA, ["can@northwind.test"], number=2, at=NINE + hours(2))
    assert decide(given(message(), internal, items=[created_between])).reason == "item_newer_than_message"


@pytest.mark.parametrize("automated", ["bounce", "receipt", "auto_reply", "bulk"])
def test_automated_mail_does_not_trigger(automated: str) -> None:
    decision = decide(given(message(automated=automated)))
    assert (answer(decision), decision.trigger_id) == (("none", "automated_message"), 1)


def test_calendar_mail_triggers() -> None:
    assert decide(given(message(automated="calendar"))).reason == "only_open_item"


def test_automated_mail_triggers_when_the_policy_says_so() -> None:
    assert decide(given(message(automated="bulk"), policy=Policy(skip_automated=False))).reason == "only_open_item"


def test_of_several_automated_messages_the_newest_is_named() -> None:
    case = given(message(automated="bulk"), message(number=2, at=NINE + hours(1), automated="receipt"))
    assert (decide(case).trigger_id, decide(case).params["automated"]) == (2, "receipt")


def test_automated_mail_beside_internal_mail_is_called_automated() -> None:
    internal = message(ADA, ["can@northwind.test"], number=2, at=NINE + hours(1))
    assert decide(given(message(automated="bulk"), internal)).reason == "automated_message"


def test_a_message_whose_participants_cannot_be_read_is_not_internal() -> None:
    assert decide(given(message("", []))).reason == "no_known_person"


def test_a_conversation_without_messages_knows_nobody() -> None:
    assert decide(replace(given(), conversation=Conversation(id=1))).reason == "no_known_person"


# --- 5 blocked, 6 too many, 7 nobody known ---


@pytest.mark.parametrize("entry", [BEA, "acme.test", "test"])
def test_the_sole_counterpart_is_blocked_by_address_domain_or_a_domain_above(entry: str) -> None:
    decision = decide(given(policy=Policy(blocklist=frozenset({entry}))))
    assert (answer(decision), decision.params["address"]) == (("none", "blocked_address"), BEA)


def test_a_blocked_address_beside_another_counterpart_does_not_block() -> None:
    assert decide(given(message(cc=[CAN]), policy=Policy(blocklist=frozenset({BEA})))).outcome == "link"


def test_a_conversation_with_nobody_but_blocked_addresses_is_blocked() -> None:
    decision = decide(given(message(cc=[CAN]), policy=Policy(blocklist=frozenset({"acme.test"}))))
    assert (decision.reason, decision.params["address"]) == ("blocked_address", [BEA, CAN])


def test_scope_any_blocks_as_soon_as_one_counterpart_is_blocked() -> None:
    policy = Policy(blocklist=frozenset({CAN}), blocklist_scope="any")
    assert decide(given(message(cc=[CAN]), policy=policy)).reason == "blocked_address"


def test_a_blocklist_that_names_nobody_here_does_not_block() -> None:
    policy = Policy(blocklist=frozenset({"else.test"}), blocklist_scope="any")
    assert decide(given(policy=policy)).outcome == "link"


@pytest.mark.parametrize(("others", "reason"), [(24, "only_open_item"), (25, "too_many_people")])
def test_more_than_25_counterparts_are_too_many(others: int, reason: str) -> None:
    crowd = message(cc=[f"c{number}@else.test" for number in range(others)])
    assert decide(given(crowd)).reason == reason


def test_too_many_people_says_how_many_and_what_the_limit_is() -> None:
    decision = decide(given(message(cc=[CAN]), policy=Policy(max_counterparts=1)))
    assert sentence(decision.reason, decision.params) == "2 people take part, more than 1. Link it by hand."


def test_nobody_known_asks_to_create_a_person() -> None:
    decision = decide(given(persons=[]))
    assert (answer(decision), decision.action) == (("none", "no_known_person"), "create_person")


def test_an_unknown_sender_with_a_customer_in_cc_links_as_always() -> None:
    decision = decide(given(message("eve@else.test", cc=[BEA])))
    assert decision.reason == "only_open_item"
    assert "matched_through_recipient" in evidence(decision)
    assert evidence_params(decision, "matched_through_recipient")["field"] == "Cc"


def test_an_unknown_sender_links_nothing_when_the_policy_asks_for_a_known_one() -> None:
    decision = decide(given(message("eve@else.test", cc=[BEA]), policy=Policy(sender_must_be_known=True)))
    assert (answer(decision), decision.params["address"]) == (("none", "sender_unknown"), "eve@else.test")


@pytest.mark.parametrize("sender", [ADA, BEA])
def test_we_and_known_people_are_known_senders(sender: str) -> None:
    case = given(message(sender, [ADA, BEA]), policy=Policy(sender_must_be_known=True))
    assert decide(case).reason == "only_open_item"


# --- 8 candidates ---


def test_exactly_one_open_item_is_linked() -> None:
    decision = decide(given())
    assert answer(decision) == ("link", "only_open_item")
    assert (decision.item, decision.item_title) == (ref("deal/d1"), "Title of deal/d1")
    assert sentence(decision.reason, decision.params) == "Linked: the only open item of Bea."


@pytest.mark.parametrize("name", ["deal/d1", "lead/l1", "project/j1"])
def test_deals_leads_and_projects_link_alike(name: str) -> None:
    assert decide(given(items=[item(name)])).item == ref(name)


def test_one_deal_and_one_lead_are_counted_together() -> None:
    decision = decide(given(items=[item(), item("lead/l1")]))
    assert (answer(decision), decision.item) == (("ambiguous", "several_open_items"), None)
    assert ruled_out(decision) == {"deal/d1": None, "lead/l1": None}
    assert sentence(decision.reason, decision.params) == "Bea has 2 open items. Choose one."


def test_one_deal_reached_through_two_persons_counts_once() -> None:
    decision = decide(given(message(cc=[CAN]), persons=[person(), CAN_PERSON], items=[item(participants=["p2"])] * 2))
    assert (decision.reason, len(decision.candidates)) == ("only_open_item", 1)
    assert evidence(decision) == ["main_contact", "participant", "older_than_conversation"]
    assert decision.params["person"] == ["Bea", "Can"]


def test_a_main_contact_who_is_a_participant_too_is_named_once() -> None:
    decision = decide(given(items=[item(participants=["p1"])]))
    assert evidence(decision) == ["main_contact", "older_than_conversation"]


def test_a_participant_of_an_item_counts_as_its_main_contact_does() -> None:
    decision = decide(given(items=[item(of=None, participants=["p1"])]))
    assert (decision.reason, evidence(decision)[0]) == ("only_open_item", "participant")


def test_two_persons_with_one_open_item_each_are_ambiguous() -> None:
    case = given(message(cc=[CAN]), persons=[person(), CAN_PERSON], items=[item(), item("deal/d2", of="p2")])
    assert sentence(decide(case).reason, decide(case).params) == "Bea and Can have 2 open items. Choose one."


def test_persons_who_share_an_address_are_all_related_and_their_items_united() -> None:
    twins = [person(), person("p2", BEA, name="Bea again")]
    decision = decide(given(persons=twins, items=[item(), item("deal/d2", of="p2")]))
    assert (decision.reason, decision.persons) == ("several_open_items", (ref("person/p1"), ref("person/p2")))
    assert evidence_params(decision, "shared_address") == {"person": ["Bea", "Bea again"], "address": BEA}


def test_an_item_of_somebody_else_is_not_looked_at() -> None:
    assert decide(given(items=[item(), item("deal/d2", of="p7")])).reason == "only_open_item"


def test_a_person_without_a_name_is_called_by_the_address() -> None:
    assert decide(given(persons=[person(name="")])).params["person"] == BEA


def test_an_item_without_a_title_is_named_by_its_reference() -> None:
    assert decide(given(items=[item(title="")])).params["item"] == "deal/d1"


def test_an_item_created_after_the_message_is_not_linked() -> None:
    decision = decide(given(items=[item(created_at=NINE + hours(1))]))
    assert answer(decision) == ("none", "item_newer_than_message")
    assert ruled_out(decision) == {"deal/d1": "item_newer_than_message"}


def test_equal_times_of_item_and_message_stay() -> None:
    assert decide(given(items=[item(created_at=NINE)])).reason == "only_open_item"


def test_a_new_reply_links_the_whole_conversation_and_says_how_many_messages_come_along() -> None:
    reply = message(number=3, at=NINE + hours(3))
    second = message(ADA, [BEA], number=2, at=NINE + hours(1))
    decision = decide(given(message(), second, reply, items=[item(created_at=NINE + hours(2))]))
    assert (answer(decision), decision.earlier_messages) == (("link", "only_open_item"), 2)
    assert evidence(decision) == ["main_contact", "younger_than_conversation"]


def test_the_policy_conversation_asks_that_the_item_be_older_than_the_first_message() -> None:
    reply = message(number=2, at=NINE + hours(3))
    policy = Policy(retroactive="conversation")
    late, equal = item(created_at=NINE + hours(1)), item(created_at=NINE)
    assert decide(given(message(), reply, items=[late], policy=policy)).reason == "item_newer_than_message"
    assert decide(given(message(), reply, items=[equal], policy=policy)).reason == "only_open_item"


def test_an_item_that_is_too_new_does_not_stand_beside_one_that_is_old_enough() -> None:
    decision = decide(given(items=[item(), item("deal/d2", created_at=NINE + hours(1))]))
    assert ruled_out(decision) == {"deal/d1": None, "deal/d2": "item_newer_than_message"}
    assert decision.reason == "only_open_item"


def test_a_lead_younger_than_its_conversation_is_linked_and_shown_for_review() -> None:
    reply = message(number=2, at=NINE + hours(3))
    decision = decide(given(message(), reply, items=[item("lead/l1", created_at=NINE + hours(1))]))
    assert (decision.outcome, decision.params["review"]) == ("link", "lead_younger_than_conversation")


@pytest.mark.parametrize("state", ["won", "lost", "completed", "canceled", "archived", "converted", "deleted"])
def test_a_closed_item_is_never_linked(state: str) -> None:
    decision = decide(given(items=[item(state=state)]))
    assert (answer(decision), ruled_out(decision)) == (("none", "item_closed"), {"deal/d1": "item_closed"})
    assert decision.params["state"] == state


def test_a_closed_item_that_is_newer_too_is_called_closed() -> None:
    assert decide(given(items=[item(state="lost", created_at=NINE + hours(1))])).reason == "item_closed"


def test_an_item_that_is_too_new_is_named_before_a_closed_one() -> None:
    decision = decide(given(items=[item(state="won"), item("deal/d2", created_at=NINE + hours(1))]))
    assert decision.reason == "item_newer_than_message"
    assert ruled_out(decision) == {"deal/d1": "item_closed", "deal/d2": "item_newer_than_message"}


def test_of_several_closed_items_the_latest_is_named() -> None:
    decision = decide(
        given(items=[item(state="won", created_at=IN_FEBRUARY + hours(1)), item("deal/d2", state="lost")])
    )
    assert sentence(decision.reason, decision.params) == (
        "Title of deal/d1 is won; only open items are linked automatically."
    )


def test_a_lead_made_into_a_deal_leaves_the_deal_as_the_one_candidate() -> None:
    decision = decide(given(items=[item("lead/l1", state="converted"), item("deal/d5")]))
    assert (decision.item, ruled_out(decision)["lead/l1"]) == (ref("deal/d5"), "item_closed")


def test_a_group_without_an_open_item_says_how_many_recipients_there_are() -> None:
    decision = decide(given(message(to=[ADA, CAN], cc=["eve@else.test"]), items=[]))
    assert (answer(decision), decision.params["n"]) == (("none", "no_open_item_group"), 3)


def test_visible_bcc_counts_as_a_recipient() -> None:
    assert decide(given(message(ADA, [BEA, CAN], bcc=["eve@else.test"]), items=[])).reason == "no_open_item_group"


def test_recipients_are_counted_over_the_conversation() -> None:
    reply = message(ADA, [BEA, CAN], number=2, at=NINE + hours(1))
    assert decide(given(message(), reply, items=[])).params == {"n": 3}


def test_two_recipients_are_no_group() -> None:
    decision = decide(given(message(to=[ADA, CAN]), items=[]))
    assert (answer(decision), decision.action) == (("none", "no_open_item"), "create_item")


def test_a_group_with_exactly_one_open_item_among_them_is_linked() -> None:
    group = message(to=[ADA, CAN], cc=["eve@else.test", "dan@else.test"])
    assert decide(given(group, persons=[person(), CAN_PERSON])).reason == "only_open_item"


def test_a_group_with_a_closed_item_names_the_item() -> None:
    group = message(to=[ADA, CAN], cc=["eve@else.test"])
    assert decide(given(group, items=[item(state="won")])).reason == "item_closed"


# --- T4 sticky unlink, T5 learned choices ---


def test_the_only_open_item_is_not_linked_again_after_a_person_unlinked_it() -> None:
    decision = decide(given(tombstones=[tombstone()]))
    assert (answer(decision), decision.action) == (("none", "unlinked_by_person"), "link_by_hand")
    assert ruled_out(decision) == {"deal/d1": "unlinked_by_person"}
    assert sentence(decision.reason, decision.params) == "Ada removed the link to Title of deal/d1 on 2 March 2026."


def test_unlinking_one_of_two_open_items_leaves_a_choice() -> None:
    decision = decide(given(items=[item(), item("deal/d2")], tombstones=[tombstone()]))
    assert (answer(decision), ruled_out(decision)) == (
        ("ambiguous", "several_open_items"),
        {"deal/d1": None, "deal/d2": None},
    )


def test_a_tombstone_of_another_item_does_not_matter() -> None:
    assert decide(given(tombstones=[tombstone("deal/d9")])).reason == "only_open_item"


TWO = (item(), item("deal/d2"))
LEARNS = Policy(learned_auto_link=True)


def chosen(name: str, times: int) -> RememberedChoice:
    return RememberedChoice(ref(name), times)


def test_a_choice_made_three_times_links_by_itself_when_the_policy_says_so() -> None:
    decision = decide(given(items=TWO, policy=LEARNS, remembered=[chosen("deal/d2", 3)]))
    assert (answer(decision), decision.item) == (("link", "learned_choice"), ref("deal/d2"))
    assert decision.params["n"] == 3


def test_a_choice_made_three_times_links_nothing_by_default() -> None:
    assert decide(given(items=TWO, remembered=[chosen("deal/d2", 3)])).reason == "several_open_items"


@pytest.mark.parametrize(
    "remembered",
    [
        [chosen("deal/d2", 2)],
        [chosen("deal/d9", 5)],
        [chosen("deal/d1", 3), chosen("deal/d2", 4)],
    ],
    ids=["too seldom", "not a candidate", "two choices"],
)
def test_a_choice_that_is_rare_or_not_open_or_not_the_only_one_is_left_to_a_person(
    remembered: list[RememberedChoice],
) -> None:
    assert decide(given(items=TWO, policy=LEARNS, remembered=remembered)).reason == "several_open_items"


def test_a_learned_choice_never_goes_against_a_tombstone() -> None:
    case = given(items=TWO, policy=LEARNS, remembered=[chosen("deal/d2", 3)], tombstones=[tombstone("deal/d2")])
    assert decide(case).reason == "several_open_items"


# --- evidence ---


def test_a_person_named_by_somebody_we_know_is_not_called_matched_through_cc() -> None:
    stranger = message("eve@else.test", cc=[BEA])
    by_us = message(ADA, [BEA], number=2, at=NINE + hours(1))
    assert "matched_through_recipient" not in evidence(decide(given(stranger, by_us)))


def test_a_person_who_writes_is_not_called_matched_through_cc() -> None:
    through_sender_header = message("eve@else.test", cc=[BEA])
    people = (
        *through_sender_header.participants,
        replace(through_sender_header.participants[0], address=BEA, role="sender"),
    )
    assert "matched_through_recipient" not in evidence(
        decide(given(replace(through_sender_header, participants=people)))
    )


def test_the_field_a_stranger_used_is_named() -> None:
    twice = [message("eve@else.test", [BEA]), message("eve@else.test", cc=[BEA], number=2, at=NINE + hours(1))]
    assert evidence_params(decide(given(*twice)), "matched_through_recipient")["field"] == "To"


# --- what every decision promises ---


def test_the_rules_stand_in_the_order_of_the_table() -> None:
    assert [rule.__name__ for rule in rules.RULES] == [
        "keep",
        "auto_link_off",
        "internal_only",
        "sender_not_authenticated",
        "automated_message",
        "blocked_address",
        "too_many_people",
        "no_known_person",
        "sender_unknown",
        "learned_choice",
        "several_open_items",
        "unlinked_by_person",
        "only_open_item",
        "item_newer_than_message",
        "item_closed",
        "no_open_item_group",
    ]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (given(message(ADA, ["can@northwind.test"]), links=[link()]), "follows_conversation"),
        (given(message(ADA, ["can@northwind.test"]), accounts=[account(auto_link=False)]), "auto_link_off"),
        (given(message(automated="bulk"), policy=Policy(blocklist=frozenset({BEA}))), "automated_message"),
        (given(policy=Policy(blocklist=frozenset({BEA}), max_counterparts=0)), "blocked_address"),
        (given(persons=[], policy=Policy(max_counterparts=0)), "too_many_people"),
    ],
)
def test_the_earlier_rule_decides(case: object, reason: str) -> None:
    assert decide(case).reason == reason


def test_params_and_evidence_are_ready_for_json() -> None:
    cases = [given(), given(items=TWO), given(tombstones=[tombstone()]), given(links=[link()])]
    for decision in map(decide, cases):
        detail = [dict(decision.params), [dict(e.params) for c in decision.candidates for e in c.evidence]]
        assert json.loads(json.dumps(detail)) == detail


def test_items_of_several_connections_are_kept_apart() -> None:
    elsewhere = replace(item(), ref=ItemRef("deal", "d1", connection_id=7))
    assert decide(given(items=[item(), elsewhere])).params["n"] == 2


def test_ours_are_the_addresses_and_domains_of_the_team() -> None:
    assert decide(given(message(ADA, ["ada@gmail.com", "anybody@northwind.test"]), ours=OURS)).reason == "internal_only"
