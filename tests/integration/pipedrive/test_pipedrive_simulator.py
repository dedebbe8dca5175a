"""The simulated Pipedrive behaves as Pipedrive's pages say: limits, pages, notes, merges, webhooks, faults."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests

from app.testing.crm_stage import NOON
from app.testing.fakes import SteppedClock
from connectors.crm.pipedrive import simulator_v1, simulator_v2
from connectors.crm.pipedrive.simulator import PipedriveSimulator
from connectors.crm.pipedrive.simulator_faults import AT_ONCE, FAULTS
from connectors.crm.pipedrive.simulator_oauth import CLIENT_ID, CLIENT_SECRET
from tests.contract import pipedrive_description as description
from tests.integration.pipedrive.conftest import Client

pytestmark = pytest.mark.integration
NEEDS_DESCRIPTION = pytest.mark.skipif(not description.is_here(), reason="Pipedrive's descriptions are not here")


@pytest.fixture
def acme(pipedrive: PipedriveSimulator) -> PipedriveSimulator:
    pipedrive.put_organization("o1", "Acme")
    pipedrive.put_person("p1", "Bea Işık", ["bea@acme.test", "bea@home.test"], "o1")
    pipedrive.put_person("p2", "Can", ["can@acme.test"], "o1")
    pipedrive.put_item("deal", "d1", "Rollout", person="p1", participants=["p2"], organization="o1", created_at=NOON)
    pipedrive.put_item("lead", "l1", "Training", person="p2", organization="o1", created_at=NOON)
    pipedrive.put_item("project", "j1", "Onboarding", person="p1", created_at=NOON)
    return pipedrive


def note_on(call: Client, content: str = "<p>Hello</p>", **links: Any) -> dict[str, Any]:
    made = call("POST", "/v1/notes", json={"content": content, **links})
    assert made.status_code == 200, made.text
    return dict(made.json()["data"])


@NEEDS_DESCRIPTION
@pytest.mark.parametrize(
    ("version", "route"),
    [("v1", r) for r in simulator_v1.ROUTES] + [("v2", r) for r in simulator_v2.ROUTES],
    ids=lambda value: getattr(value, "operation", value),
)
def test_has_the_name_and_the_price_of_each_operation(version: str, route: simulator_v2.Route) -> None:
    path = route.path.replace("{id}", "1").replace("{conversion_id}", "1")
    described = description.described(route.method, f"/{version}{path}")
    assert (described["operationId"], described["x-token-cost"]) == (route.operation, route.tokens)


def test_finds_a_person_by_a_whole_address_and_what_belongs_to_them(acme: PipedriveSimulator, call: Client) -> None:
    query = {"term": "BEA@home.test", "fields": "email", "exact_match": "true"}
    (hit,) = call("GET", "/api/v2/persons/search", params=query).json()["data"]["items"]
    assert hit["item"]["emails"] == ["bea@acme.test", "bea@home.test"]
    assert call("GET", "/api/v2/persons/search", params={**query, "term": "ea@home.test"}).json()["data"]["items"] == []
    query |= {"item_types": "person", "search_for_related_items": "true"}
    related = call("GET", "/api/v2/itemSearch", params=query).json()["data"]["related_items"]
    assert [entry["item"]["title"] for entry in related] == ["Rollout"]


def test_shows_records_of_every_kind(acme: PipedriveSimulator, call: Client) -> None:
    paths = (
        "/v1/users/me",
        "/v1/users",
        "/api/v2/persons?include_fields=open_deals_count",
        "/api/v2/organizations/1",
        "/api/v2/deals?person_id=2&include_fields=participants_count",
        "/api/v2/deals/1",
        "/v1/deals/1/participants",
        "/v1/leads?person_id=2",
        f"/v1/leads/{acme.crm_id('lead', 'l1')}",
        "/api/v2/projects?person_id=1",
        "/v1/recents?since_timestamp=2020-01-01%2000:00:00&items=person,organization,deal",
        "/api/v2/deals/archived",
        "/v1/leads/archived",
        "/v1/projects/boards",
    )
    answers = [call("GET", path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * len(paths)
    assert answers[4].json()["data"][0]["participants_count"] == 2
    assert acme.usage()["tokens"] == 2 + 20 + 10 + 1 + 10 + 1 + 10 + 20 + 2 + 10 + 20 + 20 + 40 + 20


def test_turns_pages_without_losing_or_doubling_a_record(pipedrive: PipedriveSimulator, call: Client) -> None:
    for number in range(7):
        pipedrive.put_person(f"p{number}", f"Person {number}", [])
    cursor, seen = None, []
    while True:
        query = {"limit": "3", "sort_by": "update_time"} | ({"cursor": cursor} if cursor else {})
        page = call("GET", "/api/v2/persons", params=query).json()
        seen += [person["name"] for person in page["data"]]
        cursor = page["additional_data"]["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"Person {number}" for number in range(7)]


def test_lists_what_changed_since(acme: PipedriveSimulator, call: Client, clock: SteppedClock) -> None:
    clock.step(hours=1)
    acme.change("deal", "d1", {"status": "won"})
    acme.delete("person", "p2")
    since = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    (deal,) = call("GET", "/api/v2/deals", params={"updated_since": since}).json()["data"]
    assert (deal["status"], deal["update_time"]) == ("won", since)
    assert call("GET", "/api/v2/persons", params={"updated_since": since}).json()["data"] == []
    recent = call("GET", "/v1/recents", params={"since_timestamp": f"{clock.now():%Y-%m-%d %H:%M:%S}"}).json()["data"]
    assert {(entry["item"], entry["data"]["active_flag"]) for entry in recent} == {("deal", True), ("person", False)}


def test_keeps_a_note_without_scripts_comments_and_attributes(acme: PipedriveSimulator, call: Client) -> None:
    content = '<p data-id="1">1 &lt; 2<!-- mark --><script>x()</script> <a href="https://t.test/#m" id="m">Open</a></p>'
    note = note_on(call, content, deal_id=1, person_id=1)
    assert note["content"] == '<p>1 &lt; 2 <a href="https://t.test/#m">Open</a></p>'
    assert acme.notes("deal", "d1") == acme.notes("person", "p1") == ["1 < 2 Open"]
    assert call("PUT", f"/v1/notes/{note['id']}", json={"content": "<p>New</p>", "person_id": 2}).status_code == 200
    assert (acme.notes("person", "p1"), acme.notes("person", "p2")) == ([], ["New"])
    assert call("DELETE", f"/v1/notes/{note['id']}").json()["data"] is True
    assert [call(method, f"/v1/notes/{note['id']}").status_code for method in ("GET", "DELETE")] == [404, 404]


def test_takes_no_note_for_what_is_not_there(acme: PipedriveSimulator, call: Client) -> None:
    acme.delete("deal", "d1")
    bodies = ({"deal_id": 1}, {"person_id": 99}, {}, {"deal_id": 1, "content": ""})
    answers = [call("POST", "/v1/notes", json={"content": "x", **body}).status_code for body in bodies]
    assert answers == [404, 404, 400, 400]


def test_a_lead_becomes_a_deal_with_its_notes(acme: PipedriveSimulator, call: Client) -> None:
    lead = acme.crm_id("lead", "l1")
    note_on(call, lead_id=lead)
    job = call("POST", f"/api/v2/leads/{lead}/convert/deal", json={}).json()["data"]["conversion_id"]
    deal_id = call("GET", f"/api/v2/leads/{lead}/convert/status/{job}").json()["data"]["deal_id"]
    deal = call("GET", f"/api/v2/deals/{deal_id}").json()["data"]
    assert (deal["source_lead_id"], deal["add_time"]) == (lead, NOON.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert call("GET", f"/v1/leads/{lead}").status_code == 404
    assert acme.notes("deal", str(deal_id)) == ["Hello"]


def test_merging_gives_the_survivor_everything(acme: PipedriveSimulator, call: Client) -> None:
    note_on(call, person_id=1)
    assert call("PUT", "/v1/persons/1/merge", json={"merge_with_id": 2}).json()["data"]["merge_what_id"] == 1
    survivor = call("GET", "/api/v2/persons/2").json()["data"]
    assert [entry["value"] for entry in survivor["emails"]] == ["can@acme.test", "bea@acme.test", "bea@home.test"]
    assert call("GET", "/api/v2/persons/1").json()["data"]["is_deleted"] is True
    assert call("GET", "/api/v2/deals/1").json()["data"]["person_id"] == 2
    assert acme.notes("person", "p2") == ["Hello"]


def test_shows_message_ids_on_the_person_and_links_the_thread(acme: PipedriveSimulator, call: Client) -> None:
    thread = acme.put_thread("Prices", ["<1@acme.test>"], ["bea@acme.test", "ada@northwind.test"], at=NOON)
    (message,) = call("GET", "/v1/persons/1/mailMessages").json()["data"]
    assert (message["data"]["mua_message_id"], message["data"]["mail_thread_id"]) == ("<1@acme.test>", thread)
    linked = call("PUT", f"/v1/mailbox/mailThreads/{thread}", data={"deal_id": "1"}).json()["data"]
    assert (linked["deal_id"], linked["deal_status"]) == (1, "open")
    assert len(call("GET", "/v1/deals/1/mailMessages").json()["data"]) == 1
    assert call("PUT", f"/v1/mailbox/mailThreads/{thread}", data={"deal_id": ""}).status_code == 400


# --- access ---


def token(pipedrive: PipedriveSimulator, secret: str = CLIENT_SECRET, **form: str) -> requests.Response:
    url = pipedrive.environ["PIPEDRIVE_TOKEN_URL"]
    return requests.post(url, data=form, auth=(CLIENT_ID, secret), timeout=5)


def test_gives_access_for_a_code_once_and_refreshes_it(pipedrive: PipedriveSimulator, clock: SteppedClock) -> None:
    page = pipedrive.environ["PIPEDRIVE_AUTHORIZE_URL"]
    back = pipedrive.consent(f"{page}?client_id={CLIENT_ID}&redirect_uri=https://t.test/back&state=s1")
    code = back.partition("code=")[2].partition("&")[0]
    assert back == f"https://t.test/back?code={code}&state=s1"
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://t.test/back"}
    given = token(pipedrive, **form).json()
    assert token(pipedrive, **form).json()["error"] == "invalid_grant"
    me = f"{given['api_domain']}/api/v1/users/me"
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    assert requests.get(me, headers=headers, timeout=5).status_code == 200
    clock.step(hours=1)
    assert requests.get(me, headers=headers, timeout=5).status_code == 401
    again = token(pipedrive, grant_type="refresh_token", refresh_token=given["refresh_token"]).json()
    assert (again["refresh_token"], again["access_token"] == given["access_token"]) == (given["refresh_token"], False)
    assert token(pipedrive, "wrong", grant_type="refresh_token").status_code == 401


def test_keeps_companies_apart(pipedrive: PipedriveSimulator, call: Client) -> None:
    other = pipedrive.add_company("southwind")
    other.put_person("p1", "Eve", ["eve@south.test"])
    assert call("GET", "/api/v2/persons/1").status_code == 404
    theirs = Client(pipedrive.environ["PIPEDRIVE_API_URL"], other.api_token())
    pipedrive.fault("server_error", count=-1, company="northwind")
    assert theirs("GET", "/api/v2/persons/1").json()["data"]["name"] == "Eve"
    assert call("GET", "/v1/users/me").status_code == 503
    theirs.close()


# --- limits and faults ---


def test_takes_ten_searches_in_two_seconds_without_retry_after(pipedrive: PipedriveSimulator, call: Client) -> None:
    answers = [call("GET", "/api/v2/itemSearch", params={"term": "acme"}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert "retry-after" not in answers[-1].headers
    assert answers[-1].headers["x-ratelimit-remaining"] == "0"
    assert call("GET", "/v1/users/me").status_code == 200


def test_asking_on_after_refusals_ends_at_cloudflare(pipedrive: PipedriveSimulator, call: Client) -> None:
    pipedrive.fault("budget_gone")
    answers = [call("GET", "/v1/users/me") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [429] * 11 + [403]
    assert answers[-1].headers["content-type"].startswith("text/html")


def test_the_tokens_of_a_day_come_back_at_midnight(
    pipedrive: PipedriveSimulator, call: Client, clock: SteppedClock
) -> None:
    pipedrive.fault("budget_gone")
    assert call("GET", "/v1/users/me").status_code == 429
    clock.step(hours=16)
    assert call("GET", "/v1/users/me").status_code == 200


def test_applies_a_write_whose_answer_is_lost(acme: PipedriveSimulator, call: Client) -> None:
    acme.fault("lost_answer", operation="addNote")
    with pytest.raises(requests.ConnectionError):
        call("POST", "/v1/notes", json={"content": "x", "deal_id": 1})
    assert acme.notes("deal", "d1") == ["x"]
    acme.fault("connection_dropped", does="write")
    with pytest.raises(requests.ConnectionError):
        call("POST", "/v1/notes", json={"content": "y", "deal_id": 1})
    assert acme.notes("deal", "d1") == ["x"]
    acme.fault("notes_deleted")
    assert acme.notes("deal", "d1") == []


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("rate_limited", 429),
        ("cloudflare_page", 403),
        ("server_error", 503),
        ("html_error", 502),
        ("unauthorized_once", 401),
        ("scope_missing", 403),
        ("company_inactive", 402),
        ("endpoint_removed", 410),
    ],
)
def test_a_fault_strikes_once(pipedrive: PipedriveSimulator, call: Client, kind: str, status: int) -> None:
    pipedrive.fault(kind)
    assert [call("GET", "/v1/users/me").status_code for _ in range(2)] == [status, 200]


def test_names_its_faults(pipedrive: PipedriveSimulator) -> None:
    assert pipedrive.fault_kinds == set(FAULTS)
    assert set(FAULTS) >= AT_ONCE
    with pytest.raises(ValueError, match="no fault"):
        pipedrive.fault("no_such")


# --- webhooks ---


class Listener:
    """Receives webhooks; answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.events: list[dict[str, Any]] = []
        self.passwords: list[str] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.events.append(json.loads(body))
                given = self.headers["Authorization"].removeprefix("Basic ")
                listener.passwords.append(base64.b64decode(given).decode())
                self.send_response(listener.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def listener(pipedrive: PipedriveSimulator, call: Client) -> Iterator[Listener]:
    found = Listener()
    thread = Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    pipedrive.push_to(found.url)
    registration = {
        "subscription_url": "https://threadlink.test/webhooks/crm/1",
        "event_action": "*",
        "event_object": "*",
        "name": "threadlink",
        "http_auth_user": "u",
        "http_auth_password": "p",
    }
    assert call("POST", "/v1/webhooks", json=registration).status_code == 201
    yield found
    pipedrive.settle()
    found.server.shutdown()
    found.server.server_close()
    thread.join()


def test_calls_back_with_what_changed_and_by_whom(acme: PipedriveSimulator, call: Client, listener: Listener) -> None:
    acme.change("deal", "d1", {"status": "won"})
    acme.settle()
    note_on(call, deal_id=1)
    acme.settle()
    acme.merge_persons("p1", "p2")
    acme.settle()
    won, note = listener.events[:2]
    assert (won["meta"]["action"], won["meta"]["entity"], won["meta"]["entity_id"]) == ("change", "deal", "1")
    assert (won["previous"], won["data"]["status"]) == ({"status": "open"}, "won")
    assert [event["meta"]["change_source"] for event in (won, note)] == ["app", "api"]
    metas = [event["meta"] for event in listener.events]
    merged = {(meta["action"], meta.get("merged_to_id"), meta.get("merged_from_id")) for meta in metas}
    assert {("delete", "2", None), ("change", None, "1")} <= merged
    assert set(listener.passwords) == {"u:p"}
    assert len({event["meta"]["id"] for event in listener.events}) == len(listener.events)


def test_tries_four_times_with_one_id(acme: PipedriveSimulator, listener: Listener) -> None:
    listener.status = 503
    acme.delete("deal", "d1")
    acme.settle()
    assert [event["meta"]["attempt"] for event in listener.events] == [1, 2, 3, 4]
    assert len({event["meta"]["id"] for event in listener.events}) == 1
    assert (listener.events[0]["data"], listener.events[0]["previous"]["status"]) == (None, "open")


def test_loses_doubles_forges_and_delays_webhooks(
    acme: PipedriveSimulator, listener: Listener, clock: SteppedClock
) -> None:
    for kind in ("lost_webhook", "duplicate_webhook", "forged_webhook", "late_webhook"):
        acme.fault(kind)
        acme.change("deal", "d1", {"title": kind})
        acme.settle()
    assert [event["data"]["title"] for event in listener.events] == ["duplicate_webhook"] * 2 + ["forged_webhook"]
    assert listener.passwords == ["u:p", "u:p", "u:forged"]
    clock.step(hours=1)
    acme.settle()
    assert listener.events[-1]["data"]["title"] == "late_webhook"


def test_lists_and_ends_registrations(pipedrive: PipedriveSimulator, call: Client, listener: Listener) -> None:
    (hook,) = call("GET", "/v1/webhooks").json()["data"]
    assert call("DELETE", f"/v1/webhooks/{hook['id']}").status_code == 200
    assert call("GET", "/v1/webhooks").json()["data"] == []
    body = {"subscription_url": "http://10.0.0.1/", "event_action": "*", "event_object": "*", "name": "x"}
    assert call("POST", "/v1/webhooks", json=body).status_code == 400
