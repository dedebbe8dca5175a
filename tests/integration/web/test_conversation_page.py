"""The page of one conversation: what it says to whom, and what is changed on it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
import sqlalchemy as sa

from app import item_history
from app.errors import Rejected
from app.model import Attachment
from app.store import crm_connections
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, TOM, Office
from tests.integration.web.conftest import ORIGIN, StoppedClock
from tests.integration.web.test_inbox import Page, browse, office, path_of

__all__ = ["browse", "office"]
pytestmark = pytest.mark.integration

Browse = Callable[[str], Page]


@pytest.fixture
def opened() -> list[Any]:
    """The CRM that is opened, once it is put here."""
    return []


@pytest.fixture
def open_crm(open_crm: Callable[[object], Any], opened: list[Any]) -> Callable[[object], Any]:
    return lambda connection: opened[-1] if opened else open_crm(connection)


def part(page: str, heading: str) -> str:
    """Return a section of the side pane, without the blanks."""
    _, _, after = page.partition(f"<h2>{heading}</h2>")
    return " ".join(after.partition("</section>")[0].split())


def change(office: Office, sql: str, **params: object) -> None:
    with office.database.for_team(office.team_id) as connection:
        connection.execute(sa.text(sql), params)


def at_the_time_of(office: Office, clock: StoppedClock) -> None:
    clock.at = office.now


def test_quotes_are_folded_and_people_are_those_of_the_crm(office: Office, browse: Browse) -> None:
    office.mail("m1", BEA, [ADA, "stranger@else.test"], text="Hello Ada")
    conversation = office.mail(
        "m2", ADA, BEA, answers="m1", text="Yes.\n\nOn 2 Mar Bea wrote:\n> Hello Ada", bcc="boss@else.test",
        attachments=[Attachment("offer.pdf", 2_048)],
    )  # fmt: skip
    page = browse(ADA).get(path_of(office, conversation))
    first, second = page.split('<details class="message')[1:]
    assert " open>" not in first.partition(">")[0] + ">"
    assert " open>" in second.partition(">")[0] + ">"
    assert '<pre class="mail">Yes.</pre>' in second
    assert '<details class="quote"><summary>Quoted text</summary><pre class="mail">On 2 Mar Bea wrote:' in second
    assert "Bcc boss@else.test" in second
    assert "offer.pdf</a>" in second
    assert "2.0 kB" in second
    assert "Open in Gmail" in second
    people = part(page, "People")
    assert '<a class="chip" href="/items/person/p1">Bea</a>' in people
    assert "stranger@else.test<br><span" in people.replace(" <br>", "<br>")
    assert "not in the CRM" in people
    assert "boss@else.test" in people
    assert "boss@else.test" not in browse(EVE).get(path_of(office, conversation))


def test_who_does_not_own_a_conversation_sees_why_nothing_can_be_changed(office: Office, browse: Browse) -> None:
    conversation = office.mail("m1", BEA, ADA)
    page = browse(EVE).get(path_of(office, conversation))
    assert 'disabled aria-describedby="not-owner">Unlink</button>' in page
    assert "Only the conversation's owner or an administrator can link it." in page
    assert "/unlink" not in page
    assert 'id="choose"' not in page
    assert '<select id="level" disabled aria-describedby="only-owner">' in page
    assert "Open in Gmail" not in page
    assert browse(EVE).refused(f"{path_of(office, conversation)}/visibility", level="full") == 403


def test_the_pane_says_who_reads_it_and_who_would_after_linking(office: Office, browse: Browse) -> None:
    conversation = office.mail("m1", TOM, ADA)  # two items: not linked
    page = browse(ADA).get(path_of(office, conversation))
    readers = part(page, "Who can see it")
    assert 'Ada <span class="quiet">everything · has it in an own mailbox' in readers
    assert 'Dan <span class="quiet">people and dates · administrator' in readers
    assert "Eve" not in readers
    assert page.count("After linking these can read it too: Can, Dan, Eve.") == 2
    office.link(ADA, conversation, office.ref("deal", "d2"))
    readers = part(browse(ADA).get(path_of(office, conversation)), "Who can see it")
    assert 'Eve <span class="quiet">everything · sees the item' in readers
    office.share(ADA, conversation, "private")
    page = browse(ADA).get(path_of(office, conversation))
    assert "Eve" not in part(page, "Who can see it")
    assert "Nothing of it is written to the CRM." in page
    assert "After linking nobody on the team reads more than now." in browse(ADA).get(
        f"{path_of(office, conversation)}?q=rollout"
    )


def test_who_would_read_it_is_told_of_members_with_one_name_too(office: Office, browse: Browse) -> None:
    office.member("ada@lab.test")
    page = browse(ADA).get(path_of(office, office.mail("m1", TOM, ADA)))
    assert page.count("After linking these can read it too: Ada, Can, Dan, Eve.") == 2


def test_nobody_learns_from_it_who_was_in_bcc(office: Office, browse: Browse) -> None:
    office.mailbox(EVE, visibility="private")
    conversation = office.mail("m1", BEA, ADA, at=[ADA, EVE])  # Eve is named nowhere
    office.share(ADA, conversation, "private")
    change(office, "UPDATE account SET visibility = 'private'")
    readers = part(browse(ADA).get(path_of(office, conversation)), "Who can see it")
    assert "Ada" in readers
    assert "Eve" not in readers
    assert "Eve <span" in part(browse(EVE).get(path_of(office, conversation)), "Who can see it")


def test_another_item_is_linked_after_both_were_named(office: Office, browse: Browse) -> None:
    conversation = office.mail("m1", BEA, ADA)
    path, ada = path_of(office, conversation), browse(ADA)
    assert f'method="get" action="{path}/move"' in ada.get(f"{path}?q=lobby")
    asked = ada.get(f"{path}/move?item=deal/d2")
    assert "<strong>Rollout</strong>" in asked
    assert "<strong>Lobby</strong>" in asked
    assert office.linked(conversation) == "deal/d1"
    assert browse(EVE).status(f"{path}/move?item=deal/d2") == 403
    assert ada.status(f"{path}/move?item=deal/nothing") == 404
    assert ada.refused(f"{path}/link", item="deal/d2") == 409
    ada.post(f"{path}/link", item="deal/d2", move="1", back=path)
    assert office.linked(conversation) == "deal/d2"
    ada.post(f"{path}/unlink", back=path)
    assert ada.status(f"{path}/move?item=deal/d1") == 303


def test_the_history_tells_who_did_what_and_takes_back_what_stands(office: Office, browse: Browse) -> None:
    conversation = office.mail("m1", TOM, ADA)
    path, ada = path_of(office, conversation), browse(ADA)
    first = office.link(ADA, conversation, office.ref("deal", "d2"))
    second = office.link(ADA, conversation, office.ref("deal", "d3"), move=True)
    office.share(ADA, conversation, "subject")
    history = part(ada.get(path), "History")
    assert history.index("Ada linked it to Işık spa instead.") < history.index("Ada linked it to Lobby.")
    assert history.index("Ada linked it to Lobby.") < history.index("Tom has 2 open items. Choose one.")
    assert "Ada chose what others may read: people, dates and subject." in history
    assert second in history
    assert first not in history  # it was overtaken
    ada.post("/undo", action=second, back=path)
    assert office.linked(conversation) == "deal/d2"
    history = part(ada.get(path), "History")
    assert "Ada took an action back." in history
    assert second not in history
    assert first in history
    assert 'name="action"' not in part(browse(EVE).get(path), "History")


def test_an_item_that_the_crm_hides_is_named_nowhere(office: Office, browse: Browse) -> None:
    conversation = office.mail("m1", TOM, ADA)
    office.link(ADA, conversation, office.ref("deal", "d2"))
    change(office, "UPDATE mirror_item SET visibility = '[\"nobody\"]' WHERE external_id = 'd2'")
    path, ada = path_of(office, conversation), browse(ADA)
    page = ada.get(path)
    assert "Lobby" not in page
    assert "Ada linked it to an item you may not see." in page
    assert ada.status(f"{path}/move?item=deal/d2") == 404
    assert browse(EVE).status(path) == 404


def test_visibility_is_its_owners_choice(office: Office, browse: Browse) -> None:
    conversation = office.mail("m1", BEA, ADA)
    path, ada = path_of(office, conversation), browse(ADA)
    assert ada.post(f"{path}/visibility", level="private", back=path)["done"] == "shared"
    assert '<option value="private" selected>' in ada.get(path)
    assert browse(EVE).status(path) == 404
    assert browse(DAN).refused(f"{path}/visibility", level="full") == 403
    assert ada.refused(f"{path}/visibility", level="everybody") == 422
    ada.post(f"{path}/visibility", level="", back=path)
    assert browse(EVE).status(path) == 200


def test_why_names_the_message_the_candidates_and_the_way_on(office: Office, browse: Browse) -> None:
    office.item("deal", "d9", "Old one", "p1", state="won")
    office.refresh()
    conversation = office.mail("m1", BEA, ADA)
    why = part(browse(ADA).get(path_of(office, conversation)), "Why")
    assert "Linked: the only open item of Bea." in why
    assert f'href="#m-{office.load(conversation).messages[0].public_id}"' in why
    assert "Old one" in why
    assert "is won" in why
    false = ("Authentication-Results", "mx.google.com; dmarc=fail (p=REJECT) header.from=acme.test")
    doubted = office.mail("m2", BEA, ADA, headers=[false], subject="Invoice")
    path, ada = path_of(office, doubted), browse(ADA)
    page = ada.get(path)
    assert "doubts that this sender is genuine" in page
    assert f'action="{path}/trust"' in page
    assert browse(EVE).status(path) == 404
    assert ada.post(f"{path}/trust", back=path)["done"] == "trusted"
    assert office.linked(doubted) == "deal/d1"


def test_states_have_words_and_a_way_on(office: Office, browse: Browse, clock: StoppedClock) -> None:
    conversation = office.mail("m1", BEA, ADA)
    at_the_time_of(office, clock)
    path, ada = path_of(office, conversation), browse(ADA)
    assert "the note for the CRM is on its way" in ada.get(path)
    with office.database.for_team(office.team_id) as connection:
        until = clock.at + timedelta(hours=16)
        crm_connections.failed(connection, office.connection.id, "RateLimited", until)
    page = ada.get(path)
    assert "the note waits for the CRM until 3 Mar 2026, 00:" in page
    assert "its data is from 2 Mar 2026" in page
    change(office, "UPDATE crm_connection SET state_reason = 'DailyLimitReached'")
    assert "the note waits for the CRM’s daily limit until 3 Mar 2026, 00:" in ada.get(path)
    change(office, "UPDATE crm_write SET state = 'parked'")
    assert "the CRM refused the note" in ada.get(path)
    assert "Nothing of it" not in ada.get(path)
    change(office, "UPDATE account SET state = 'disconnected'")
    assert f"{ADA} is disconnected" in ada.get(path)
    assert "is disconnected" not in browse(EVE).get(path)


def test_a_merge_is_taken_back_for_thirty_days(office: Office, browse: Browse, clock: StoppedClock) -> None:
    two = {office.mail(key, BEA, ADA, subject=subject) for key, subject in (("a1", "Lamps"), ("b1", "Parking"))}
    survivor = office.mail("b2", BEA, ADA, subject="Re: Parking", answers="b1", refers=["a1", "b1"])
    (absorbed,) = two - {survivor}
    at_the_time_of(office, clock)
    path = path_of(office, survivor)
    gone = str(office.rows("SELECT public_id FROM conversation WHERE id = :id", id=absorbed)[0].public_id)
    ada = browse(ADA)
    assert "Two conversations were put together" in ada.get(path)
    assert "were put together" not in browse(EVE).get(path)
    assert ada.post(f"{path}/part", merged=gone, back=path)["done"] == "parted"
    assert len(office.load(absorbed).messages) == 1
    assert "were put together" not in ada.get(path)
    assert ada.refused(f"{path}/part", merged=gone) == 409


def form(page: str, action: str) -> dict[str, str]:
    """Return the fields of a form as they stand there."""
    inside = page.partition(f'action="{action}"')[2].partition("</form>")[0]
    assert inside, action
    return dict(re.findall(r'<input[^>]* name="([^"]*)"[^>]* value="([^"]*)"', inside))


def test_who_is_missing_in_the_crm_is_made_there_once(office: Office, browse: Browse, opened: list[Any]) -> None:
    opened.append(office.crm)
    conversation = office.mail("m1", "Nora Kestrel <nora@kestrel.test>", ADA)
    path, ada = path_of(office, conversation), browse(ADA)
    page = ada.get(path)
    assert 'href="#create-person">Create person</a>' in part(page, "Why")
    fields = form(page, f"{path}/create-person")
    assert (fields["address"], fields["name"]) == ("nora@kestrel.test", "Nora Kestrel")
    assert ada.post(f"{path}/create-person", **{**fields, "name": " Nora  K. "})["done"] == "created_person"
    assert ada.post(f"{path}/create-person", **fields)["done"] == "asked_before"
    assert office.crm.calls["create_person"] == 1
    page = ada.get(path)
    assert '<a class="chip" href="/items/person/made-1">Nora K.</a>' in part(page, "People")
    assert "/create-person" not in page
    for who in (EVE, CAN):  # for whom the conversation is not there
        assert browse(who).refused(f"{path}/create-person", **fields) == 404
    assert ada.refused(f"{path}/create-person", address="nobody@else.test", once=once(page)) == 404


def test_a_new_item_is_linked_at_once_and_what_goes_wrong_is_said_on_the_page(
    office: Office, browse: Browse, opened: list[Any]
) -> None:
    opened.append(office.crm)
    conversation = office.mail("m1", "Nora Kestrel <nora@kestrel.test>", ADA, subject="New lamps")
    path, ada = path_of(office, conversation), browse(ADA)

    def answer(**changed: str) -> tuple[int, str]:
        asked = {
            **form(ada.get(path), f"{path}/create-item"),
            "kind": "lead",
            "address": "nora@kestrel.test",
            **changed,
        }
        sent = ada.client.post(f"{path}/create-item", data=asked, headers={"Origin": ORIGIN})
        return sent.status_code, html.unescape(sent.text)

    able, sentence = office.crm.capabilities, "The fake CRM makes nothing."
    office.crm.fail("create_item", Rejected())
    status, page = answer()
    assert (status, "The CRM did not accept this." in page) == (409, True)
    assert form(page, f"{path}/create-item")["back"] == path  # it can be asked for again
    assert answer(once="x")[0] == 409
    assert answer(kind="person")[0] == 404
    status, page = answer()
    assert status == 303, page
    (made,) = office.rows("SELECT kind, title FROM mirror_item WHERE title = 'New lamps'")
    assert (made.kind, office.linked(conversation) is not None) == ("lead", True)
    assert "Nora Kestrel" in part(ada.get(path), "People")  # who came along
    assert "/create-item" not in ada.get(path)
    (last,) = office.rows("SELECT batch_id, done FROM last_action")
    assert last.done == "created_item"
    ada.post("/undo", action=str(last.batch_id), back=path)
    assert office.linked(conversation) is None

    office.crm.capabilities = replace(able, create_item=False, create_person=False, missing={"create_item": sentence})
    page = ada.get(path)
    assert sentence in page
    assert "/create-" not in page


def once(page: str) -> str:
    return re.search(r'name="once" value="([^"]*)"', page)[1]  # type: ignore[index]  # it is there


def neighbours(page: str) -> list[str | None]:
    """Return what the page leads on to: the list, the newer and the older conversation."""
    nav = page.partition('<nav class="neighbours"')[2].partition("</nav>")[0]
    ways = (re.search(pattern + r'href="([^"]*)"', nav) for pattern in ("<a ", 'rel="prev" ', 'rel="next" '))
    return [html.unescape(way[1]) if way else None for way in ways]


def test_it_leads_to_the_conversations_next_to_it_in_the_list_one_came_from(office: Office, browse: Browse) -> None:
    first = path_of(office, office.mail("a", BEA, ADA, subject="Lamps one"))
    office.mail("b", TOM, ADA, subject="Parking")
    third = path_of(office, office.mail("c", BEA, ADA, subject="Lamps three"))
    office.mailbox(EVE)
    hidden = path_of(office, office.mail("d", BEA, EVE, at=[EVE], subject="Lamps four"))
    last = office.mail("e", TOM, ADA, subject="Chairs")
    ada, parking = browse(ADA), f"{first.rpartition('/')[0]}/{public_id(office, 'Parking')}"
    assert neighbours(ada.get(third)) == ["/inbox", path_of(office, last), parking]
    assert neighbours(ada.get(first))[1:] == [parking, None]
    assert neighbours(browse(EVE).get(hidden))[1:] == [None, None]

    ada.post("/conversations/dismiss", c=path_of(office, last).rpartition("/")[2])
    assert neighbours(ada.get(third)) == ["/inbox", None, parking]
    for view in (
        "state=linked",
        "s=lamps",
        "about=person%2Fp1",
        f"s=lamps&about=person%2Fp1&since={office.now:%Y-%m-%d}",
    ):
        carried = "?" + urlencode({"view": view})
        for page in (f"/inbox?{view}", f"{third}/pick{carried}"):
            assert f'href="{third}{carried}"' in ada.get(page), page
        shown = ada.get(third + carried)
        assert neighbours(shown) == [f"/inbox?{view}", None, first + carried], view
        assert neighbours(ada.get(first + carried))[1:] == [third + carried, None], view
    # A choice keeps the list, and what has left it keeps its place.
    told = ada.post(f"{third}/unlink", back=third, view="state=linked")
    assert told["view"] == "state=linked"
    assert neighbours(ada.get(f"{third}?view=state%3Dlinked"))[1:] == [None, f"{first}?view=state%3Dlinked"]
    assert neighbours(ada.get(f"{third}?view=account%3D{uuid4()}"))[1:] == [None, None]
    assert neighbours(browse(DAN).get(third))[1:] == [None, None]  # an administrator whose mailboxes do not hold it


def test_it_leads_on_in_the_review_queue_and_in_an_items_lists(office: Office, browse: Browse) -> None:
    tom = [path_of(office, office.mail(f"t{n}", TOM, ADA, subject=f"Spa {n}")) for n in range(3)]
    bea = path_of(office, office.mail("b", BEA, ADA, subject="Rollout"))
    ann = path_of(office, office.mail("n", "ann@acme.test", ADA, subject="Chairs"))
    office.person("p8", "Ann", "ann@acme.test")
    for name in ("e1", "e2"):
        office.deal(name, f"Chairs {name}", "p8")
    office.refresh()
    last = path_of(office, office.mail("n2", "ann@acme.test", ADA, answers="n"))
    assert last == ann
    ada = browse(ADA)
    # The queue stands a person at a time: Ann, then what Tom wrote, the newest first.
    review = "?" + urlencode({"view": "from=review"})
    page = ada.get("/review")
    assert [page.index(f'href="{each}{review}"') for each in (ann, *tom[::-1])] == sorted(
        page.index(f'href="{each}{review}"') for each in (ann, *tom)
    )
    assert neighbours(ada.get(ann + review)) == ["/review", None, tom[2] + review]
    assert neighbours(ada.get(tom[1] + review))[1:] == [tom[2] + review, tom[0] + review]
    told = ada.post(f"{tom[1]}/link", item="deal/d2", back=tom[1], view="from=review")
    assert told["view"] == "from=review"
    assert neighbours(ada.get(tom[1] + review))[1:] == [tom[2] + review, tom[0] + review]  # it keeps its place
    ada.post(f"{ann}/dismiss", back="/review")
    assert neighbours(ada.get(ann + review))[1:] == [None, tom[2] + review]

    # An item has two lists.
    history, could_be = ("?" + urlencode({"view": view}) for view in ("from=deal%2Fd2", "from=deal%2Fd2&list=unlinked"))
    page = ada.get("/items/deal/d2")
    assert f'href="{tom[1]}{history}"' in page
    assert f'href="{tom[2]}{could_be}"' in page
    assert neighbours(ada.get(tom[1] + history)) == ["/items/deal/d2", None, None]
    assert neighbours(ada.get(tom[2] + could_be))[1:] == [None, tom[0] + could_be]
    ada.post(f"{tom[2]}/link", item="deal/d2", back=tom[2], view="from=deal/d2&list=unlinked")
    assert neighbours(ada.get(tom[2] + could_be))[1:] == [None, tom[0] + could_be]
    assert neighbours(ada.get(tom[2] + history))[1:] == [None, tom[1] + history]
    person = "?" + urlencode({"view": "from=person%2Fp2"})
    assert neighbours(ada.get(tom[2] + person))[1:] == [None, tom[1] + person]
    for view in ("from=deal/unknown", "from=//evil.test", "from=secret/1", "from=deal/"):
        assert "evil" not in str(neighbours(ada.get(f"{bea}?{urlencode({'view': view})}")))
    assert neighbours(ada.get(f"{bea}?view=from%3Dsecret%2F1"))[0] == "/inbox"
    office.rows("UPDATE mirror_item SET visibility = '[\"x\"]' WHERE external_id = 'd2' RETURNING external_id")
    assert neighbours(ada.get(tom[2] + history))[1:] == [None, None]  # a record that the CRM hides lists nothing


def test_an_items_history_goes_on_page_by_page(office: Office, browse: Browse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_history, "PAGE_SIZE", 2)
    paths = [path_of(office, office.mail(f"m{n}", BEA, ADA, subject=f"Part {n}")) for n in range(5)][::-1]
    ada, shown, page = browse(ADA), [], "/items/deal/d1"
    view = "?" + urlencode({"view": "from=deal%2Fd1"})
    while page:
        text = ada.get(page)
        found = re.findall(r'class="open" href="([^"?]+)', text)
        assert len(found) <= 2
        shown += found
        more = re.search(r'class="more" href="([^"]+)"', text)
        page = more[1] if more else ""
    assert shown == paths
    for before, path, after in zip([None, *paths], paths, [*paths[1:], None], strict=False):
        assert neighbours(ada.get(path + view))[1:] == [before and before + view, after and after + view]


def public_id(office: Office, subject: str) -> str:
    sql = "SELECT c.public_id FROM conversation c JOIN message m ON m.conversation_id = c.id WHERE m.subject = :subject"
    return str(office.rows(sql, subject=subject)[0].public_id)


def test_a_page_takes_as_many_queries_however_much_is_on_it(office: Office, browse: Browse) -> None:
    def queries() -> int:
        sent: list[str] = []
        listener = lambda *call: sent.append(call[2])  # noqa: E731  # the event names it by its object
        sa.event.listen(office.database.engine, "before_cursor_execute", listener)
        for view in ("", "from=review", "from=deal/d2&list=unlinked"):
            ada.get(f"{path_of(office, conversation)}?q=l&{urlencode({'view': view})}")
        sa.event.remove(office.database.engine, "before_cursor_execute", listener)
        return len(sent)

    ada = browse(ADA)
    conversation = office.mail("m1", TOM, ADA)
    office.link(ADA, conversation, office.ref("deal", "d2"))
    office.mail("w0", TOM, ADA, subject="Waits")
    few = queries()
    for number in range(5):
        office.mail(f"w{number + 1}", TOM, ADA, subject=f"Waits {number}")
        office.mail(f"n{number}", TOM, [ADA, CAN], at=[ADA, CAN], answers="m1", attachments=[Attachment("a.pdf", 1)])
        office.link(ADA, conversation, office.ref("deal", "d3" if number % 2 else "d1"), move=True)
        office.deal(f"x{number}", f"Lamps {number}", "p2")
        office.member(f"member{number}@northwind.test")
    office.refresh()
    assert queries() <= few
