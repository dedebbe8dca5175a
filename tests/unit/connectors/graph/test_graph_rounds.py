"""Changes: what Graph may answer in a round, one odd answer at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import CursorExpired, Gone, Rejected, Unavailable
from app.ports import Change, Mailbox, MailConnector
from app.testing.fakes import SteppedClock
from tests.unit.connectors.graph.conftest import API, USER, Script

NOT_FOUND = {"error": {"code": "ErrorItemNotFound", "message": "The specified object was not found in the store."}}
LOST = {"error": {"code": "SyncStateNotFound", "message": "The sync state generation is not found"}}
FULL = {"error": {"code": "ErrorQuotaExceeded", "message": "Mailbox has exceeded maximum mailbox size."}}
TREE, INBOX, DEALS = f"/users/{USER}/tree", f"/users/{USER}/inbox", f"/users/{USER}/deals"


def link(path: str) -> str:
    return API + path


def page(*entries: Any, path: str, goes_on: bool = False) -> dict[str, Any]:
    return {"value": list(entries), "@odata.nextLink" if goes_on else "@odata.deltaLink": link(path)}


def message(message_id: str, folder_id: str = "f-inbox", **more: Any) -> dict[str, Any]:
    shown = {"id": message_id, "conversationId": "c1", "parentFolderId": folder_id, "isDraft": False}
    return {**shown, "receivedDateTime": "2026-03-02T08:00:00Z", **more}


def cursor(clock: SteppedClock, **links: str) -> str:
    folders = links or {"f-inbox": INBOX, "f-deals": DEALS}
    good_s = int(clock.now().timestamp())
    parents = {"f-inbox": "root", "f-deals": "root"}
    return json.dumps({"v": 1, "good_s": good_s, "links": {"": TREE, **folders}, "parents": parents})


@pytest.fixture(autouse=True)
def quiet(script: Script) -> None:
    """Nothing changed anywhere."""
    for path in (TREE, INBOX, DEALS):
        script.on("GET", path, (200, page(path=path)))


def read(connector: MailConnector, mailbox: Mailbox, begin: str) -> tuple[dict[str, Change], dict[str, Any]]:
    changes: dict[str, Change] = {}
    reached = begin
    for each in connector.list_changes(mailbox, begin):
        changes |= {change.provider_id: change for change in each.changes}
        reached = each.cursor
    return changes, json.loads(reached)


@pytest.mark.parametrize("told_by_tree", [True, False])
@pytest.mark.parametrize("told_by_folder", [True, False])
def test_a_folder_that_was_deleted_is_forgotten(
    connector: MailConnector,
    mailbox: Mailbox,
    script: Script,
    clock: SteppedClock,
    told_by_tree: bool,
    told_by_folder: bool,
) -> None:
    removed = [{"id": "f-deals", "@removed": {"reason": "deleted"}}] if told_by_tree else []
    script.on("GET", TREE, (200, page(*removed, path=TREE)))
    script.on("GET", INBOX, (200, page(message("m1"), path=INBOX)))
    if told_by_folder:
        script.on("GET", DEALS, (404, NOT_FOUND))
    changes, reached = read(connector, mailbox, cursor(clock))
    assert list(changes) == ["m1"]
    assert ("f-deals" in reached["links"]) is not (told_by_tree or told_by_folder)
    assert {"", "f-inbox"} <= set(reached["links"])
    read(connector, mailbox, json.dumps(reached))


def test_what_a_deleted_folder_still_tells_counts(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    script.on("GET", TREE, (200, page({"id": "f-deals", "@removed": {}}, path=TREE)))
    script.on("GET", DEALS, (200, page({"id": "m1", "@removed": {}}, path=DEALS, goes_on=True)))
    script.on("GET", f"/users/{USER}/messages/m1", (404, NOT_FOUND))
    changes, reached = read(connector, mailbox, cursor(clock))
    assert changes == {"m1": Change("m1", deleted=True)}
    assert "f-deals" not in reached["links"]


def test_the_tree_itself_is_never_forgotten(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    script.on("GET", TREE, (404, NOT_FOUND))
    with pytest.raises(Gone):
        read(connector, mailbox, cursor(clock))


def test_removed_is_a_hint(connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock) -> None:
    """A to B and back to A is told as removed from A and never again (microsoft-graph-docs 21752)."""
    script.on("GET", INBOX, (200, page({"id": "m1", "@removed": {"reason": "deleted"}}, path=INBOX)))
    script.on("GET", f"/users/{USER}/messages/m1", (200, message("m1")))
    changes, _ = read(connector, mailbox, cursor(clock))
    assert changes == {"m1": Change("m1", "c1")}


def test_a_message_that_moved_is_read_where_it_lies(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    script.on("GET", INBOX, (200, page({"id": "m1", "@removed": {}}, {"id": "m2", "@removed": {}}, path=INBOX)))
    script.on("GET", DEALS, (200, page(message("m1", "f-deals"), path=DEALS)))
    script.on("GET", f"/users/{USER}/messages/m2", (200, message("m2", "f-junkemail")))
    changes, _ = read(connector, mailbox, cursor(clock))
    assert changes == {"m1": Change("m1", "c1"), "m2": Change("m2", "c1", filtered_by="spam")}
    assert not any("/messages/m1" in part["url"] for part in script.parts)


def test_a_message_that_cannot_be_looked_for_is_no_deleted_one(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    script.on("GET", INBOX, (200, page({"id": "m1", "@removed": {}}, path=INBOX)))
    script.on("GET", f"/users/{USER}/messages/m1", (503, {"error": {"code": "MailboxInfoStale"}}))
    with pytest.raises(Unavailable):
        read(connector, mailbox, cursor(clock))


@pytest.mark.parametrize("kind", ["@odata.nextLink", "@odata.deltaLink"])
@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.test/v1.0/users",
        "https://graph.microsoft.com.evil.test/v1.0/x",
        "https://graph.microsoft.com@evil.test/v1.0/x",
        "http://graph.microsoft.com/v1.0/x",
        "https://graph.microsoft.com/beta/x",
        "/users/x",
        5,
        None,
        API + "/" + "x" * 30_000,
    ],
)
def test_a_link_that_leads_elsewhere_is_not_followed(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock, kind: str, elsewhere: object
) -> None:
    script.on("GET", INBOX, (200, {"value": [], kind: elsewhere}))
    with pytest.raises(Rejected, match="elsewhere"):
        read(connector, mailbox, cursor(clock))


def test_every_part_asks_for_immutable_ids(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    script.on("GET", INBOX, (200, page({"id": "m1", "@removed": {}}, path=INBOX)))
    script.on("GET", f"/users/{USER}/messages/m1", (200, message("m1")))
    read(connector, mailbox, cursor(clock))
    assert {request[2]["Prefer"] for request in script.asked} == {'IdType="ImmutableId"'}
    assert len(script.parts) > 3
    for part in script.parts:
        assert part["headers"]["Prefer"].endswith('IdType="ImmutableId"'), part
        if "/messages/m1" not in part["url"] and "/mailFolders/" not in part["url"]:
            assert "odata.maxpagesize=500" in part["headers"]["Prefer"]


def test_positions_are_not_built_again_twice_in_an_hour(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    script.on("GET", INBOX, (410, LOST))
    script.on("GET", f"/users/{USER}/messages?", (200, {"value": [message("m1")]}))
    fresh = json.loads(cursor(clock)) | {"recovered_s": int(clock.now().timestamp())}
    changes, reached = read(connector, mailbox, json.dumps(fresh))
    assert list(changes) == ["m1"]
    assert reached["listing"] is True
    clock.step(minutes=59)
    changes, reached = read(connector, mailbox, json.dumps(reached))
    assert list(changes) == ["m1"]
    clock.step(minutes=2)
    with pytest.raises(CursorExpired):
        read(connector, mailbox, json.dumps(reached))


@pytest.mark.parametrize(
    ("status", "answer"),
    [(410, LOST), (410, {}), (400, LOST), (404, {"error": {"code": "resyncRequired"}})],
)
def test_a_forgotten_position_is_told(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock, status: int, answer: object
) -> None:
    script.on("GET", INBOX, (status, answer))
    with pytest.raises(CursorExpired):
        read(connector, mailbox, cursor(clock))


def test_a_full_mailbox_is_listed(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    script.on("GET", INBOX, (403, FULL))
    script.on("GET", f"/users/{USER}/messages?", (200, {"value": [message("m1")]}))
    changes, reached = read(connector, mailbox, cursor(clock))
    assert list(changes) == ["m1"]
    assert reached["listing"] is True


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "5", "[]", "{}", '{"v": 2}', '{"v": 1}', '{"v": 1, "x": 5}', "[" * 100_000),
        '{"v": 1, "good_s": "x", "links": {}, "parents": {}}',
        '{"v": 1, "good_s": 5, "links": [], "parents": {}}',
    ],
)
def test_a_cursor_of_another_kind_has_expired(connector: MailConnector, mailbox: Mailbox, text: str) -> None:
    with pytest.raises(CursorExpired):
        read(connector, mailbox, text)


def test_a_round_without_an_end_is_tried_again(
    connector: MailConnector, mailbox: Mailbox, script: Script, clock: SteppedClock
) -> None:
    script.on("GET", INBOX, (200, {"value": []}))
    with pytest.raises(Unavailable, match="no end"):
        read(connector, mailbox, cursor(clock))
