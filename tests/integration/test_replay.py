"""Replay: what a policy would do with the mail of the last days, told to its reader; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app import policy as policies
from app.errors import InvalidRequest, NotAllowed
from app.model import Policy
from app.replay import Report, replay
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, SOMEBODY, TOM, Office, northwind

pytestmark = pytest.mark.integration


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    return northwind(database, team)


def report(office: Office, email: str, policy: Policy | None = None, **back: float) -> Report:
    with office.database.for_team(office.team_id) as connection:
        return replay(connection, office.members[email], office.now - timedelta(**(back or {"days": 30})), policy)


def found(office: Office, told: Report) -> set[tuple[str, int, str | None]]:
    ids = {office.load(row.id).public_id: row.id for row in office.rows("SELECT id FROM conversation")}
    return {(each.kind, ids[each.conversation], str(each.item) if each.item else None) for each in told.differences}


def everything(office: Office) -> Any:
    return [
        office.rows(f"SELECT * FROM {table} ORDER BY 1, 2")
        for table in ("conversation", "decision", "link", "tombstone", "crm_write", "audit", "team")
    ]


def test_an_unlinked_conversation_whose_person_has_an_item_now_would_be_linked(office: Office) -> None:
    late = office.mail("m1", SOMEBODY, ADA)
    office.person("p9", "Sam", SOMEBODY)
    office.deal("d9", "Sofas", "p9")
    office.refresh()
    before = everything(office)
    told = report(office, ADA)
    assert found(office, told) == {("would_link", late, "deal/d9")}
    assert told.differences[0].sentence == "Linked: the only open item of Sam."
    assert everything(office) == before


def test_a_choice_that_is_open_is_told_and_what_stands_is_not(office: Office) -> None:
    office.mail("m1", BEA, ADA)
    choice = office.mail("m2", TOM, ADA)
    told = report(office, ADA)
    assert (told.looked_at, found(office, told)) == (2, {("would_choose", choice, None)})


def test_a_changed_policy_would_decide_otherwise_on_automatic_links_alone(office: Office) -> None:
    automatic, by_hand = office.mail("m1", BEA, ADA), office.mail("m2", BEA, ADA)
    office.link(ADA, by_hand, office.ref("deal", "d2"), move=True)
    told = report(office, ADA, policies.read({"blocklist": ["acme.test"]}))
    assert found(office, told) == {("would_differ", automatic, None)}
    assert (str(told.differences[0].linked_to), told.differences[0].reason) == ("deal/d1", "blocked_address")


def test_what_a_person_unlinked_stays_unlinked(office: Office) -> None:
    office.unlink(ADA, office.mail("m1", BEA, ADA))
    assert report(office, ADA).differences == ()


def test_older_mail_is_not_looked_at(office: Office) -> None:
    office.mail("m1", TOM, ADA)
    office.clock.step(days=3)
    assert report(office, ADA, days=2).looked_at == 0
    assert report(office, ADA, days=4).looked_at == 1


def test_a_member_is_told_of_what_that_member_may_link(office: Office) -> None:
    office.mail("m1", TOM, ADA, subject="Secret refit")
    assert report(office, CAN).looked_at == 0
    (told,) = report(office, DAN).differences  # an administrator may link it and reads no subject of private mail
    assert (told.subject, told.kind) == (None, "would_choose")
    assert "Tom" not in told.sentence


def test_reading_costs_the_same_queries_for_one_conversation_and_for_many(office: Office, database: Database) -> None:
    import sqlalchemy as sa

    counted: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda _c, _u, statement, *_: counted.append(statement))

    def cost() -> int:
        counted.clear()
        report(office, ADA)
        return len(counted)

    office.mail("m1", TOM, ADA)
    one = cost()
    for number in range(2, 12):
        office.mail(f"m{number}", TOM, ADA)
    assert cost() == one


# --- the policy itself ---


@pytest.mark.parametrize(
    "given",
    [
        {"retroactive": "always"},
        {"max_counterparts": 0},
        {"max_counterparts": "many"},
        {"blocklist": [{}]},
        {"blocklist": [f"x{n}.test" for n in range(10_001)]},
        {"unknown": 1},
        {"skip_automated": None},
    ],
)
def test_a_policy_that_makes_no_sense_names_the_field(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        policies.read(given)
    assert caught.value.fields[0]["field"].partition(".")[0] == next(iter(given))


def test_an_administrator_changes_the_policy_and_others_do_not(office: Office) -> None:
    with office.database.for_team(office.team_id) as connection:
        policies.change(connection, office.acting(DAN), {"blocklist": ["acme.test"]})
        assert policies.current(connection) == Policy(blocklist=frozenset({"acme.test"}))
        policies.change(connection, office.acting(DAN), {"max_counterparts": 5})
        assert policies.current(connection) == Policy(blocklist=frozenset({"acme.test"}), max_counterparts=5)
        with pytest.raises(NotAllowed):
            policies.change(connection, office.acting(ADA), {"max_counterparts": 50})
    conversation = office.mail("m1", BEA, ADA)
    assert office.decision(conversation).decision.reason == "blocked_address"
