"""Reading scenario files: what every key means, and that mistakes are named with file and line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import ScenarioError
from app.model import Policy
from app.scenario import read
from app.scenario.model import (
    AcceptAction,
    ActionEvent,
    BulkExpectation,
    BulkLinkAction,
    ChangeRecord,
    ConversationExpectation,
    ConvertLead,
    CreateRecord,
    CrmEvent,
    CrmItemRecord,
    CrmOrganizationRecord,
    CrmPersonRecord,
    DeleteRecord,
    DifferentConversations,
    DismissAction,
    FaultEvent,
    LinkAction,
    MergePersons,
    NoteExpectation,
    ReadableExpectation,
    RecordedExpectation,
    RefusedExpectation,
    RestoreRecord,
    SameConversation,
    ScenarioAccount,
    ScenarioMember,
    SetAccountAction,
    SetVisibilityAction,
    UndoAction,
    UnlinkAction,
)
from tests.unit.scenario.scenarios import ADA, CAN, PATH, PEOPLE, message, scenario, text

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
MAIL = "- {at: 2026-03-02T09:00:00Z, message: {key: m1, in: [ada@northwind.test], from: bea@acme.test}}\n"
MAIL_2 = "- {at: 2026-03-02T09:01:00Z, message: {key: m2, in: [can@northwind.test], from: bea@acme.test}}\n"
UNLINK = "- {at: 2026-03-02T09:10:00Z, as: ada@northwind.test, do: {unlink: m1}}\n"
BULK = "- {at: 2026-03-02T09:11:00Z, as: Ada, do: {bulk_link: {conversations: [m1, m2], item: deal/d1}}}\n"


def crm_operation(yaml: str) -> object:
    event = scenario(f"- {{at: 2026-03-02T09:00:00Z, crm: {{{yaml}}}}}\n").events[0]
    assert isinstance(event, CrmEvent)
    return event.operation


def action(yaml: str) -> object:
    event = scenario(f"{MAIL}{MAIL_2}- {{at: 2026-03-02T10:00:00Z, as: Ada, do: {{{yaml}}}}}\n").events[2]
    assert isinstance(event, ActionEvent)
    return event.action


def expectation(yaml: str) -> object:
    return scenario(MAIL + MAIL_2 + UNLINK + BULK, f"- {{{yaml}}}\n").expectations[0]


def test_the_team_its_members_and_their_accounts_are_read():
    read_ = scenario()

    assert (read_.name, read_.now, read_.locale, read_.team.domains) == ("trial", NOW, "en", ("northwind.test",))
    assert read_.members == (ScenarioMember("Ada", ADA, "admin"), ScenarioMember("Can", CAN, "member"))
    assert read_.accounts[0] == ScenarioAccount(ADA, "gmail", "personal", ADA, aliases=("a.yilmaz@northwind.test",))
    assert read_.account(CAN).owner == CAN


def test_an_unknown_account_is_a_key_error():
    with pytest.raises(KeyError):
        scenario().account("nobody@northwind.test")


def test_a_team_account_has_collaborators_named_by_address_or_name():
    team = (
        "  - {address: sales@northwind.test, provider: gmail, kind: team, collaborators: [Can, ada@northwind.test]}\n"
    )

    account = read.parse(PEOPLE.replace("crm:\n", f"{team}crm:\n"), PATH).account("sales@northwind.test")

    assert (account.kind, account.owner, account.collaborators) == ("team", None, (CAN, ADA))


def test_a_personal_account_may_name_its_owner_switch_and_visibility():
    other = (
        "  - {address: lab@northwind.test, provider: graph, owner: Can, auto_link: false, visibility: subject,\n"
        "     collaborators: []}\n"
    )

    account = read.parse(PEOPLE.replace("crm:\n", f"{other}crm:\n"), PATH).account("lab@northwind.test")

    assert account == ScenarioAccount(
        "lab@northwind.test", "graph", "personal", CAN, auto_link=False, visibility="subject"
    )


def test_a_policy_overrides_only_what_it_names():
    policy = "{retroactive: conversation, blocklist: [Pushy.test], blocklist_scope: any, max_counterparts: 3}"
    team = f"{{plan: lite, policy: {policy}}}"

    read_ = read.parse(PEOPLE.replace("{domains: [northwind.test]}", team), PATH)

    assert read_.team.plan == "lite"
    assert read_.team.policy == Policy(
        retroactive="conversation", blocklist=frozenset({"pushy.test"}), blocklist_scope="any", max_counterparts=3
    )


def test_a_file_without_team_and_crm_is_a_scenario():
    read_ = read.parse("now: 2026-03-02\nlocale: tr\nteam: null\n", PATH)

    assert (read_.now, read_.locale, read_.team.policy) == (datetime(2026, 3, 2, tzinfo=UTC), "tr", Policy())
    assert read_.events == read_.expectations == read_.items == ()


def test_an_item_exists_since_the_start_unless_it_says_when_it_was_made():
    items = "items: [{kind: project, id: 7, title: T, participants: [p1, p2], status: completed, organization: o1}]\n"

    read_ = read.parse(PEOPLE.partition("  items:")[0] + f"  {items}", PATH)

    assert read_.items == (
        CrmItemRecord("project", "7", "T", "completed", NOW, participants=("p1", "p2"), organization="o1"),
    )
    assert read_.organizations == (CrmOrganizationRecord("o1", "Acme"),)
    assert read_.persons[0] == CrmPersonRecord("p1", "Bea", ("bea@acme.test",), "o1")


@pytest.mark.parametrize(
    ("yaml", "operation"),
    [
        ("change: {kind: deal, id: d1, status: won}", ChangeRecord("deal", "d1", {"status": "won"})),
        (
            "change: {kind: lead, id: l1, title: New, person: null, participants: [p2], organization: o1}",
            ChangeRecord("lead", "l1", {"title": "New", "person": None, "participants": ("p2",), "organization": "o1"}),
        ),
        (
            "change: {kind: person, id: p1, name: B, emails: [b@acme.test]}",
            ChangeRecord("person", "p1", {"name": "B", "emails": ("b@acme.test",)}),
        ),
        ("delete: {kind: person, id: p1}", DeleteRecord("person", "p1")),
        ("restore: {kind: organization, id: o1}", RestoreRecord("organization", "o1")),
        ("convert: {lead: l1, deal: d5}", ConvertLead("l1", "d5")),
        ("merge_persons: {from: p2, into: p1}", MergePersons("p2", "p1")),
        (
            "create: {kind: person, id: p9, name: Zoë, emails: [z@acme.test], organization: o1}",
            CreateRecord(CrmPersonRecord("p9", "Zoë", ("z@acme.test",), "o1")),
        ),
        ("create: {kind: organization, id: o9, name: Nine}", CreateRecord(CrmOrganizationRecord("o9", "Nine"))),
        (
            "create: {kind: deal, id: d9, title: Nine, person: p1}",
            CreateRecord(CrmItemRecord("deal", "d9", "Nine", "open", NINE, "p1")),
        ),
    ],
)
def test_work_in_the_crm_is_read(yaml, operation):
    assert crm_operation(yaml) == operation


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("link: {conversation: m1, item: lead/l1}", LinkAction("m1", "lead/l1")),
        ("unlink: m1", UnlinkAction("m1")),
        ("dismiss: m1", DismissAction("m1")),
        ("accept: m2", AcceptAction("m2")),
        (
            "bulk_link: {conversations: [m1, m2], item: deal/d1, elsewhere: move}",
            BulkLinkAction(("m1", "m2"), "deal/d1", "move"),
        ),
        ("bulk_link: {conversations: [m1], item: deal/d1}", BulkLinkAction(("m1",), "deal/d1", "skip")),
        ("set_account: {address: A.Yilmaz@northwind.test, auto_link: no}", SetAccountAction(ADA, auto_link=False)),
        ("set_visibility: {conversation: m1, level: private}", SetVisibilityAction("m1", "private")),
    ],
)
def test_what_members_do_is_read(yaml, expected):
    assert action(yaml) == expected


def test_undo_names_an_earlier_action():
    undo = "- {at: 2026-03-02T10:00:00Z, as: can@northwind.test, do: {undo: 1}}\n"

    event = scenario(MAIL + UNLINK + undo).events[2]

    assert event == ActionEvent(2, datetime(2026, 3, 2, 10, tzinfo=UTC), CAN, UndoAction(1))


def test_a_fault_keeps_its_parameters_as_they_are():
    params = "times: 2, after: 1.5, lost: true, ids: [a, 7], note: null"

    event = scenario(f"- {{at: 2026-03-02T09:00:00Z, fault: {{provider: gmail, kind: throttled, {params}}}}}\n").events[
        0
    ]

    assert event == FaultEvent(
        0, NINE, "gmail", "throttled", {"times": 2, "after": 1.5, "lost": True, "ids": ["a", 7], "note": None}
    )


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        (
            (
                "conversation: m1, link: null, outcome: none, reason: item_closed, candidates: [lead/l1, deal/d1],"
                " persons: [p1], organizations: [], messages: 2, claims: m2, origin: manual"
            ),
            ConversationExpectation(
                "m1",
                {
                    "link": None,
                    "origin": "manual",
                    "outcome": "none",
                    "reason": "item_closed",
                    "candidates": frozenset({"deal/d1", "lead/l1"}),
                    "persons": frozenset({"p1"}),
                    "organizations": frozenset(),
                    "messages": 2,
                    "claims": "m2",
                },
            ),
        ),
        (
            "conversation: m1, link: deal/d1, at: 2026-03-02T09:00:00Z",
            ConversationExpectation("m1", {"link": "deal/d1"}, NINE),
        ),
        ("same_conversation: [m1, m2]", SameConversation(("m1", "m2"))),
        ("different_conversations: [m1, m2]", DifferentConversations(("m1", "m2"))),
        ("event: 2, refused: not_owner", RefusedExpectation(2, "not_owner")),
        ("event: 2, refused: null", RefusedExpectation(2, None)),
        (
            "event: 3, linked: [m1], not_linked: {m2: not_owner}",
            BulkExpectation(3, frozenset({"m1"}), {"m2": "not_owner"}),
        ),
        ("event: 3, not_linked: {}", BulkExpectation(3, None, {})),
        ("event: 3, linked: null, not_linked: null", BulkExpectation(3, frozenset(), {})),
        ("note: deal/d1, count: 0", NoteExpectation("deal/d1", 0)),
        ("note: person/p1, contains: [a], lacks: [b]", NoteExpectation("person/p1", None, ("a",), ("b",))),
        (
            "readable: {as: Can, conversation: m1, text: false}",
            ReadableExpectation(CAN, "m1", subject=None, text=False),
        ),
        (
            "readable: {as: Can, conversation: m1, subject: true}",
            ReadableExpectation(CAN, "m1", subject=True, text=None),
        ),
        ("outcomes_recorded: true", RecordedExpectation(recorded=True)),
    ],
)
def test_an_expectation_is_read(yaml, expected):
    assert expectation(yaml) == expected


def test_the_moments_of_a_scenario_are_in_order_and_each_stands_once():
    expect = (
        "- {conversation: m1, messages: 1, at: 2026-03-02T10:00:00Z}\n"
        "- {conversation: m1, messages: 1, at: 2026-03-02T09:00:00Z}\n"
        "- {conversation: m1, link: null, at: 2026-03-02T11:00:00+01:00}\n"
        "- {outcomes_recorded: true}\n"
    )

    assert scenario(MAIL, expect).moments == (NINE, datetime(2026, 3, 2, 10, tzinfo=UTC))


def test_a_message_may_refer_to_a_later_one():
    later = (
        "- {at: 2026-03-02T09:00:00Z, message: {key: m0, in: [Ada@northwind.test], from: x@y.test, references: [m1]}}\n"
    )

    assert scenario(later + MAIL).messages["m0"].references == ("m1",)


@pytest.mark.parametrize(
    "where",
    [
        (
            "- {at: 2026-03-02T09:00:00Z, delivered_at: 2026-03-02T09:30:00Z, message: {key: m1, from: b@c.test,"
            " in: [ada@northwind.test]}}\n"
        ),
        (
            "- {at: 2026-03-02T09:00:00Z, message: {key: m1, from: b@c.test, delivered_at: 2026-03-02T09:30:00Z,"
            " in: [ada@northwind.test]}}\n"
        ),
    ],
)
def test_delivered_at_says_when_the_mailbox_shows_a_message(where):
    event = scenario(where).messages["m1"]

    assert (event.at, event.due) == (NINE, datetime(2026, 3, 2, 9, 30, tzinfo=UTC))


def test_an_eml_file_lies_beside_the_scenario(tmp_path):
    (tmp_path / "quote.eml").write_bytes(b"From: a@b.test\n\nhi\n")

    _, event = message("eml: quote.eml", path=tmp_path / "trial.yaml")

    assert event.eml == b"From: a@b.test\n\nhi\n"


EVENT = "- {at: 2026-03-02T09:00:00Z, "
BAD_EVENTS = [
    (EVENT + "message: {key: m1, in: [x@northwind.test], from: a@b.test}}", "no account 'x@northwind.test'"),
    (EVENT + "message: {key: m1, from: a@b.test}}", "'in'"),
    (EVENT + "message: {key: m1, in: [ada@northwind.test]}}", "needs 'from'"),
    (EVENT + "message: {key: m 1, in: [ada@northwind.test], from: a@b.test}}", "is no key"),
    (EVENT + "message: {key: m1, in: [ada@northwind.test, a.yilmaz@northwind.test], from: a@b.test}}", "stands twice"),
    (EVENT + "message: {key: m1, in: [ada@northwind.test], form: a@b.test}}", "unknown key 'form' in a message"),
    (EVENT + "message: {key: m1, in: [ada@northwind.test], from: a@b.test, references: [m9]}}", "the key 'm9'"),
    (EVENT + "message: {key: m1, in: [ada@northwind.test], from: a@b.test, headers: {'A B': c}}}", "no header name"),
    (EVENT + "message: {key: m1, in: [ada@northwind.test], from: a@b.test, headers: [a]}}", "must be a mapping"),
    (
        EVENT + "message: {key: m1, in: [ada@northwind.test], from: a@b.test, folder: {can@northwind.test: inbox}}}",
        "does not stand in 'in'",
    ),
    (
        EVENT + "message: {key: m1, in: [ada@northwind.test], from: a@b.test, folder: {ada@northwind.test: attic}}}",
        "not 'attic'",
    ),
    (EVENT + "message: {key: m1, in: [ada@northwind.test], from: a@b.test, to: ada}}", "'to' must be a list"),
    (EVENT + "message: {key: m1, in: [ada@northwind.test], from: a@b.test, to: [[ada]]}}", "must be text"),
    (EVENT + "message: {key: m1, in: [ada@northwind.test], from: a@b.test, eml: q.eml}}", "leave out 'from'"),
    (EVENT + "message: {key: m1, in: [ada@northwind.test], eml: missing.eml}}", "cannot be read"),
    (
        EVENT + "delivered_at: 2026-03-02T08:59:00Z, message: {key: m1, in: [ada@northwind.test], from: a@b.test}}",
        "before 'at'",
    ),
    (EVENT + "as: Ada, message: {key: m1, in: [ada@northwind.test], from: a@b.test}}", "'as'"),
    (EVENT + "do: {unlink: m1}}", "'as'"),
    (EVENT + "as: Eve, do: {dismiss: m0}}", "no member 'Eve'"),
    (EVENT + "as: Ada, do: {unlink: m9}}", "the key 'm9'"),
    (EVENT + "as: Ada, do: {erase: m0}}", "'do' holds exactly one of link"),
    (EVENT + "as: Ada, do: {unlink: m0, dismiss: m0}}", "'do' holds exactly one of"),
    (EVENT + "as: Ada, do: {link: {conversation: m0, item: deal/d9}}}", "no item 'deal/d9'"),
    (EVENT + "as: Ada, do: {undo: 0}}", "event 0 (counted from 0) is no action"),
    (EVENT + "as: Ada, do: {undo: -1}}", "whole number"),
    (EVENT + "as: Ada, do: {set_account: {address: ada@northwind.test, auto_link: maybe}}}", "true or false"),
    (EVENT + "as: Ada, do: {set_visibility: {conversation: m0, level: secret}}}", "not 'secret'"),
    (EVENT + "delivered_at: 2026-03-02T09:01:00Z, fault: {provider: gmail, kind: k}}", "only a message"),
    (EVENT + "fault: {provider: gmail}}", "needs 'kind'"),
    (EVENT + "fault: {provider: gmail, kind: k, wait: 1:30.5}}", "plain number"),
    (EVENT + "crm: {change: {kind: deal, id: d1, status: lukewarm}}}", "'status' must be one of"),
    (EVENT + "crm: {change: {kind: deal, id: d1, emails: [a@b.test]}}}", "a deal has no 'emails'"),
    (EVENT + "crm: {change: {kind: deal, id: d1}}}", "at least one field"),
    (EVENT + "crm: {change: {kind: deal, id: d9, title: T}}}", "no deal 'd9'"),
    (EVENT + "crm: {delete: {kind: person, id: p9}}}", "no person 'p9'"),
    (EVENT + "crm: {change: {kind: person, id: p1, organization: o9}}}", "no organization 'o9'"),
    (EVENT + "crm: {create: {kind: deal, id: d1, title: T}}}", "'deal/d1' is defined twice"),
    (EVENT + "crm: {create: {kind: person, id: p9, name: N, title: T}}}", "unknown key 'title' in create of a person"),
    (EVENT + "crm: {create: {kind: person, id: p9, name: N, organization: o9}}}", "no organization 'o9'"),
    (EVENT + "crm: {create: {kind: boat, id: b1}}}", "must be one of deal, lead, project"),
    (EVENT + "crm: {}}", "'crm' holds exactly one of"),
    (EVENT + "note: 1}", "unknown key 'note' in an event"),
    (EVENT + "at: 2026-03-02T09:00:00Z, fault: {provider: gmail, kind: k}}", "'at' stands twice"),
    ("- {fault: {provider: gmail, kind: k}}", "needs 'at'"),
    ("- {at: noon, fault: {provider: gmail, kind: k}}", "must be a time"),
    ("- {at: 0001-01-01T00:00:00+14:00, fault: {provider: gmail, kind: k}}", "must be a time"),
    ("- {at: 2026-03-02T09:00:00Z}", "an event is one of"),
    ("- happy", "an event must be a mapping"),
]
M0 = "- {at: 2026-03-02T08:30:00Z, message: {key: m0, in: [ada@northwind.test], from: bea@acme.test}}\n"
M0_LINE = PEOPLE.count("\n") + 2


@pytest.mark.parametrize(("event", "says"), BAD_EVENTS)
def test_a_wrong_event_is_named_with_file_and_line(event, says):
    with pytest.raises(ScenarioError) as caught:
        scenario(f"{M0}{event}\n")

    assert str(caught.value).startswith(f"trial.yaml, line {M0_LINE + 1}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ("{conversation: m9, link: null}", "the key 'm9'"),
        ("{conversation: m1}", "say what to expect of the conversation"),
        ("{conversation: m1, lnik: null}", "unknown key 'lnik'"),
        ("{conversation: m1, link: deal/d9}", "no item 'deal/d9'"),
        ("{conversation: m1, origin: magic}", "not 'magic'"),
        ("{conversation: m1, outcome: maybe}", "not 'maybe'"),
        ("{conversation: m1, candidates: [d1]}", "no item 'd1'"),
        ("{conversation: m1, persons: [p9]}", "no person 'p9'"),
        ("{conversation: m1, organizations: [o9]}", "no organization 'o9'"),
        ("{conversation: m1, messages: null}", "needs 'messages'"),
        ("{conversation: m1, messages: two}", "whole number"),
        ("{same_conversation: [m1, m1]}", "at least two"),
        ("{different_conversations: m1}", "must be a list"),
        ("{event: 0, refused: not_owner}", "event 0 (counted from 0) is no action"),
        ("{event: 99, refused: not_owner}", "event 99"),
        ("{event: 2}", "say either 'refused'"),
        ("{event: 3, refused: null, linked: []}", "say either 'refused'"),
        ("{event: 2, linked: [m1]}", "event 2 is no bulk action"),
        ("{note: deal/d9, count: 1}", "no record 'deal/d9'"),
        ("{note: person/p9, count: 1}", "no record 'person/p9'"),
        ("{note: d1, count: 1}", "no record 'd1'"),
        ("{note: deal/d1}", "say what to expect of the note"),
        ("{readable: {as: Can, conversation: m1}}", "say what is readable"),
        ("{outcomes_recorded: 1}", "true or false"),
        ("{link: deal/d1}", "an expectation has one of conversation"),
        ("[]", "an expectation must be a mapping"),
    ],
)
def test_a_wrong_expectation_is_named_with_file_and_line(expect, says):
    with pytest.raises(ScenarioError) as caught:
        scenario(MAIL + MAIL_2 + UNLINK + BULK, f"- {expect}\n")

    assert str(caught.value).startswith(f"trial.yaml, line {PEOPLE.count(chr(10)) + 7}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("now: 2026-03-02T08:00:00Z", "when: 2026-03-02T08:00:00Z", "unknown key 'when' in the scenario"),
        ("now: 2026-03-02T08:00:00Z", "now: null", "the scenario needs 'now'"),
        ("team: {domains", "team: {plan: gold, domains", "'plan' must be one of unrestricted"),
        ("team: {domains", "team: {policy: {skip: true}, domains", "unknown key 'skip' in policy"),
        ("role: admin", "role: boss", "'role' must be one of admin, member, not 'boss'"),
        ("email: can@northwind.test", "email: ADA@northwind.test", "is defined twice"),
        ("{name: Can,", "{nick: Can,", "unknown key 'nick' in a member"),
        ("{address: can@northwind.test,", "{address: lab@northwind.test,", "no member has the address"),
        ("{address: can@northwind.test,", "{address: ada@northwind.test,", "belongs to two accounts"),
        ("aliases: [a.yilmaz@northwind.test]", "kind: team, owner: Ada", "a team account has collaborators"),
        ("aliases: [a.yilmaz@northwind.test]", "collaborators: [Can]", "a personal account has an owner"),
        ("organization: o1}", "organization: o7}", "no organization 'o7'"),
        ("title: Rollout, person: p1", "title: Rollout, person: p7", "no person 'p7'"),
        ("id: p2, name: Tom", "id: p1, name: Tom", "'p1' is defined twice"),
        ("kind: lead", "kind: boat", "'kind' must be one of deal, lead, project"),
        ("title: Spa", "titel: Spa", "unknown key 'titel' in an item"),
        ("[{id: o1, name: Acme}]", "{id: o1}", "'organizations' must be a list"),
    ],
)
def test_a_mistake_in_what_stands_from_the_start_is_named_with_its_line(old, new, says):
    assert old in PEOPLE
    line = PEOPLE[: PEOPLE.index(old)].count("\n") + 1

    with pytest.raises(ScenarioError) as caught:
        read.parse(PEOPLE.replace(old, new, 1), PATH)

    assert says in str(caught.value)
    assert str(caught.value).startswith(f"trial.yaml, line {1 if 'needs' in says else line}: ")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "line 1: the file is empty"),
        (b"now: [", "line 1: "),
        (b"now: a\n b: c\n", "line 2: "),
        (b"now: \x07\n", "special characters are not allowed"),
        (b"now: \xff\n", "not UTF-8"),
        (b"a: &a [x]\nb: *a\n", "line 2: aliases (*name) are not supported"),
        (b"[" * 5000, "nested too deeply"),
        (b"#" * 5_000_001, "larger than 5 MB"),
        (b'now: "\\ud800"', "half a character"),
        (b"{[a]: b}", "a key of the scenario must be text"),
    ],
)
def test_what_is_no_yaml_we_read_is_refused(tmp_path, content, says):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)

    with pytest.raises(ScenarioError, match=r"bad\.yaml") as caught:
        read.load(path)

    assert says in str(caught.value)


def test_a_missing_file_is_a_scenario_error(tmp_path):
    with pytest.raises(ScenarioError, match=r"none.yaml: No such file"):
        read.load(tmp_path / "none.yaml")


def test_a_huge_eml_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("app.scenario.messages.MAX_EML_BYTES", 10)
    (tmp_path / "big.eml").write_bytes(b"x" * 11)

    with pytest.raises(ScenarioError, match=r"big.eml is larger"):
        message("eml: big.eml", path=tmp_path / "trial.yaml")


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "marked.yaml"
    path.write_text("\ufeff" + text(), encoding="utf-8")

    assert read.load(path).name == "marked"


def every_scenario() -> list[Path]:
    return [*read.BUILT_IN.glob("*.yaml"), *(Path(__file__).parents[2] / "scenarios").glob("*.yaml")]


@pytest.mark.parametrize("path", every_scenario(), ids=lambda path: path.stem)
def test_every_scenario_of_ours_can_be_read_and_expects_something(path):
    assert read.load(path).expectations


def test_the_built_in_scenario_shows_every_reason_of_the_decision_table():
    reasons = {
        expected.facts["reason"]
        for expected in read.built_in().expectations
        if isinstance(expected, ConversationExpectation) and "reason" in expected.facts
    }

    assert reasons >= {
        "follows_conversation",
        "auto_link_off",
        "internal_only",
        "sender_not_authenticated",
        "automated_message",
        "blocked_address",
        "too_many_people",
        "no_known_person",
        "several_open_items",
        "unlinked_by_person",
        "only_open_item",
        "item_newer_than_message",
        "item_closed",
        "no_open_item_group",
        "no_open_item",
    }
