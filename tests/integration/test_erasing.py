"""Erasing a mailbox: of what it alone brought nothing is left, here or in the CRM; what others hold stays (S11)."""

from __future__ import annotations

import pytest

from app import accounts, erasing
from tests.integration.office import ADA, Office, connect

pytestmark = pytest.mark.integration

BOB = "bob@northwind.test"
CANARY = "canary7"
PRIVATE = {"From": f"{CANARY} name <{CANARY}@secret.test>", "Subject": f"{CANARY} merger"}


@pytest.fixture
def shared(office: Office) -> Office:
    """Ada alone holds two mails, one in a conversation of its own; two more Bob holds as well."""
    bob = connect(office, BOB, office.members["bob"].id)
    office.sync(bob)
    office.mail.deliver(ADA, 1, **PRIVATE, changed={"snippet": f"{CANARY} snippet", "text": f"{CANARY} text"})
    for mailbox in (ADA, BOB):
        office.mail.deliver(mailbox, 2)
        office.mail.deliver(mailbox, 3)
    office.sync()
    office.sync(bob)
    office.clock.step(minutes=2)
    office.mail.deliver(
        ADA, 4, References="<m2@acme.test>", Subject="Re: Offer 2", Cc=f"{CANARY}@secret.test",
        changed={"snippet": f"{CANARY} answer"},
    )  # fmt: skip
    office.sync()
    office.link(conversation_of(office, "<m1@acme.test>"), "d1")
    office.write_notes()
    return office


def conversation_of(office: Office, internet_id: str) -> int:
    return int(office.value("SELECT conversation_id FROM message WHERE internet_id = :id", id=internet_id))


def said(office: Office) -> list[str]:
    """Return the tables and notes that hold the canary."""
    rows = [name for name, kept in office.contents().items() if CANARY in repr(kept)]
    return rows + [note for note in office.notes() if CANARY in note]


def erase(office: Office) -> None:
    office.change("UPDATE account SET state = 'disconnected' WHERE id = :id", id=office.account_id)
    accounts.disconnect(office.installation, office.team_id, office.account_id, None, erase=True)
    for job in office.jobs("erase_account"):
        erasing.go_on(office.installation, **job.args)


@pytest.mark.parametrize("part", [1, 200])
def test_nothing_is_left_of_what_a_mailbox_alone_brought(
    shared: Office, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(erasing, "PART", part)
    assert {"message", "participant", "message_copy", "message_body", "conversation", "inbox_entry"} <= set(
        said(shared)
    )
    assert len(shared.notes()) == 3
    erase(shared)
    shared.write_notes()
    assert said(shared) == []
    assert shared.rows("SELECT FROM account WHERE address = :address", address=ADA) == []
    assert '"erased": true' in shared.value("SELECT detail::text FROM audit WHERE action = 'disconnect_account'")


def test_what_another_mailbox_holds_stays_with_its_note(shared: Office) -> None:
    kept = conversation_of(shared, "<m2@acme.test>")
    whole = shared.value(
        "SELECT decision_id FROM conversation WHERE id = :id", id=conversation_of(shared, "<m3@acme.test>")
    )
    erase(shared)
    shared.write_notes()
    assert sorted(shared.rows("SELECT internet_id FROM message")) == [("<m2@acme.test>",), ("<m3@acme.test>",)]
    assert [note.count("Snippet") for note in shared.notes()] == [1, 1]
    row = shared.rows("SELECT message_count, subject, decision_id FROM conversation WHERE id = :id", id=kept)[0]
    assert (row.message_count, row.subject) == (1, "Offer 2")
    assert row.decision_id is not None  # decided anew, from what is left
    assert shared.value("SELECT count(*) FROM decision WHERE id = :id", id=whole) == 1


def test_an_account_that_was_connected_again_meanwhile_is_not_erased(
    shared: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "PART", 1)
    shared.change("UPDATE account SET state = 'disconnected' WHERE id = :id", id=shared.account_id)
    accounts.disconnect(shared.installation, shared.team_id, shared.account_id, None, erase=True)
    shared.change("UPDATE account SET state = 'live' WHERE id = :id", id=shared.account_id)
    left = shared.value("SELECT count(*) FROM message_copy")
    erasing.go_on(shared.installation, shared.team_id, shared.account_id)
    assert shared.value("SELECT count(*) FROM message_copy") == left
    assert shared.account().address == ADA
