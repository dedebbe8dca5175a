"""What goes over the wire to Pipedrive and what its refusals become, against `responses`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import responses

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    DailyLimitReached,
    Gone,
    NotificationForged,
    NotificationMalformed,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
)
from app.model import ConversationNote, ItemRef, NoteMessage
from app.ports import CrmConnection, LinkWrite, Merge, PushRequest, WrittenLink
from app.testing.fakes import BEGINNING, MemoryCredentials, SteppedClock
from connectors.crm.pipedrive import note, operations
from connectors.crm.pipedrive.adapter import PipedriveCrm
from connectors.crm.pipedrive.api import PipedriveApi
from connectors.crm.pipedrive.budget import Meter
from connectors.crm.pipedrive.consent import PipedriveConsent, settings_of
from connectors.crm.pipedrive.settings import load
from connectors.crm.pipedrive.writing import THREAD_STAYS

APP = {"PIPEDRIVE_CLIENT_ID": "client", "PIPEDRIVE_CLIENT_SECRET": "secret"}
API, OAUTH = "https://acme.pipedrive.com/api", "https://oauth.pipedrive.com/oauth"
CONSENT = {
    "access_token": "old", "refresh_token": "lasting", "expires_at": BEGINNING.timestamp() + 3000,
    "api_domain": "https://acme.pipedrive.com",
}  # fmt: skip
HOOK = {"webhook": {"id": "8", "url": "https://tl.test/webhooks/crm/c1", "password": "pw", "user_id": "1"}}
Open = Callable[..., PipedriveCrm]


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def opened(clock: SteppedClock) -> Open:
    def open_(
        secrets: dict[str, Any] | None = None, environ: dict[str, str] | None = None, **chosen: Any
    ) -> PipedriveCrm:
        settings = load({**APP, **(environ or {})})
        credentials = MemoryCredentials(CONSENT if secrets is None else secrets)
        meter = Meter(settings, clock, lambda seconds: clock.step(seconds=seconds), lambda: clock.now().timestamp())
        tokens = chosen.get("daily_tokens")
        api = PipedriveApi(settings, clock, credentials, meter_key=("t",), daily_tokens=tokens, meter=meter)
        connection = CrmConnection(5, 1, "c1", "pipedrive", "77", credentials, chosen)
        return PipedriveCrm(settings, clock, connection, "https://tl.test", api)

    return open_


def a_write(kind: str = "deal", external_id: str = "7") -> LinkWrite:
    message = NoteMessage(
        BEGINNING, "Bea", "bea@acme.test", "inbound", "Prices", "<b>5</b> & more", ("q.pdf",), "<m1@acme.test>"
    )
    shown = ConversationNote(
        "0b0e", "Prices", (("Bea", "bea@acme.test"),), (message,), "https://tl.test/conversations/1", "tr"
    )
    ref: Any = ItemRef(kind, external_id)
    return LinkWrite(ref, (ItemRef("person", "1"),), (ItemRef("organization", "3"),), shown)


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (400, {"success": False}, Rejected),
        (402, {"success": False}, AdminBlocked),
        (403, {"success": False, "error": "Scope and URL mismatch"}, AdminBlocked),
        (403, "<html>Cloudflare</html>", RateLimited),
        (404, {"success": False}, Gone),
        (410, {"success": False}, Unsupported),
        (422, {"success": False}, Rejected),
        (429, {"success": False}, RateLimited),
        (500, "<html>", Unavailable),
        (503, {}, Unavailable),
        (302, "", Unavailable),
        (200, "{half", Unavailable),
        (200, {"success": False}, Rejected),
        (200, {"success": True, "data": []}, Unavailable),
    ],
)
@responses.activate
def test_a_refusal_says_what_happens_next(opened: Open, status: int, answer: Any, kind: type[ProviderError]) -> None:
    body = answer if isinstance(answer, str) else json.dumps(answer)
    responses.post(f"{API}/v1/notes", status=status, body=body)
    with pytest.raises(kind) as refusal:
        opened().write_link(a_write())
    assert "m1@acme.test" not in str(refusal.value)


@responses.activate
def test_pauses_for_everybody_after_too_many_requests(opened: Open, clock: SteppedClock) -> None:
    first = responses.post(f"{API}/v1/notes", status=429, json={}, headers={"x-ratelimit-reset": "30"})
    adapter = opened()
    for _ in range(2):
        with pytest.raises(RateLimited) as refusal:
            adapter.write_link(a_write())
        assert refusal.value.retry_after_s == pytest.approx(30)
    assert first.call_count == 1
    for _ in range(2):
        clock.step(seconds=31)
        with pytest.raises(RateLimited) as refusal:
            adapter.write_link(a_write())
    assert refusal.value.retry_after_s == 900  # three in a row: the day is used up


@responses.activate
def test_waits_for_a_day_whose_tokens_are_gone(opened: Open) -> None:
    responses.post(f"{API}/v1/notes", status=429, json={"error": "Daily API token budget exceeded"})
    adapter = opened()
    for _ in range(2):  # the second time nothing is asked
        with pytest.raises(DailyLimitReached) as refusal:
            adapter.write_link(a_write())
        assert refusal.value.retry_after_s == 900
    assert len([call for call in responses.calls if call.request.url == f"{API}/v1/notes"]) == 1


@responses.activate
def test_keeps_tokens_for_what_people_click(opened: Open, clock: SteppedClock) -> None:
    responses.post(f"{API}/v1/notes", json={"success": True, "data": {"id": 1}})
    responses.get(f"{API}/v2/itemSearch", json={"success": True, "data": {"items": []}})
    adapter = opened(daily_tokens=100)
    for _ in range(8):
        adapter.write_link(a_write())
    with pytest.raises(DailyLimitReached) as refusal:
        adapter.write_link(a_write())
    assert 0 < (refusal.value.retry_after_s or 0) <= 86_400
    assert adapter.search("rollout") == []
    assert adapter.tokens_spent_today == 100
    with pytest.raises(RateLimited):
        adapter.search("rollout")
    clock.step(days=1)
    assert adapter.tokens_spent_today == 0


def test_sends_no_more_than_the_lanes_allow(clock: SteppedClock) -> None:
    meter = Meter(load({}), clock, lambda seconds: clock.step(seconds=seconds), lambda: clock.now().timestamp())
    for _ in range(30):
        meter.spend(operations.SEARCH_ITEMS, 100_000)
    assert (clock.now() - BEGINNING).total_seconds() == pytest.approx(4.2)


@responses.activate
def test_refreshes_a_token_under_the_lock_and_once_after_a_401(opened: Open) -> None:
    responses.post(
        f"{OAUTH}/token",
        json={
            "access_token": "new",
            "refresh_token": "lasting",
            "expires_in": 3599,
            "api_domain": "https://acme.pipedrive.com",
        },
    )
    responses.get(
        f"{API}/v2/deals/7", status=401, match=[responses.matchers.header_matcher({"authorization": "Bearer old"})]
    )
    responses.get(f"{API}/v2/deals/7", json={"success": True, "data": {"id": 7, "title": "Rollout"}})
    item = opened().get(ItemRef("deal", "7"))
    assert item is not None
    token_call = responses.calls[1].request
    assert token_call.headers["authorization"] == "Basic " + base64.b64encode(b"client:secret").decode()
    assert responses.calls[2].request.headers["authorization"] == "Bearer new"


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (400, {"error": "invalid_grant"}, AccessRevoked),
        (401, {"error": "invalid_client"}, ApplicationMisconfigured),
        (400, {"error": "what is this"}, ApplicationMisconfigured),
        (503, {}, Unavailable),
        (200, {}, Unavailable),
        (200, {"access_token": "x", "api_domain": "ftp://pipedrive.com"}, Unavailable),
    ],
)
@responses.activate
def test_a_refused_refresh_says_whose_fault_it_is(
    opened: Open, status: int, answer: dict[str, str], kind: type[ProviderError]
) -> None:
    responses.post(f"{OAUTH}/token", status=status, json=answer)
    with pytest.raises(kind):
        opened({**CONSENT, "expires_at": 0}).get(ItemRef("deal", "7"))


@pytest.mark.parametrize(
    "domain",
    [
        "https://acme.pipedrive.com.evil.test",
        "https://evilpipedrive.com",
        "http://acme.pipedrive.com",
        "https://10.0.0.1",
    ],
)
def test_asks_no_api_domain_but_pipedrives(opened: Open, domain: str) -> None:
    with pytest.raises(Rejected):
        opened({**CONSENT, "api_domain": domain}).get(ItemRef("deal", "7"))


@responses.activate
def test_a_refused_api_token_asks_to_connect_again(opened: Open) -> None:
    responses.get("https://api.pipedrive.com/api/v2/deals/7", status=401, json={})
    with pytest.raises(AccessRevoked):
        opened({"api_token": "x" * 40}).get(ItemRef("deal", "7"))
    assert responses.calls[0].request.headers["x-api-token"] == "x" * 40


@responses.activate
def test_a_note_is_escaped_worth_reading_and_found_by_its_marker(opened: Open) -> None:
    made = responses.post(f"{API}/v1/notes", json={"success": True, "data": {"id": 12}})
    assert opened().write_link(a_write()) == WrittenLink("note/12")
    sent = json.loads(made.calls[0].request.body or b"")
    assert (sent["deal_id"], sent["person_id"], sent["org_id"]) == (7, 1, 3)
    for shown in ("E-posta konuşması: Prices", "&lt;b&gt;5&lt;/b&gt; &amp; more", "q.pdf", "Bea &lt;bea@acme.test&gt;"):
        assert shown in sent["content"]
    assert '<a href="https://tl.test/conversations/1#0b0e">' in sent["content"]
    assert note.has_marker(sent["content"], "0b0e")
    responses.get(
        f"{API}/v1/notes",
        json={"success": True, "data": [{"id": 11, "content": "other"}, {"id": 12, "content": sent["content"]}]},
    )
    assert opened().find_link(a_write()) == WrittenLink("note/12")


def test_a_long_note_keeps_its_newest_messages_and_says_how_many_are_missing() -> None:
    write = a_write()
    message = NoteMessage(
        BEGINNING, "Bea", "bea@acme.test", "inbound", "S", "&" * 480, tuple("&" * 190 for _ in range(20))
    )
    long = ConversationNote("0b0e", "Prices", (), (message,) * 90, None)
    written = note.content(long, "https://tl.test")
    assert len(written) <= note.MAX_CHARS
    assert "earlier messages are not shown" in written
    assert '<a href="https://tl.test#0b0e">' in written
    assert note.subject(write.note) == "E-posta konuşması: Prices"


@responses.activate
def test_links_the_thread_that_pipedrives_own_sync_holds(opened: Open) -> None:
    mail = {"object": "mailMessage", "data": {"mua_message_id": "m1@acme.test", "mail_thread_id": 9}}
    responses.get(f"{API}/v1/persons/1/mailMessages", json={"success": True, "data": [mail]})
    put = responses.put(f"{API}/v1/mailbox/mailThreads/9", json={"success": True, "data": {"id": 9}})
    responses.get(f"{API}/v1/mailbox/mailThreads/9", json={"success": True, "data": {"id": 9, "deal_id": 7}})
    adapter = opened(mode="native_thread")
    written = adapter.write_link(a_write())
    assert written == WrittenLink("thread/9")
    assert put.calls[0].request.body == "deal_id=7"
    assert adapter.find_link(a_write()) == written
    assert adapter.update_link(written, a_write()) == written
    with pytest.raises(Unsupported) as refusal:
        adapter.remove_link(written, a_write().item)
    assert str(refusal.value) == adapter.capabilities.missing["unlink"] == THREAD_STAYS


@responses.activate
def test_writes_a_note_where_the_sync_holds_no_such_message(opened: Open) -> None:
    responses.get(f"{API}/v1/persons/1/mailMessages", json={"success": True, "data": []})
    responses.post(f"{API}/v1/notes", json={"success": True, "data": {"id": 12}})
    adapter = opened(mode="native_thread")
    assert adapter.write_link(a_write()) == WrittenLink("note/12")
    assert adapter.write_link(a_write("project", "4")) == WrittenLink("note/12")


# --- webhooks ---


def a_push(meta: dict[str, Any] | None = None, *, secret: str, body: bytes | None = None) -> PushRequest:
    told = {"id": "e1", "company_id": 77, "webhook_id": "8", "entity": "deal", "entity_id": "7", "action": "change",
            "change_source": "app", "user_id": 1, **(meta or {})}  # fmt: skip
    header = "Basic " + base64.b64encode(f"threadlink:{secret}".encode()).decode()
    return PushRequest("POST", {"authorization": header}, {}, body or json.dumps({"meta": told, "data": {}}).encode())


def test_reads_what_a_webhook_names(opened: Open) -> None:
    (event,) = opened(HOOK).read_webhook(a_push(secret="pw"))
    assert (event.connection_public_id, event.event_id, event.records) == ("c1", "e1", (ItemRef("deal", "7"),))


def test_reads_what_a_webhook_says_of_merges(opened: Open) -> None:
    one, two = ItemRef("person", "1"), ItemRef("person", "2")
    for meta in ({"entity_id": 1, "merged_to_id": 2}, {"entity_id": 2, "merged_from_id": 1}):
        (event,) = opened(HOOK).read_webhook(a_push({"entity": "person", **meta}, secret="pw"))
        assert event.merges == (Merge(one, two),)


@pytest.mark.parametrize(
    "meta",
    [{"change_source": "api"}, {"entity": "note"}, {"entity_id": "../1"}],
)
def test_leaves_out_our_own_doing_and_what_is_no_record(opened: Open, meta: dict[str, Any]) -> None:
    assert opened(HOOK).read_webhook(a_push(meta, secret="pw")) == []


@pytest.mark.parametrize(
    ("secrets", "push"),
    [
        (HOOK, a_push(secret="other")),
        (HOOK, a_push({"company_id": 78}, secret="pw")),
        (HOOK, a_push({"webhook_id": "9"}, secret="pw")),
        ({}, a_push(secret="")),
        (HOOK, PushRequest("POST", {"authorization": "Basic %%%"}, {}, b"{}")),
        (HOOK, PushRequest("POST", {}, {}, b"{}")),
    ],
)
def test_refuses_a_webhook_that_is_not_ours(opened: Open, secrets: dict[str, Any], push: PushRequest) -> None:
    with pytest.raises(NotificationForged):
        opened(secrets).read_webhook(push)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"no", b"[]", b'{"meta": 5}', b" " * 1_000_001])
def test_refuses_a_webhook_that_cannot_be_read(opened: Open, body: bytes) -> None:
    with pytest.raises(NotificationMalformed):
        opened(HOOK).read_webhook(a_push(secret="pw", body=body))


# --- connecting ---


@responses.activate
def test_connects_with_a_code_that_came_without_a_state(clock: SteppedClock) -> None:
    responses.post(f"{OAUTH}/token", json={**CONSENT, "access_token": "fresh-1", "expires_in": 3599})
    me = {"id": 1, "company_id": 77, "company_domain": "acme", "name": "Ada"}
    responses.get(f"{API}/v1/users/me", json={"success": True, "data": me})
    responses.get(f"{API}/v2/projects", status=402, json={"success": False})
    responses.get(f"{API}/v1/users/1/roleSettings", json={"success": True, "data": {"deal_default_visibility": 7}})
    connected = PipedriveConsent(load(APP), clock).connect("https://tl.test/back", {"code": "c"}, {})
    assert (connected.identity.company, connected.identity.url) == ("77", "https://acme.pipedrive.com")
    assert connected.settings == {"projects": False, "visibility_groups": True, "domain": "acme"}
    assert connected.secrets["refresh_token"] == "lasting"


def test_a_consent_that_was_refused_connects_nothing(clock: SteppedClock) -> None:
    consent = PipedriveConsent(load(APP), clock)
    with pytest.raises(AccessRevoked):
        consent.connect("https://tl.test/back", {"error": "user_denied"}, {})
    with pytest.raises(Rejected):
        consent.connect("https://tl.test/back", {}, {})
    assert not PipedriveConsent(load({}), clock).by_browser
    with pytest.raises(Unsupported):
        PipedriveConsent(load({}), clock).authorize("https://tl.test/back", "s")


def test_reads_that_the_app_was_removed(clock: SteppedClock) -> None:
    consent = PipedriveConsent(load(APP), clock)
    header = {"authorization": "Basic " + base64.b64encode(b"client:secret").decode()}
    gone = consent.read_uninstall(PushRequest("DELETE", header, {}, b'{"company_id": 77, "user_id": 1}'))
    assert (gone.company, gone.user_id) == ("77", "1")
    with pytest.raises(NotificationForged):
        consent.read_uninstall(PushRequest("DELETE", {"authorization": "Basic AAAA"}, {}, b"{}"))
    with pytest.raises(NotificationMalformed):
        consent.read_uninstall(PushRequest("DELETE", header, {}, b"[]"))


def test_options_of_a_connection_are_checked() -> None:
    assert settings_of({"plan": "premium", "seats": "2", "mode": "activity"}) == {
        "mode": "activity",
        "visibility_groups": True,
        "daily_tokens": 300_000,
    }
    assert settings_of({"daily_tokens": "500"}) == {"daily_tokens": 500}
    for wrong in (
        {"mode": "fax"},
        {"plan": "gold"},
        {"seats": "2"},
        {"plan": "lite", "seats": "0"},
        {"daily_tokens": "-1"},
    ):
        with pytest.raises(Rejected):
            settings_of(wrong)
