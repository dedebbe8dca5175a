"""The pages of the inbox: what a member sees there, and the choices made on them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import signing_in
from app.inbox import Wanted, matching
from app.installation import Installation
from app.store import inbox
from app.store.database import Database
from tests.integration.building import ADA, BEA, CAN, DAN, EVE, TOM, Office
from tests.integration.inbox import stale_inbox_entries
from tests.integration.web.conftest import ORIGIN

pytestmark = pytest.mark.integration


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.member(DAN, "admin")
    made.member(EVE)
    made.person("p1", "Bea", BEA)
    made.person("p2", "Tom", TOM)
    made.deal("d1", "Rollout", "p1")
    made.deal("d2", "Lobby", "p2")
    made.deal("d3", "Işık spa", "p2")
    made.refresh()
    return made


@dataclass
class Page:
    """A member's browser."""

    client: FlaskClient

    def get(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.status_code
        return html.unescape(answer.get_data(as_text=True))

    def status(self, path: str) -> int:
        return self.client.get(path).status_code

    def post(self, path: str, **form: object) -> dict[str, str]:
        """Send a form; return what the page that follows is told."""
        answer = self.client.post(path, data=form, headers={"Origin": ORIGIN})
        assert answer.status_code == 303, (answer.status_code, answer.get_data(as_text=True))
        parts = urlsplit(answer.headers["Location"])
        self.get(answer.headers["Location"])
        return {"path": parts.path, **{name: values[0] for name, values in parse_qs(parts.query).items()}}

    def refused(self, path: str, **form: object) -> int:
        return self.client.post(path, data=form, headers={"Origin": ORIGIN}).status_code


@pytest.fixture
def browse(app: Flask, installation: Installation, office: Office) -> Callable[[str], Page]:
    def at(email: str) -> Page:
        client = app.test_client()
        link = signing_in.invite(installation, office.team_id, office.members[email])
        client.post(urlsplit(link.url).path, headers={"Origin": ORIGIN})
        return Page(client)

    return at


def subjects(page: str) -> list[str]:
    return [found.strip() for found in re.findall(r'<span class="subject">(.*?) <span', page)]


def path_of(office: Office, conversation: int) -> str:
    return f"/conversations/{office.load(conversation).public_id}"


def test_nobody_sees_a_page_without_signing_in(client: FlaskClient, office: Office) -> None:
    conversation = office.mail("m1", BEA, ADA)
    for path in ("/inbox", "/review", path_of(office, conversation)):
        assert client.get(path).headers["Location"] == "/sign-in"
    in_place = client.get("/inbox/new", headers={"HX-Request": "true"})  # the session ended while the page was open
    assert (in_place.headers["HX-Redirect"], in_place.get_data()) == ("/sign-in", b"")
    assert client.post(f"{path_of(office, conversation)}/unlink", headers={"Origin": ORIGIN}).status_code == 303
    assert office.linked(conversation) == "deal/d1"


def test_the_inbox_lists_what_the_members_own_accounts_hold_newest_first(
    office: Office, browse: Callable[[str], Page]
) -> None:
    office.mail("m1", BEA, ADA, subject="First")
    office.mail("m2", TOM, ADA, subject="Second")
    office.mail("m3", BEA, CAN, at=[CAN], subject="CANARY of Can")
    assert subjects(browse(ADA).get("/inbox")) == ["Second", "First"]
    assert subjects(browse(CAN).get("/inbox")) == ["CANARY of Can"]
    for email in (DAN, EVE):
        page = browse(email).get("/inbox")
        assert subjects(page) == []
        assert "No mailbox of yours is connected yet" in page


def test_tabs_show_and_count_each_state(office: Office, browse: Callable[[str], Page]) -> None:
    office.mail("m1", BEA, ADA, subject="Linked one")
    office.mail("m2", TOM, ADA, subject="Ambiguous one")
    office.mail("m3", "nobody@elsewhere.test", ADA, subject="Unlinked one")
    dismissed = office.mail("m4", "nobody@elsewhere.test", ADA, subject="Dismissed one")
    ada = browse(ADA)
    ada.post(f"{path_of(office, dismissed)}/dismiss")
    for state, subject in [
        ("linked", "Linked one"),
        ("review", "Ambiguous one"),
        ("unlinked", "Unlinked one"),
        ("dismissed", "Dismissed one"),
    ]:
        page = ada.get(f"/inbox?state={state}")
        assert subjects(page) == [subject]
        assert re.search(rf'href="/inbox\?state={state}"[^>]*>[^<]*\s*<span class="count">1</span>', page)
    assert len(subjects(ada.get("/inbox"))) == 3
    assert len(subjects(ada.get("/inbox?state=nonsense"))) == 3
    with office.database.for_team(office.team_id) as connection:
        assert stale_inbox_entries(connection) == []


def test_older_conversations_are_a_page_away_and_nobody_writes_the_way_there(
    office: Office, browse: Callable[[str], Page]
) -> None:
    for number in range(53):
        office.mail(f"m{number}", BEA, ADA, subject=f"Number {number:02}")
    ada = browse(ADA)
    first = ada.get("/inbox")
    assert len(subjects(first)) == 50
    more = re.search(r'class="more" href="([^"]+)"', first)
    assert more is not None
    assert subjects(ada.get(more[1])) == ["Number 02", "Number 01", "Number 00"]
    can = browse(CAN)
    assert subjects(can.get(more[1])) == []  # another member's place is no place
    for forged in ("x", "gAAAAA", "%C4%B1", "x" * 5000):
        assert len(subjects(ada.get(f"/inbox?after={forged}"))) == 50


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("isik", ["Işık teklifi"]),
        ("IŞIK tek", ["Işık teklifi"]),
        ("bea@acme", ["Prices", "Işık teklifi"]),
        ("bea prices", ["Prices"]),
        ("question text", []),
        ("canary", []),
        ("' | 1:* & \\", []),
        ("%", []),
    ],
)
def test_conversations_are_found_by_subject_people_and_snippet(
    office: Office, browse: Callable[[str], Page], query: str, found: list[str]
) -> None:
    office.mail("m1", BEA, ADA, subject="Işık teklifi")
    office.mail("m2", BEA, ADA, subject="Prices")
    office.mail("m3", BEA, CAN, at=[CAN], subject="Canary")
    page = browse(ADA).get(f"/inbox?{urlencode({'s': query})}")
    if query == "%":  # no word: everything is shown
        assert len(subjects(page)) == 0
    else:
        assert subjects(page) == found
    assert ("No conversation of yours has these words" in page) == (not subjects(page))


