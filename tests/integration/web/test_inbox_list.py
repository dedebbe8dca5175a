"""The inbox as it is used all day: narrowed, kept, answered in place, many at once, undone later, told of new mail."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote, urlencode

import pytest
import sqlalchemy as sa

from app.installation import Installation
from app.store import crm, inbox
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, TOM, Office
from tests.integration.web.conftest import ORIGIN, StoppedClock
from tests.integration.web.test_inbox import (  # the fixtures of the pages
    Page,
    browse,
    office,
    path_of,
    subjects,
)

pytestmark = pytest.mark.integration
__all__ = ["browse", "office"]
NOBODY = "nobody@elsewhere.test"


def in_place(page: Page, path: str, **form: object) -> str:
    """Send a form as htmx does from a list; return the parts that come back."""
    answer = page.client.post(path, data={"in": "list", **form}, headers={"Origin": ORIGIN, "HX-Request": "true"})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_data(as_text=True)


def test_the_list_is_narrowed_by_account_person_and_day_and_counts_what_fits(
    office: Office, browse: Callable[[str], Page]
) -> None:
    office.mailbox("sales@northwind.test", kind="team", collaborators=[ADA])
    office.mail("m1", BEA, ADA, subject="To Ada")
    office.mail("m2", BEA, "sales@northwind.test", at=["sales@northwind.test"], subject="To sales")
    office.clock.step(days=2)
    both = office.mail("m3", NOBODY, [ADA, "sales@northwind.test"], at=[ADA, "sales@northwind.test"], subject="To both")
    ada = browse(ADA)
    page = ada.get("/inbox")
    assert subjects(page) == ["To both", "To sales", "To Ada"]
    held = re.findall(r'class="held">([^<]+)', page)  # what is in the one mailbox of her own needs no saying
    assert held == [f"{ADA}, sales@northwind.test", "sales@northwind.test"]
    assert subjects(ada.get("/inbox?of=mine")) == ["To both", "To Ada"]
    team = ada.get("/inbox?of=team")
    assert subjects(team) == ["To both", "To sales"]
    assert re.findall(r'<span class="count">(\d+)</span>', team)[:4] == ["2", "1", "0", "1"]
    account = office.accounts[ADA].public_id
    assert subjects(ada.get(f"/inbox?account={account}&state=linked")) == ["To Ada"]
    assert subjects(ada.get(f"/inbox?account={office.accounts[CAN].public_id}")) == []  # another member's
    assert subjects(ada.get("/inbox?about=person/p1")) == ["To sales", "To Ada"]
    assert subjects(ada.get("/inbox?about=person/p1&s=sales")) == ["To sales"]
    assert subjects(ada.get("/inbox?about=person/unknown")) == []
    day = office.now.date()
    assert subjects(ada.get(f"/inbox?since={day}")) == ["To both"]
    assert subjects(ada.get(f"/inbox?until={day - timedelta(days=1)}")) == ["To sales", "To Ada"]
    assert "No conversation fits this filter" in ada.get(f"/inbox?since={day}&until={day - timedelta(days=1)}")
    assert office.linked(both) is None


def test_a_conversation_in_two_accounts_stands_once_however_the_pages_fall(office: Office, database: Database) -> None:
    office.mailbox("sales@northwind.test", kind="team", collaborators=[ADA])
    office.mail("m1", NOBODY, ADA)
    office.mail("m2", "other@elsewhere.test", ADA)
    office.mail("m3", NOBODY, "sales@northwind.test", at=["sales@northwind.test"], answers="m1")
    accounts = frozenset(office.accounts[each].id for each in (ADA, "sales@northwind.test"))
    with database.for_team(office.team_id) as connection:
        shown, after = [], None
        while page := inbox.page(connection, inbox.Filter(accounts), after, limit=1):
            after = page[-1]
            shown.append(after.conversation_id)
    assert len(shown) == len(set(shown)) == len(office.rows("SELECT DISTINCT conversation_id FROM inbox_entry"))


def test_a_page_and_its_counts_go_by_an_index_however_they_are_narrowed(database: Database, office: Office) -> None:
    office.mail("m1", BEA, ADA)
    account = office.accounts[ADA].id
    now = office.now
    asked = [
        inbox.Filter(frozenset({account})),
        inbox.Filter(frozenset({account, office.accounts[CAN].id}), "review", since=now, until=now),
        inbox.Filter(frozenset({account}), record=office.ref("person", "p1"), since=now),
    ]
    plans: list[str] = []

    def explain(connection: sa.Connection, _c: object, statement: str, values: object, *_: object) -> None:
        if "inbox_entry" in statement and not statement.startswith("EXPLAIN"):
            plans.append("\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars()))  # type: ignore[arg-type]  # as the driver had them

    with database.for_team(office.team_id) as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        sa.event.listen(connection, "before_cursor_execute", explain)
        for each in asked:
            inbox.page(connection, each, inbox.Place(now, 1))
            inbox.counts(connection, each)
    assert len(plans) == 2 * len(asked)
    for plan in plans:
        assert "Seq Scan" not in plan
        assert re.search(r"ix_inbox_entry_(recent|state|conversation)|pk_inbox_entry", plan), plan


def test_a_filter_is_kept_by_its_member_alone_until_it_is_deleted(
    office: Office, browse: Callable[[str], Page]
) -> None:
    ada, can = browse(ADA), browse(CAN)
    for view in ("state=unlinked&s=old", "state=unlinked&s=prices&junk=1"):
        ada.post("/inbox/filters", name=" Prices  of March ", view=view)
    page = ada.get("/inbox")
    assert re.findall(r'<span class="saved"><a href="([^"]+)">([^<]+)', page) == [
        ("/inbox?state=unlinked&s=prices", "Prices of March")
    ]
    delete = re.findall(r'action="(/inbox/filters/[0-9a-f-]+/delete)"', page)[0]
    assert "Prices of March" not in can.get("/inbox")
    assert can.refused(delete) == 404
    ada.post(delete)
    assert "Prices of March" not in ada.get("/inbox")
    for number in range(35):
        ada.post("/inbox/filters", name=f"Number {number}", view="s=x")
    ada.post("/inbox/filters", name="Number 7", view="s=changed")  # one that is kept can still be changed
    page = ada.get("/inbox")
    assert page.count('class="saved"') == 30
    assert '<a href="/inbox?s=changed">Number 7' in page


def test_a_choice_on_a_row_is_answered_in_place_with_the_counts_and_its_undo(
    office: Office, browse: Callable[[str], Page]
) -> None:
    conversation = office.mail("m1", TOM, ADA)
    ada, path = browse(ADA), path_of(office, conversation)
    pick = ada.get(f"{path}/pick?q=isik")
    assert re.findall(r'value="(deal/\w+)"', pick) == ["deal/d3", "deal/d2", "deal/d3"]  # found, then suggested
    changed = in_place(ada, f"{path}/link", item="deal/d3")
    assert f'id="c-{path[15:]}" hx-swap-oob="true"' in changed
    assert 'id="tabs"' in changed
    assert "Linked." in changed
    assert "<html" not in changed
    assert pick.count("After linking these can read it too: Can, Dan, Eve.") == 1  # it is the same for each
    confirm = ada.get(f"{path}/pick?item=deal/d2")
    assert "linked to “Işık spa”. Link it to “Lobby” instead?" in confirm
    assert ada.refused(f"{path}/link", item="deal/d2") == 409  # not without the confirmation that names both
    in_place(ada, f"{path}/link", item="deal/d2", move="1")
    assert office.linked(conversation) == "deal/d2"
    in_place(ada, f"{path}/unlink")
    assert office.linked(conversation) is None
    assert ada.status(f"{path}/pick?item=deal/unknown") == 404


def test_the_last_action_can_be_taken_back_from_any_page_until_it_is_dismissed(
    office: Office, browse: Callable[[str], Page]
) -> None:
    conversation = office.mail("m1", TOM, ADA)
    ada, can, path = browse(ADA), browse(CAN), path_of(office, conversation)
    action = ada.post(f"{path}/link", item="deal/d3")["action"]
    for page in ("/review", "/doctor", "/preferences"):
        assert f'name="action" value="{action}"' in ada.get(page)
        assert action not in can.get(page)
    can.post("/last-action/dismiss", action=action)  # says nothing about Ada's
    ada.post("/undo", action=action)
    assert office.linked(conversation) is None
    assert action not in ada.get("/review")
    action = ada.post(f"{path}/dismiss")["action"]
    ada.post("/last-action/dismiss", action=action)
    assert action not in ada.get("/inbox")
    assert ada.refused("/last-action/dismiss", action="x") == 303


def test_many_are_linked_or_dismissed_at_once_and_what_stands_in_the_way_is_said_before(
    office: Office, browse: Callable[[str], Page]
) -> None:
    lobby = [office.mail(f"m{n}", TOM, ADA, subject=f"Question {n}") for n in range(3)]
    rollout = office.mail("m8", BEA, ADA, subject="Already linked")
    office.mail("m9", BEA, CAN, at=[CAN], subject="Shared by Can")
    theirs = office.conversation_of("m9")
    ada = browse(ADA)
    ticked = [office.load(each).public_id for each in [*lobby, rollout, theirs]]
    answer = ada.client.post("/conversations/pick", data={"c": ticked}, headers={"Origin": ORIGIN})
    page = answer.get_data(as_text=True)
    assert "Conversations to link to one item: 4." in page
    assert "fits 3 of 4" in page
    assert page.count("After linking these can read it too: Can, Dan, Eve.") == 1
    assert "Shared by Can" in page  # linked and shared, so she sees it, and may not link it
    assert "Also move those that are linked to another item (1)" in page
    said = {"c": ticked, "item": "deal/d2", "in": "list"}  # as the page sends it that has said all this
    done = ada.post("/conversations/link", **said)
    assert (done["n"], done["left"], office.linked(rollout)) == ("3", "2", "deal/d1")
    ada.post("/undo", action=done["action"])
    done = ada.post("/conversations/link", **said, move="1")
    assert (done["n"], office.linked(rollout), office.linked(theirs)) == ("4", "deal/d2", "deal/d1")
    ada.post("/undo", action=done["action"])

    gone = in_place(ada, "/conversations/dismiss", c=ticked)
    assert "Taken out of the list: 3. Left as they are: 2." in gone
    assert gone.count('hx-swap-oob="true"') == 3 + 1  # the rows, and the counts
    assert all(office.is_dismissed(each) for each in lobby)
    action = re.findall(r'name="action" value="([^"]+)"', gone)[0]
    assert "Taken back." in in_place(ada, "/undo", action=action)
    assert not any(office.is_dismissed(each) for each in lobby)


def test_new_mail_is_counted_and_brought_for_who_may_see_it(office: Office, browse: Callable[[str], Page]) -> None:
    office.mail("m1", BEA, ADA, subject="First")
    ada, dan = browse(ADA), browse(DAN)
    asked = re.findall(r'hx-get="(/inbox/new[^"]+)"', ada.get("/inbox"))[0]
    assert "new</a>" not in ada.get(asked)
    office.mail("m2", NOBODY, ADA, subject="Second")
    office.mail("m3", BEA, ADA, answers="m1", subject="First")
    office.mail("m4", NOBODY, CAN, at=[CAN], subject="CANARY")
    assert "2 new</a>" in ada.get(asked)
    assert "1 new</a>" in ada.get(asked.replace("new?", "new?state=unlinked&"))
    rows = ada.get(f"{asked}&rows=1")
    assert subjects(rows) == ["First", "Second"]
    assert re.findall(r'id="fresh"[^>]+hx-get="(/inbox/new[^"]+)"', rows) != [asked]
    assert "new</a>" not in dan.get(asked)  # an administrator has no mailbox here
    assert "new</a>" in ada.get(f"/inbox/new?after={quote('2000-01-01T00:00:00+00:00')}")
    assert ada.status("/inbox/new?after=nonsense") == 200


def test_the_review_queue_asks_a_person_at_a_time(
    office: Office, browse: Callable[[str], Page], installation: Installation, clock: StoppedClock
) -> None:
    asked = [office.mail(f"m{n}", TOM, ADA, subject=f"Question {n}") for n in range(3)]
    ada = browse(ADA)
    page = ada.get("/review")
    assert page.count('<section class="choice"') == 1
    assert page.count('data-key="2"') == 1
    assert page.count("After linking these can read it too: Can, Dan, Eve.") == 1
    assert 'name="move"' not in page  # what a colleague links meanwhile stays where that is
    ticked = re.findall(r'name="c" value="([0-9a-f-]+)"', page)
    picked = ada.client.post(
        "/conversations/pick", data={"c": ticked, "view": "from=review"}, headers={"Origin": ORIGIN}
    ).get_data(as_text=True)
    assert picked.count('name="c"') == 3  # another item is for all of them, and leads back
    assert 'name="back" value="/review"' in picked
    done = ada.post("/conversations/link", c=ticked, item="deal/d3", back="/review")
    assert (done["path"], done["n"]) == ("/review", "3")
    assert [office.linked(each) for each in asked] == ["deal/d3"] * 3
    assert "Nothing needs a choice" in ada.get("/review")
    assert "You settled" not in ada.get("/review")
    clock.advance(timedelta(days=1))
    assert "You settled 3 yesterday." in ada.get("/review")
    office.mail("m9", TOM, ADA, subject="One more")
    assert "You settled 3 yesterday." in ada.get("/review")  # is shown when the page has nothing left


def test_the_review_page_is_told_when_there_is_something_else_to_choose(
    office: Office, browse: Callable[[str], Page]
) -> None:
    for number in range(3):
        office.mail(f"m{number}", TOM, ADA, subject=f"Question {number}")
    ada = browse(ADA)
    page = ada.get("/review")
    shown = re.findall(r'name="shown" value="(\w+)"', page)
    ticked = re.findall(r'name="c" value="([0-9a-f-]+)"', page)

    def is_news(marks: list[str]) -> bool:
        return "something else to choose" in ada.get("/review/changed?" + urlencode({"shown": marks}, doseq=True))

    assert (len(shown), is_news(shown), is_news(shown[1:])) == (3, False, True)
    assert 'id="c-' not in in_place(ada, "/conversations/link", **{"c": ticked[0], "item": "deal/d3", "in": "review"})
    assert (is_news(shown[1:]), is_news(shown)) == (False, True)  # what the page itself settled is no news
    office.deal("d9", "Terrace", "p2")
    office.refresh()
    assert is_news(shown[1:])


def test_a_list_says_how_the_crm_and_its_items_are(
    office: Office, browse: Callable[[str], Page], database: Database, clock: StoppedClock
) -> None:
    closed = office.mail("m1", BEA, ADA)
    ada = browse(ADA)
    office.item("deal", "d1", "Rollout", "p1", state="won")
    office.refresh()
    assert "linked item closed (won)" in ada.get("/inbox")

    def standing(state: str, reason: str, until: timedelta | None, refreshed: timedelta) -> str:
        with database.for_team(office.team_id) as connection:
            connection.execute(
                sa.text("UPDATE crm_connection SET state = :state, state_reason = :reason, throttled_until = :until"),
                {"state": state, "reason": reason, "until": clock.now() + until if until else None},
            )
            at = clock.now() - refreshed
            connection.execute(sa.text("UPDATE mirror_cursor SET refreshed_at = :at"), {"at": at})
        return ada.get("/inbox")

    minute, day = timedelta(minutes=1), timedelta(days=1)
    assert "CRM data from" not in standing("live", "", None, minute)
    assert "CRM data from" in standing("live", "", None, day)
    assert "The CRM does not answer." in standing("trouble", "Unavailable", None, minute)
    assert all("The CRM does not answer." in ada.get(page) for page in ("/review", "/items/person/p2"))
    limited = standing("trouble", "RateLimited", day, minute)
    assert "notes wait until" in limited
    assert "notes wait for the CRM’s daily limit until" in standing("trouble", "DailyLimitReached", day, minute)
    assert "the note in the CRM waits" in limited
    office.rows("UPDATE account SET paused = true WHERE id = :id RETURNING id", id=office.accounts[ADA].id)
    assert f"{ADA} is paused: new messages do not arrive here." in ada.get("/inbox")
    with database.for_team(office.team_id) as connection:
        (note,) = crm.notes_of(connection, [closed])
        crm.postpone(connection, note.id, until=None, error="Rejected", parked=True)
    assert "the CRM did not take the note" in ada.get("/inbox")


def test_a_record_that_went_into_another_leads_there_and_a_person_lists_what_is_not_linked(
    office: Office, browse: Callable[[str], Page], database: Database
) -> None:
    office.mail("m1", TOM, ADA, subject="Which one")
    office.mail("m2", BEA, ADA, subject="Linked one")
    ada = browse(ADA)
    person = ada.get("/items/person/p2")
    assert subjects(person) == ["Which one"]
    assert "Lobby" in person
    assert "Choose for each conversation" in person
    assert 'href="/inbox?about=person%2Fp2"' in person
    assert subjects(ada.get("/items/person/p1")) == ["Linked one"]
    with database.for_team(office.team_id) as connection:
        connection.execute(
            sa.text("UPDATE mirror_item SET state = 'deleted', merged_into = 'deal/d3' WHERE external_id = 'd2'")
        )
        connection.execute(sa.text("UPDATE mirror_item SET state = 'deleted' WHERE external_id = 'd1'"))
    assert 'went into another record: <a href="/items/deal/d3">Işık spa</a>' in ada.get("/items/deal/d2")
    assert "deleted in the CRM" in ada.get("/items/deal/d1")
    with database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE mirror_item SET visibility = '[\"x\"]' WHERE external_id = 'd3'"))
        connection.execute(sa.text("UPDATE mirror_person SET visibility = '[\"x\"]' WHERE external_id = 'p2'"))
    assert "Işık spa" not in ada.get("/items/deal/d2")
    assert ada.status("/items/person/p2") == 404
    assert subjects(ada.get("/inbox?about=person/p2")) == []
