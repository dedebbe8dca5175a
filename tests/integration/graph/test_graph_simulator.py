"""The simulated Graph on the wire: signing in, reading, delta, batches. What the connector's tests stand on."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msal
import pytest
import requests

from connectors.mail.graph.simulator_view import time_shown
from tests.integration.graph.wire import ADDRESS, BACK, Wire, mail

pytestmark = pytest.mark.integration


# --- signing in ---


def test_msal_reads_the_metadata_and_gets_a_token_for_the_application(wire: Wire) -> None:
    class Plain(requests.Session):
        """Asks over http what msal insists on naming as https."""

        def request(self, method: Any, url: Any, *args: Any, **more: Any) -> requests.Response:
            return super().request(method, str(url).replace("https:", "http:"), *args, **more)

    host = urlsplit(wire.environ["GRAPH_LOGIN_URL"]).netloc
    client = msal.ConfidentialClientApplication(
        wire.environ["GRAPH_CLIENT_ID"],
        authority=f"https://{host}/northwind.test",
        client_credential=wire.environ["GRAPH_CLIENT_SECRET"],
        instance_discovery=False,
        http_client=Plain(),
    )
    result = client.acquire_token_for_client(["https://graph.microsoft.com/.default"])
    wire.sign_in(result["access_token"])
    assert wire.get(f"/users/{ADDRESS}")["mail"] == ADDRESS
    assert wire.ask("GET", "/me").status_code in {400, 404}


def test_a_code_serves_once_and_a_refresh_token_rotates(wire: Wire) -> None:
    first = wire.consent()
    second = wire.token({"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    again = wire.token({"grant_type": "authorization_code", "code": "simulated-code-1", "redirect_uri": BACK})
    assert (again.status_code, again.json()["error_codes"]) == (400, [54005])


def test_a_consent_that_ended_says_why(wire: Wire) -> None:
    refresh_token = wire.consent()["refresh_token"]
    wire.simulator.fault("token_revoked", code=700082)
    answer = wire.token({"grant_type": "refresh_token", "refresh_token": refresh_token}).json()
    assert (answer["error"], answer["error_codes"]) == ("invalid_grant", [700082])
    assert wire.ask("GET", "/me").status_code == 401


def test_a_wrong_secret_is_the_applications_fault(wire: Wire) -> None:
    wire.simulator.client_keys.secret = "another"
    answer = wire.token({"grant_type": "refresh_token", "refresh_token": "x"})
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [7000215])


def test_a_token_ends_by_the_clock(wire: Wire) -> None:
    wire.clock.step(hours=2)
    assert wire.ask("GET", "/me").status_code == 401


def test_own_addresses_are_proxy_addresses(wire: Wire) -> None:
    user = wire.get("/me?$select=id,proxyAddresses")
    assert user["proxyAddresses"] == [f"SMTP:{ADDRESS}", "smtp:a.l@northwind.test"]
    assert user["id"] == wire.simulator.user_id(ADDRESS)


# --- reading ---


def test_a_message_shows_what_is_selected(wire: Wire) -> None:
    name = wire.deliver(1)
    shown = wire.get(f"/me/messages/{name}?$select=id,subject,from,internetMessageId,receivedDateTime")
    assert set(shown) == {"@odata.etag", "id", "subject", "from", "internetMessageId", "receivedDateTime"}
    assert shown["id"] == name
    assert shown["from"] == {"emailAddress": {"name": "Bea", "address": "bea@acme.test"}}
    assert shown["receivedDateTime"] == time_shown(wire.clock.now())


def test_sent_items_have_no_headers_but_the_properties(wire: Wire) -> None:
    raw = mail(1, "References: <m0@acme.test>", "In-Reply-To: <m0@acme.test>")
    wanted = "$select=internetMessageHeaders&$expand=singleValueExtendedProperties($filter=id eq 'String 0x1035' or "
    wanted += "id eq 'String 0x1039' or id eq 'String 0x1042' or id eq 'String 0x007D')"
    shown = {}
    for folder in ("inbox", "sent"):
        name = wire.simulator.deliver(ADDRESS, raw, at=wire.clock.now(), folder=folder)
        shown[folder] = wire.get(f"/me/messages/{name}?{wanted}")
    assert {"name": "References", "value": "<m0@acme.test>"} in shown["inbox"]["internetMessageHeaders"]
    assert "internetMessageHeaders" not in shown["sent"]
    properties = {entry["id"]: entry["value"] for entry in shown["sent"]["singleValueExtendedProperties"]}
    assert properties == {
        "String 0x1035": "<m1@acme.test>",
        "String 0x1039": "<m0@acme.test>",
        "String 0x1042": "<m0@acme.test>",
    }


def test_bodies_come_as_text_only_when_asked_for(wire: Wire) -> None:
    name = wire.deliver(1)
    assert wire.get(f"/me/messages/{name}")["body"]["contentType"] == "html"
    shown = wire.get(f"/me/messages/{name}", headers={"Prefer": 'outlook.body-content-type="text"'})
    assert shown["body"] == {"contentType": "text", "content": "Text\r\n"}
    assert shown["id"] != name  # the Prefer header of ids was left out


def test_read_basic_hides_the_text(wire: Wire) -> None:
    wire.sign_in(wire.consent("openid offline_access Mail.ReadBasic")["access_token"])
    name = wire.deliver(1)
    assert "body" not in wire.get(f"/me/messages/{name}?$select=id,body,subject")
    assert wire.ask("GET", f"/me/messages/{name}/$value").status_code == 403
    expand = "$expand=singleValueExtendedProperties($filter=id eq 'String 0x1039')"
    assert wire.ask("GET", f"/me/messages/{name}?{expand}").status_code == 403


def test_a_default_id_changes_with_the_folder_and_an_immutable_one_does_not(wire: Wire) -> None:
    name = wire.deliver(1)
    before = wire.get("/me/messages", headers={"Prefer": ""})["value"][0]["id"]
    wire.simulator.move(ADDRESS, name, "other")
    after = wire.get("/me/messages", headers={"Prefer": ""})["value"][0]["id"]
    assert before != after
    assert wire.ask("GET", f"/me/messages/{before}").status_code == 404
    assert wire.get(f"/me/messages/{name}")["id"] == wire.get(f"/me/messages/{after}")["id"] == name
    assert wire.ask("GET", f"/me/messages/{name.swapcase()}").status_code == 404


def test_a_listing_pages_filters_and_sorts(wire: Wire) -> None:
    start = wire.clock.now()
    names = []
    for number in range(5):
        names.append(wire.deliver(number))
        wire.clock.step(minutes=1)
    since = time_shown(start + timedelta(minutes=1))
    path = f"/me/messages?$filter=receivedDateTime ge {since}&$orderby=receivedDateTime asc&$top=3&$select=id"
    first = wire.get(path)
    second = wire.get(first["@odata.nextLink"])
    assert [entry["id"] for page in (first, second) for entry in page["value"]] == names[1:]
    assert "@odata.nextLink" not in second
    wrong = (
        "/me/messages?$filter=isRead eq false and receivedDateTime ge 2026-01-01T00:00:00Z&$orderby=receivedDateTime"
    )
    assert wire.get(wrong)["error"]["code"] == "InefficientFilter"


def test_only_own_and_shared_mailboxes_are_shown(wire: Wire) -> None:
    wire.simulator.add_mailbox("sales@northwind.test")
    assert wire.ask("GET", "/users/sales@northwind.test/messages").status_code == 403
    wire.simulator.share("sales@northwind.test", ADDRESS)
    assert wire.get("/users/sales@northwind.test/messages")["value"] == []


# --- delta ---

INBOX = "/me/mailFolders/inbox/messages/delta?$select=id,subject"


def test_a_round_pages_and_the_next_one_shows_what_is_new(wire: Wire) -> None:
    names = [wire.deliver(number) for number in range(5)]
    entries, link = wire.follow(INBOX, size=2)
    assert [entry["id"] for entry in entries] == names
    assert wire.follow(link)[0] == []
    new = wire.deliver(9)
    wire.simulator.mark_read(ADDRESS, names[0])
    assert [entry["id"] for entry in wire.follow(link)[0]] == [new, names[0]]
    assert [entry["id"] for entry in wire.follow(link)[0]] == [new, names[0]]  # a position may be read again


def test_a_message_that_changes_between_two_pages_is_not_lost(wire: Wire) -> None:
    names = [wire.deliver(number) for number in range(4)]
    first = wire.get(INBOX, headers={"Prefer": 'IdType="ImmutableId", odata.maxpagesize=2'})
    wire.simulator.mark_read(ADDRESS, names[3])
    rest, link = wire.follow(first["@odata.nextLink"])
    after, _ = wire.follow(link)
    assert {entry["id"] for entry in [*first["value"], *rest, *after]} == set(names)


def test_what_left_a_folder_is_removed_whether_deleted_or_moved(wire: Wire) -> None:
    moved, deleted = wire.deliver(1), wire.deliver(2)
    _, link = wire.follow(INBOX)
    wire.simulator.move(ADDRESS, moved, "other")
    wire.simulator.delete(ADDRESS, deleted)
    entries, _ = wire.follow(link)
    assert {entry["id"]: entry["@removed"]["reason"] for entry in entries} == {moved: "deleted", deleted: "deleted"}
    assert wire.ask("GET", f"/me/messages/{moved}").status_code == 200
    assert wire.ask("GET", f"/me/messages/{deleted}").status_code == 404


def test_a_message_moved_away_and_back_is_removed_and_never_shown_again(wire: Wire) -> None:
    name = wire.deliver(1)
    _, link = wire.follow(INBOX)
    wire.simulator.fault("moved_and_back")
    entries, link = wire.follow(link)
    assert [(entry["id"], "@removed" in entry) for entry in entries] == [(name, True)]
    assert wire.follow(link)[0] == []
    assert wire.ask("GET", f"/me/messages/{name}").status_code == 200


def test_positions_expire(wire: Wire) -> None:
    _, link = wire.follow(INBOX)
    wire.simulator.fault("delta_expired")
    answer = wire.ask("GET", link)
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "syncStateNotFound")
    assert wire.follow(INBOX)[0] == []
    assert wire.simulator.usage(ADDRESS)["initial_rounds"] == 2


def test_a_filter_bounds_the_first_round_and_is_capped(wire: Wire) -> None:
    old = wire.deliver(0)
    wire.clock.step(days=2)
    wire.sign_in(wire.consent()["access_token"])
    names = [wire.deliver(number) for number in range(1, 5)]
    since = time_shown(wire.clock.now() - timedelta(days=1))
    path = f"{INBOX}&$filter=receivedDateTime ge {since}"
    entries, link = wire.follow(path)
    assert [entry["id"] for entry in entries] == names
    wire.simulator.mark_read(ADDRESS, old)
    assert [entry["id"] for entry in wire.follow(link)[0]] == [old]  # a change is shown although the filter excludes it
    wire.simulator.fault("delta_cap", messages=3)
    assert len(wire.follow(path)[0]) == 3


@pytest.mark.parametrize(
    "query", ["$filter=isRead eq false", "$expand=attachments", "$deltatoken=latest", "$deltatoken=garbage"]
)
def test_a_delta_refuses_what_graph_refuses(wire: Wire, query: str) -> None:
    assert wire.ask("GET", f"/me/mailFolders/inbox/messages/delta?{query}").status_code == 400


def test_an_empty_page_with_a_next_one_loses_nothing(wire: Wire) -> None:
    name = wire.deliver(1)
    wire.simulator.fault("empty_page_with_next_link")
    assert [entry["id"] for entry in wire.follow(INBOX)[0]] == [name]


def test_a_delta_may_lag_and_repeat(wire: Wire) -> None:
    first = wire.deliver(1)
    _, link = wire.follow(INBOX)
    second = wire.deliver(2)
    wire.simulator.fault("delta_lag")
    entries, link = wire.follow(link)
    assert entries == []
    wire.simulator.fault("delta_replayed")
    assert [entry["id"] for entry in wire.follow(link)[0]] == [first, second]


def test_new_and_removed_folders_show_in_the_delta_of_folders(wire: Wire) -> None:
    known, link = wire.follow("/me/mailFolders/delta?$select=id,parentFolderId")
    assert len(known) == 7
    wire.deliver(1, "Projects")
    (made,), link = wire.follow(link)
    assert made["displayName"] == "Projects"
    assert [m["subject"] for m in wire.follow(f"/me/mailFolders/{made['id']}/messages/delta")[0]] == ["Prices 1"]
    wire.simulator.remove_folder(ADDRESS, "Projects")
    assert "@removed" in wire.follow(link)[0][0]


# --- batches and limits ---


def test_parts_of_a_batch_need_their_own_prefer_header_and_fail_alone(wire: Wire) -> None:
    name = wire.deliver(1)
    answered = wire.batch(f"/me/messages/{name}?$select=id", "/me/messages/unknown", f"/me/messages/{name}/$value")
    assert answered["0"]["body"]["id"] == name
    assert answered["1"]["status"] == 404
    assert base64.b64decode(answered["2"]["body"]) == mail(1)
    bare = {"requests": [{"id": "1", "method": "GET", "url": f"/me/messages/{name}"}]}
    assert wire.ask("POST", "/$batch", json=bare).json()["responses"][0]["body"]["id"] != name


def test_a_part_of_a_batch_is_throttled_alone(wire: Wire) -> None:
    wire.simulator.fault("batch_part_429", retry_after_s=7)
    name = wire.deliver(1)
    answered = wire.batch(*[f"/me/messages/{name}"] * 3)
    assert sorted(part["status"] for part in answered.values()) == [200, 200, 429]
    assert [p["headers"]["Retry-After"] for p in answered.values() if p["status"] == 429] == ["7"]


def test_a_batch_holds_twenty(wire: Wire) -> None:
    assert len(wire.batch(*["/me/messages"] * 20)) == 20
    too_many = {"requests": [{"id": str(n), "method": "GET", "url": "/me"} for n in range(21)]}
    assert wire.ask("POST", "/$batch", json=too_many).status_code == 400


def test_a_fifth_request_at_once_is_refused(wire: Wire) -> None:
    wire.simulator.fault("slow", seconds=0.4, count=8)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: wire.ask("GET", "/me/messages"), range(6)))
    refused = [answer.json()["error"]["code"] for answer in answers if answer.status_code == 429]
    assert refused == ["ApplicationThrottled"] * 2
    assert wire.simulator.usage(ADDRESS)["most_at_once"] == 6