def test_a_search_stays_within_its_tab_and_its_team(
    office: Office, browse: Callable[[str], Page], database: Database, team: Callable[..., int]
) -> None:
    linked = office.mail("m1", BEA, ADA, subject="Prices linked")
    unlinked = office.mail("m2", "nobody@elsewhere.test", ADA, subject="Prices unlinked")
    dismissed = office.mail("m3", "nobody@elsewhere.test", ADA, subject="Prices dismissed")
    ada = browse(ADA)
    ada.post(f"{path_of(office, dismissed)}/dismiss")
    assert subjects(ada.get("/inbox?s=prices&state=linked")) == ["Prices linked"]
    assert subjects(ada.get("/inbox?s=prices&state=dismissed")) == ["Prices dismissed"]
    assert subjects(ada.get("/inbox?s=prices")) == ["Prices unlinked", "Prices linked"]
    with database.for_team(office.team_id) as connection:  # what "all that match" is
        assert matching(connection, office.members[ADA], Wanted(query="prices"), 10) == [unlinked, linked]
    other = Office(database, team("Globex"))
    other.mailbox("eve@northwind.test")
    with database.for_team(other.team_id) as connection:
        mine = [account.id for account in office.accounts.values()]
        assert inbox.page(connection, inbox.Filter(frozenset(mine), words=("prices",))) == []


