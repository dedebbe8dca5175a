"""Builders for the tests of app/linking: what a test does not say is a usual default.

The usual conversation: Bea (bea@acme.test, person p1, organization o1) writes to Ada (ada@northwind.test, ours) on
2 March 2026 at 9:00; a deal d1 of Bea's is open since February. `given()` is that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from app.model import (
    Account,
    Automated,
    Conversation,
    Copy,
    DecisionInput,
    Item,
    ItemRef,
    Link,
    Message,
    Ours,
    Participant,
    Person,
    Policy,
    RecordKind,
    RememberedChoice,
    Role,
    Tombstone,
    Verdict,
)

ADA = "ada@northwind.test"
BEA = "bea@acme.test"
CAN = "can@acme.test"
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
IN_FEBRUARY = datetime(2026, 2, 1, 10, tzinfo=UTC)
OURS = Ours(frozenset({ADA, "ada@gmail.com"}), frozenset({"northwind.test"}))


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def ref(name: str) -> ItemRef:
    """Turn "deal/d1" into a reference."""
    kind, _, external_id = name.partition("/")
    kinds: dict[str, RecordKind] = {
        "deal": "deal",
        "lead": "lead",
        "project": "project",
        "person": "person",
        "organization": "organization",
    }
    return ItemRef(kinds[kind], external_id)


def account(address: str = ADA, *, number: int = 1, auto_link: bool = True) -> Account:
    return Account(
        id=number,
        public_id=f"account-{number}",
        team_id=1,
        provider="gmail",
        kind="personal",
        address=address,
        mailbox=address,
        own_addresses=frozenset({address}),
        auto_link=auto_link,
        visibility="full",
        owner_id=1,
    )


def copy(
    *,
    number: int = 1,
    account_id: int = 1,
    at: datetime = NINE,
    in_sent: bool = False,
    verdict: Verdict = "pass",
    bcc: Sequence[str] = (),
    genuine: bool = False,
) -> Copy:
    return Copy(
        id=number,
        account_id=account_id,
        provider_id=f"provider-{number}",
        provider_thread_id="thread",
        at=at,
        in_sent=in_sent,
        verdict=verdict,
        joined="founded",
        bcc=tuple(Participant(address, "bcc") for address in bcc),
        genuine=genuine,
    )


def message(
    sender: str = BEA,
    to: Sequence[str] = (ADA,),
    *,
    number: int = 1,
    at: datetime = NINE,
    cc: Sequence[str] = (),
    bcc: Sequence[str] = (),
    reply_to: str | None = None,
    subject: str = "Prices",
    automated: Automated | None = None,
    verdict: Verdict = "pass",
    in_sent: bool | None = None,
    genuine: bool = False,
    copies: Sequence[Copy] | None = None,
) -> Message:
    """Build a message with one copy; from us it lies in Sent unless `in_sent` says otherwise, and Bcc with it."""
    is_sent = sender.endswith("@northwind.test") if in_sent is None else in_sent
    lists: dict[Role, Iterable[str]] = {"from": [sender] if sender else [], "to": to, "cc": cc}
    lists["reply_to"] = [reply_to] if reply_to else []
    one = copy(number=number, at=at, in_sent=is_sent, verdict="own" if is_sent else verdict, bcc=bcc, genuine=genuine)
    return Message(
        id=number,
        internet_id=f"<{number}@mail.test>",
        mid_hash=sha256(str(number).encode()).digest(),
        fingerprint=sha256(f"{sender} {at}".encode()).digest(),
        at=at,
        subject=subject,
        base_subject=subject.lower(),
        participants=tuple(Participant(address, role) for role, some in lists.items() for address in some),
        copies=(one,) if copies is None else tuple(copies),
        automated=automated,
    )


def person(
    external_id: str = "p1",
    *addresses: str,
    name: str = "Bea",
    organization: str | None = "o1",
    deleted: bool = False,
) -> Person:
    return Person(
        ItemRef("person", external_id),
        name,
        addresses or (BEA,),
        organization=ItemRef("organization", organization) if organization else None,
        organization_name="Acme" if organization else "",
        deleted=deleted,
    )


def item(
    name: str = "deal/d1",
    *,
    of: str | None = "p1",
    participants: Sequence[str] = (),
    title: str | None = None,
    state: str = "open",
    created_at: datetime = IN_FEBRUARY,
    updated_at: datetime | None = None,
    organization: str | None = None,
) -> Item:
    return Item(
        ref=ref(name),
        title=f"Title of {name}" if title is None else title,
        state=state,  # type: ignore[arg-type]  # parametrized tests pass the states as text
        created_at=created_at,
        updated_at=updated_at,
        person=ItemRef("person", of) if of else None,
        participants=tuple(ItemRef("person", one) for one in participants),
        organization=ItemRef("organization", organization) if organization else None,
    )


def link(name: str = "deal/d1", *, title: str = "Rollout") -> Link:
    return Link(1, ref(name), is_primary=True, origin="automatic", made_by=None, made_at=NINE, title=title)


def tombstone(name: str = "deal/d1", *, member: str = "Ada", at: datetime = NINE) -> Tombstone:
    return Tombstone(ref(name), member, at, title=f"Title of {name}")


def given(
    *messages: Message,
    persons: Sequence[Person] | None = None,
    items: Sequence[Item] | None = None,
    accounts: Sequence[Account] | None = None,
    links: Sequence[Link] = (),
    tombstones: Sequence[Tombstone] = (),
    policy: Policy | None = None,
    remembered: Sequence[RememberedChoice] = (),
    ours: Ours = OURS,
) -> DecisionInput:
    """Build what decide() sees; without arguments the usual conversation."""
    return DecisionInput(
        conversation=Conversation(
            id=1, messages=messages or (message(),), links=tuple(links), tombstones=tuple(tombstones)
        ),
        accounts=(account(),) if accounts is None else tuple(accounts),
        ours=ours,
        persons=(person(),) if persons is None else tuple(persons),
        items=(item(),) if items is None else tuple(items),
        policy=policy or Policy(),
        remembered=tuple(remembered),
    )
