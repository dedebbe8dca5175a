"""The failures one can order from FakeCrm."""

from __future__ import annotations

import pytest

from app.errors import CursorExpired, RateLimited, Rejected, Unavailable
from app.model import ItemRef
from app.ports import LinkWrite
from app.testing.crm_stage import a_note
from app.testing.fake_crm import FakeCrm
from app.testing.fakes import SteppedClock

DEAL = ItemRef("deal", "d1", 1)


@pytest.fixture
def crm() -> FakeCrm:
    fake = FakeCrm(SteppedClock())
    fake.put_item("deal", "d1", "Rollout")
    return fake


def test_an_ordered_failure_is_met_once_and_nothing_was_done(crm: FakeCrm) -> None:
    crm.fail("write_link", RateLimited(retry_after_s=5))
    with pytest.raises(RateLimited):
        crm.write_link(LinkWrite(DEAL, (), (), a_note()))
    assert crm.notes("deal", "d1") == []
    crm.write_link(LinkWrite(DEAL, (), (), a_note()))
    assert len(crm.notes("deal", "d1")) == 1


def test_a_dropped_answer_leaves_the_work_done(crm: FakeCrm) -> None:
    crm.drop_answer("write_link")
    write = LinkWrite(DEAL, (), (), a_note())
    with pytest.raises(Unavailable):
        crm.write_link(write)
    assert len(crm.notes("deal", "d1")) == 1
    assert crm.find_link(write) is not None


def test_failures_are_met_in_the_order_of_the_orders(crm: FakeCrm) -> None:
    crm.fail("get", RateLimited(), times=2)
    crm.drop_answer("get")
    for error in (RateLimited, RateLimited, Unavailable):
        with pytest.raises(error):
            crm.get(DEAL)
    assert crm.get(DEAL) is not None


def test_reading_changes_can_fail_too(crm: FakeCrm) -> None:
    crm.fail("changes_since", Unavailable())
    with pytest.raises(Unavailable):
        list(crm.changes_since(None))
    assert list(crm.changes_since(None))


def test_every_call_is_counted(crm: FakeCrm) -> None:
    crm.fail("get", RateLimited())
    with pytest.raises(RateLimited):
        crm.get(DEAL)
    crm.get(DEAL)
    list(crm.changes_since(None))
    assert crm.calls == {"get": 2, "changes_since": 1}


def test_writing_twice_without_looking_leaves_two_notes(crm: FakeCrm) -> None:
    write = LinkWrite(DEAL, (), (), a_note())
    crm.write_link(write)
    crm.write_link(write)
    assert len(crm.notes("deal", "d1")) == 2


def test_a_cursor_that_it_never_gave_has_expired(crm: FakeCrm) -> None:
    with pytest.raises(CursorExpired):
        list(crm.changes_since("elsewhere"))


def test_deleting_and_restoring_twice_changes_nothing_more(crm: FakeCrm) -> None:
    crm.change("deal", "d1", {"status": "won"})
    for act, state in ((crm.delete, "deleted"), (crm.restore, "won")):
        act("deal", "d1")
        act("deal", "d1")
        item = crm.get(DEAL)
        assert item is not None
        assert item.state == state


def test_what_does_not_exist_cannot_be_changed(crm: FakeCrm) -> None:
    with pytest.raises(Rejected):
        crm.change("deal", "d9", {"title": "x"})