def test_a_search_finds_what_is_older_than_the_newest_mail(office: Office, database: Database) -> None:
    """Whichever of its words lead there: of these the first is in all mail, the second in half of it."""
    account = office.accounts[ADA]
    with database.for_team(office.team_id) as connection:
        connection.execute(
            sa.text(
                """
                WITH made AS (
                  INSERT INTO conversation (team_id, subject, first_message_at, last_message_at, message_count)
                  SELECT :team, n::text, at, at, 1 FROM generate_series(1, 2200) n,
                    LATERAL (SELECT timestamptz '2026-03-01' - n * interval '1 minute' AS at) t
                  RETURNING id, subject::int AS n, last_message_at AS at
                )
                INSERT INTO inbox_entry (team_id, account_id, conversation_id, state, last_message_at, words)
                SELECT :team, :account, id, 'unlinked', at, 'offer half' || n % 2 || ' number' || n || ' o''brien'
                FROM made
                """
            ),
            {"team": office.team_id, "account": account.id},
        )
        subject = {row.id: row.subject for row in connection.execute(sa.text("SELECT id, subject FROM conversation"))}

        def found(*words: str) -> list[str]:
            wanted = inbox.Filter(frozenset({account.id}), words=words)
            return [subject[place.conversation_id] for place in inbox.page(connection, wanted, limit=3)]

        assert found("offer", "number2150") == found("number2150") == found("half0", "offer", "number2150") == ["2150"]
        assert found("offer", "half1", "number2150") == []
        assert found("offer", "number7") == ["7", "70", "71"]
        assert found("offer", "number219") == ["219", "2190", "2191"]
        assert found("offer") == ["1", "2", "3"]
        assert found("offer", "half0") == ["2", "4", "6"]
        assert found("o'brien", "number2199") == ["2199"]
        with_state = inbox.Filter(frozenset({account.id}), state="linked", words=("number2150",))
        assert inbox.page(connection, with_state) == []


def test_a_conversation_shows_its_messages_why_and_what_may_be_done(
    office: Office, browse: Callable[[str], Page]
) -> None:
    conversation = office.mail("m1", TOM, ADA, subject="<script>alert(1)</script>")
    page = browse(ADA).client.get(path_of(office, conversation)).get_data(as_text=True)
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page
    assert "Lobby" in page
    assert "Işık spa" in page
    assert 'value="deal/d2"' in page


def test_linking_unlinking_and_taking_it_back(office: Office, browse: Callable[[str], Page]) -> None:
    conversation = office.mail("m1", TOM, ADA)
    ada, path = browse(ADA), path_of(office, conversation)
    done = ada.post(f"{path}/link", item="deal/d3", back=path)
    assert (done["path"], done["done"], office.linked(conversation)) == (path, "linked", "deal/d3")
    assert "Işık spa" in ada.get(path)
    moved = ada.post(f"{path}/link", item="deal/d2", move="1", back=path)
    assert office.linked(conversation) == "deal/d2"
    ada.post("/undo", action=moved["action"], back=path)
    assert office.linked(conversation) == "deal/d3"
    ada.post(f"{path}/unlink", back=path)
    assert office.linked(conversation) is None
    assert ada.refused(f"{path}/unlink") == 409


def test_ticked_conversations_are_linked_at_once_and_what_is_not_there_is_left_out(
    office: Office, browse: Callable[[str], Page]
) -> None:
    mine = [office.mail(f"m{n}", TOM, ADA, subject=f"Question {n}") for n in range(3)]
    theirs = office.mail("m9", TOM, CAN, at=[CAN])
    ada = browse(ADA)
    ticked = [office.load(each).public_id for each in [*mine, theirs]]
    done = ada.post("/conversations/link", c=ticked, item="deal/d3", back="/inbox")
    assert done["n"] == "3"
    assert [office.linked(each) for each in [*mine, theirs]] == ["deal/d3"] * 3 + [None]
    ada.post("/undo", action=done["action"])
    assert [office.linked(each) for each in mine] == [None] * 3
    assert ada.refused("/conversations/link", item="deal/d3") == 404


def test_who_may_not_link_is_refused_and_who_may_not_see_finds_nothing(
    office: Office, browse: Callable[[str], Page]
) -> None:
    conversation = office.mail("m1", BEA, ADA, subject="CANARY")
    path, eve = path_of(office, conversation), browse(EVE)
    assert "CANARY" in eve.get(path)  # linked and shared: everybody who sees the item reads it
    assert eve.refused(f"{path}/unlink") == 403
    private = office.mail("m2", "nobody@elsewhere.test", ADA, subject="CANARY")
    assert eve.status(path_of(office, private)) == 404
    assert eve.refused(f"{path_of(office, private)}/dismiss") == 404
    assert eve.status("/conversations/00000000-0000-4000-8000-000000000000") == 404


