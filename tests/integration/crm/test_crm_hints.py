"""A CRM's webhooks, its trouble, and addresses that nobody is known with; on a real database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from app import crm_calls, crm_hints, jobs, mirror, sync
from app.errors import CrmRests, NotificationForged, RateLimited
from app.model import ITEM_KINDS, ItemRef
from app.ports import CrmCapabilities, CrmChanges, CrmConnection, CrmEvent, CrmUser, Merge, PushRequest
from app.store import crm_connections
from app.store import mirror as mirror_rows
from app.testing.fake_crm import FakeCrm
from app.web.application import application
from tests.integration.office import Office

pytestmark = pytest.mark.integration
GOOD = {"authorization": "good"}


class TellingCrm(FakeCrm):
    """A fake whose webhooks are `kind/id` or `kind/id>kind/id`, and that reads single records again."""

    public_id = ""
    reread: list[tuple[Sequence[ItemRef], Sequence[Merge]]]

    def read_webhook(self, request: PushRequest) -> list[CrmEvent]:
        if request.headers.get("authorization") != "good":
            raise NotificationForged
        event_id, _, rest = request.body.decode().partition(" ")
        gone, _, into = rest.partition(">")
        merges = (Merge(self._named(gone), self._named(into)),) if into else ()
        return [CrmEvent(self.public_id, event_id.strip("-"), (self._named(gone),), merges)]

    def read_records(self, records: Sequence[ItemRef], merges: Sequence[Merge] = ()) -> CrmChanges:
        self.reread.append((records, merges))
        found = [self.get(ref) for ref in records if ref.kind in ITEM_KINDS]
        return CrmChanges("ignored", items=tuple(item for item in found if item))

    def _named(self, text: str) -> ItemRef:
        kind, _, external_id = text.partition("/")
        return ItemRef(kind, external_id)


@pytest.fixture
def telling(office: Office) -> Office:
    """The office with a CRM that sends webhooks, its mirror filled."""
    capabilities = CrmCapabilities(kinds=frozenset(ITEM_KINDS), records=True, webhooks=True, read_through=True)
    crm = TellingCrm(office.clock, connection_id=office.crm_id, capabilities=capabilities)
    crm.reread = []
    crm.put_person("p1", "Bea", ["bea@acme.test"])
    crm.put_item("deal", "d1", "Acme rollout", person="p1", created_at=office.clock.now())
    crm.public_id = connection(office).public_id
    made = replace(office, crm=crm, installation=replace(office.installation, open_crm=lambda _: crm))
    made.change("UPDATE mirror_cursor SET cursor = NULL, refreshed_at = NULL")
    sync.refresh_mirror(made.installation, made.team_id, max_age_s=0)
    made.forget_jobs()
    return made


def connection(office: Office) -> CrmConnection:
    (found,) = office.installation.crm_connections(office.team_id)
    return found


def push(office: Office, body: str, headers: dict[str, str] = GOOD, public_id: str = "") -> int:
    client = application(office.installation, ["webhooks"]).test_client()
    url = f"/webhooks/crm/{public_id or connection(office).public_id}"
    return client.post(url, data=body, headers=headers, base_url="https://threadlink.test").status_code


def test_a_burst_of_webhooks_costs_one_refresh(telling: Office) -> None:
    for number in range(20):
        assert push(telling, f"e{number} deal/d{number}") == 204
    (job,) = telling.jobs("refresh_mirror", waiting=True)
    assert job.args == {"team_id": telling.team_id}
    assert telling.value("SELECT count(*) FROM crm_hint") == 20


def test_an_event_that_is_sent_again_says_nothing_new(telling: Office) -> None:
    push(telling, "e1 deal/d1")
    sync.refresh_mirror(telling.installation, telling.team_id, max_age_s=0)
    telling.forget_jobs()
    assert push(telling, "e1 deal/d1") == 204
    assert telling.jobs("refresh_mirror", waiting=True) == []
    assert push(telling, "e2 deal/d1") == 204
    assert len(telling.jobs("refresh_mirror", waiting=True)) == 1


def test_what_a_webhook_names_is_read_again_and_the_claim_itself_is_not_believed(telling: Office) -> None:
    assert push(telling, "- deal/d1>deal/d9") == 204
    sync.refresh_mirror(telling.installation, telling.team_id, max_age_s=0)
    ((records, merges),) = telling.crm.reread
    assert {str(ref) for ref in records} == {"deal/d1", "deal/d9"}
    assert [str(merge.into) for merge in merges] == ["deal/d9"]
    assert telling.value("SELECT count(*) FROM crm_hint") == 0
    assert telling.value("SELECT merged_into FROM mirror_item WHERE external_id = 'd1'") is None


def test_webhooks_that_prove_nothing_and_unknown_connections_are_answered_alike(telling: Office) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    answers = {
        push(telling, "e1 deal/d1", {}),
        push(telling, "e1 deal/d1", GOOD, unknown),
        push(telling, "e1 deal/d1", GOOD, "nonsense"),
    }
    assert answers == {401}
    assert telling.jobs("refresh_mirror", waiting=True) == []


def test_an_event_of_another_connection_is_refused(telling: Office) -> None:
    telling.crm.public_id = "another"
    with pytest.raises(NotificationForged):
        crm_hints.receive(
            telling.installation, connection(telling).public_id, PushRequest("POST", GOOD, {}, b"e1 deal/d1")
        )


def test_a_crm_that_asks_to_slow_down_is_left_alone_until_then(office: Office) -> None:
    office.crm.fail("changes_since", RateLimited(retry_after_s=300))
    sync.refresh_mirror(office.installation, office.team_id, max_age_s=0)
    asked = office.crm.calls.copy()
    office.clock.step(minutes=4)
    sync.refresh_mirror(office.installation, office.team_id, max_age_s=0)
    office.mail.deliver("ada@northwind.test", 1)
    assert office.sync().stored == 1
    assert office.crm.calls == asked
    office.clock.step(minutes=2)
    sync.refresh_mirror(office.installation, office.team_id, max_age_s=0)
    assert office.rows("SELECT state, failures FROM crm_connection") == [("live", 0)]


def test_only_a_few_jobs_of_a_process_wait_for_one_crm(office: Office) -> None:
    crm = connection(office)
    with crm_calls.calling(office.installation, crm), crm_calls.calling(office.installation, crm):
        with pytest.raises(CrmRests) as rests, crm_calls.calling(office.installation, crm):
            pytest.fail("a third job waits for the CRM")
        assert rests.value.wait_s == crm_calls.LANE_WAIT_S
    with crm_calls.calling(office.installation, crm) as adapter:
        assert adapter is office.crm


def test_a_note_waits_for_a_crm_that_is_left_alone_without_an_attempt(office: Office) -> None:
    office.mail.deliver("ada@northwind.test", 1)
    office.sync()
    (owed,) = office.write_rows()
    with office.team() as connection_:
        crm_connections.failed(
            connection_, office.crm_id, "RateLimited", office.clock.now() + jobs.timedelta(minutes=5)
        )
    office.forget_jobs()
    jobs.crm_write(office.installation, office.team_id, owed.id)
    (job,) = office.jobs("crm_write", waiting=True)
    assert 300 <= office.waits_s(job) <= 330
    assert office.write_rows()[0].attempts == 0


def test_an_unknown_address_is_asked_for_once(telling: Office) -> None:
    telling.crm.put_person("p7", "Dee", ["dee@acme.test"])
    telling.clock.step(seconds=10)  # the mirror is fresh enough: it is not refreshed, as a CRM that lags
    for number, sender in enumerate(["dee@acme.test", "dee@acme.test", "nobody@else.test", "nobody@else.test"]):
        telling.mail.deliver("ada@northwind.test", number + 1, From=sender)
        telling.sync()
    assert telling.crm.calls["people_by_address"] == 2
    assert telling.value("SELECT count(*) FROM link WHERE kind = 'person' AND external_id = 'p7'") >= 1
    assert telling.rows("SELECT address FROM mirror_unknown") == [("nobody@else.test",)]


def test_a_first_load_says_how_far_it_is(office: Office) -> None:
    office.change("UPDATE mirror_cursor SET cursor = NULL, refreshed_at = NULL, records = 0, started_at = NULL")
    office.crm._page_size = 1
    crm = connection(office)
    mirror.refresh(office.installation.database, office.crm, crm, office.clock, until=office.clock.now())
    with office.team() as connection_:
        age = mirror_rows.age(connection_, crm.id)
    assert (age.refreshed_at, age.records) == (None, 1)
    mirror.refresh(office.installation.database, office.crm, crm, office.clock)
    with office.team() as connection_:
        assert mirror_rows.age(connection_, crm.id).refreshed_at == office.clock.now()


def test_mirrors_that_are_old_are_refreshed_by_the_schedule(office: Office) -> None:
    office.forget_jobs()
    jobs.refresh_mirrors(office.installation)
    assert office.jobs("refresh_mirror") == []
    office.clock.step(minutes=11)
    jobs.refresh_mirrors(office.installation)
    jobs.refresh_mirrors(office.installation)
    assert len(office.jobs("refresh_mirror")) == 1


def test_what_the_crm_hides_is_found_by_those_alone_who_see_it_there(office: Office) -> None:
    crm = connection(office)
    secret = replace(office.crm.get(ItemRef("deal", "d1")), visible_to=("7",))
    with office.team() as connection_:
        from app.store import mirror_pages

        cursor = mirror_rows.age(connection_, crm.id).cursor
        mirror_pages.write(connection_, crm, CrmChanges(cursor or "", items=(secret,)))
        users = [CrmUser("7", "Ada", "Ada@northwind.test"), CrmUser("8", "Bob", "bob@northwind.test")]
        crm_connections.write_users(connection_, crm, users, office.clock.now())
        seen = {
            name: mirror_rows.search_items(connection_, "rollout", reader=mirror_rows.audience(connection_, member))
            for name, member in office.members.items()
        }
    assert {name: len(hits) for name, hits in seen.items()} == {"ada": 1, "bob": 0}