def test_the_review_page_offers_choices_and_offers(office: Office, browse: Callable[[str], Page]) -> None:
    conversation = office.mail("m1", TOM, ADA, subject="Which one")
    office.mail("m2", "nora@kestrel.test", ADA, subject="Before the deal")
    office.clock.step(days=1)
    office.person("p9", "Nora", "nora@kestrel.test")
    office.deal("d9", "Gatehouse", "p9", created_at=office.now)
    office.refresh()
    ada = browse(ADA)
    page = ada.get("/review")
    assert "Which one" in page
    assert "Before the deal" in page
    offer = re.search(r'action="/offers/([0-9a-f-]+)/accept"', page)
    assert offer is not None
    assert ada.post(f"/offers/{offer[1]}/accept", back="/review")["n"] == "1"
    ada.post(f"{path_of(office, conversation)}/link", item="deal/d2", move="1", back="/review")
    assert "Nothing needs a choice" in ada.get("/review")


@pytest.mark.parametrize(
    "back", ["https://evil.test", "//evil.test", "/inbox//evil.test", "/\\evil.test", "/sign-out", "/inbox?x=1", ""]
)
def test_a_form_leads_back_to_a_page_of_ours_alone(office: Office, browse: Callable[[str], Page], back: str) -> None:
    conversation = office.mail("m1", "nobody@elsewhere.test", ADA)
    assert browse(ADA).post(f"{path_of(office, conversation)}/dismiss", back=back)["path"] == "/inbox"


@pytest.mark.parametrize("item", ["", "deal", "deal/", "person/p1", "deal/" + "x" * 500, "deal/unknown", "deal/\n"])
def test_what_is_no_item_is_refused(office: Office, browse: Callable[[str], Page], item: str) -> None:
    conversation = office.mail("m1", "nobody@elsewhere.test", ADA)
    assert browse(ADA).refused(f"{path_of(office, conversation)}/link", item=item) in {404, 409}
    assert office.linked(conversation) is None


def test_another_site_cannot_choose_for_a_member(office: Office, browse: Callable[[str], Page]) -> None:
    conversation = office.mail("m1", BEA, ADA)
    client = browse(ADA).client
    for headers in ({}, {"Origin": "https://evil.test"}, {"Origin": "null"}):
        assert client.post(f"{path_of(office, conversation)}/unlink", headers=headers).status_code == 403
    assert office.linked(conversation) == "deal/d1"


def test_pages_run_our_scripts_alone_and_are_kept_by_nobody(office: Office, browse: Callable[[str], Page]) -> None:
    office.mail("m1", BEA, ADA)
    answer = browse(ADA).client.get("/inbox")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_data(as_text=True)
    assert set(re.findall(r"<script[^>]*>[^<]*", body)) == {
        '<script src="/static/vendor/htmx.min.js" defer>',
        '<script src="/static/inbox.js" defer>',
    }
    assert "style=" not in body
    assert "onclick" not in body


def test_a_page_takes_as_many_queries_however_many_conversations(
    office: Office, browse: Callable[[str], Page], installation: Installation
) -> None:
    ada = browse(ADA)
    sent: list[str] = []
    sa.event.listen(installation.database.engine, "before_cursor_execute", lambda *a: sent.append(a[2]))
    counts = []
    for size in (2, 20):
        for number in range(size):
            office.mail(f"q{size}-{number}", BEA, ADA, subject=f"{size} {number}")
        sent.clear()
        ada.get("/inbox")
        counts.append(len(sent))
    assert counts[0] == counts[1]


def test_an_item_shows_its_history_and_what_could_be_linked(office: Office, browse: Callable[[str], Page]) -> None:
    linked = office.mail("m1", BEA, ADA, subject="Linked one")
    office.mail("m2", TOM, ADA, subject="Could be one")
    office.mail("m3", TOM, CAN, at=[CAN], subject="CANARY of Can")
    ada = browse(ADA)
    page = ada.get("/items/deal/d1")
    assert (subjects(page), "Bea" in page) == (["Linked one"], True)
    page = ada.get("/items/deal/d2")
    assert subjects(page) == ["Could be one"]
    ticked = re.findall(r'name="c" value="([0-9a-f-]+)"', page)
    ada.post("/conversations/link", c=ticked, item="deal/d2", back="/items/deal/d2")
    assert subjects(ada.get("/items/deal/d2")) == ["Could be one"]
    assert office.linked(linked) == "deal/d1"
    for path in (
        "/items/deal/unknown",
        "/items/person/unknown",
        "/items/note/p1",
        "/items/deal/" + "x" * 500,
        "/items/deal/%00",
    ):
        assert ada.status(path) == 404


def test_a_member_sees_own_accounts_and_flips_their_switch(office: Office, browse: Callable[[str], Page]) -> None:
    ada = browse(ADA)
    page = ada.get("/preferences/email-sync")
    assert ADA in page
    assert CAN not in page
    account = office.accounts[ADA].public_id
    assert ada.post(f"/preferences/email-sync/{account}", auto_link="off")["done"] == "auto_off"
    assert office.linked(office.mail("m1", BEA, ADA)) is None
    ada.post(f"/preferences/email-sync/{account}", auto_link="on")
    assert "Automatic linking is on." in ada.get("/preferences/email-sync")
    can = office.accounts[CAN].public_id
    assert ada.refused(f"/preferences/email-sync/{can}", auto_link="off") == 404
    dan = browse(DAN).get("/preferences/email-sync")
    assert "No mailbox of yours is connected yet" in dan
    assert ADA not in dan


def test_the_doctor_finds_the_members_own_mail(office: Office, browse: Callable[[str], Page]) -> None:
    office.mail("m1", BEA, ADA, subject="Offer of March")
    assert "Offer of March" in browse(ADA).get("/doctor?q=m1@x.test")
    assert "No such mail" in browse(CAN).get("/doctor?q=nothing")
    assert "Offer of March" not in browse(EVE).get("/doctor?q=Offer")


def test_an_error_is_said_in_the_members_language_with_a_way_on(office: Office, browse: Callable[[str], Page]) -> None:
    ada = browse(ADA)
    ada.post("/preferences", locale="tr")
    answer = ada.client.get("/items/deal/unknown", headers={"Accept": "text/html", "Accept-Language": "en"})
    page = answer.get_data(as_text=True)
    assert (answer.status_code, '<html lang="tr">' in page, '<a href="/inbox">' in page) == (404, True, True)


@pytest.mark.parametrize("path", ["/inbox", "/review", "/preferences/email-sync", "/doctor", "/items/deal/d1"])
def test_a_team_that_reads_turkish_gets_turkish_pages(
    office: Office, browse: Callable[[str], Page], database: Database, path: str
) -> None:
    with database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE team SET locale = 'tr'"))
    page = browse(ADA).get(path)
    assert '<html lang="tr">' in page
    assert "Gelen kutusu" in page
    assert "Sign out" not in page


def test_a_list_does_not_name_an_item_that_the_crm_hides(
    office: Office, database: Database, browse: Callable[[str], Page]
) -> None:
    office.mail("m1", BEA, ADA)
    assert "Rollout" in browse(ADA).get("/inbox")
    with database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE mirror_item SET visibility = '[\"nobody\"]' WHERE external_id = 'd1'"))
    page = browse(ADA).get("/inbox")
    assert "an item you may not see" in page
    assert "Rollout" not in page


def test_a_page_may_be_asked_for_without_its_text(office: Office, browse: Callable[[str], Page]) -> None:
    assert browse(ADA).client.head("/inbox").status_code == 200


def test_an_items_page_shows_the_time_of_the_newest_message_the_reader_may_know_of(
    office: Office, database: Database, browse: Callable[[str], Page]
) -> None:
    office.mail("m1", BEA, ADA)
    office.mail("m2", BEA, CAN, at=[CAN], answers="m1")
    with database.for_team(office.team_id) as connection:
        connection.execute(sa.text("UPDATE account SET visibility = 'private'"))
        first, last = connection.execute(sa.text("SELECT at FROM message ORDER BY at")).scalars()
    for email, shown, not_shown in ((ADA, first, last), (CAN, last, first)):
        page = browse(email).get("/items/deal/d1")
        assert shown.isoformat() in page
        assert not_shown.isoformat() not in page
