"""An office in a test database: members, mailboxes and a CRM, and mail that goes through the real ingest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal

import pytest
import sqlalchemy as sa

from app import ingest, links, mirror, offers, undoing
from app.errors import RequestRefused
from app.links import Acting, Seen
from app.model import Account, AccountKind, Attachment, Conversation, Folder, ItemRef, Level, Member, ProviderMessage
from app.ports import ConnectedMailbox, CrmConnection
from app.store import accounts, conversations, crm, decisions, teams
from app.store.database import Database
from app.store.decisions import StoredDecision
from app.store.mirror import Changed
from app.testing.fake_crm import FakeCrm
from app.testing.fakes import MemoryCredentials, SteppedClock

ADA, CAN, DAN, EVE = (f"{name}@northwind.test" for name in ("ada", "can", "dan", "eve"))
BEA, TOM = "bea@acme.test", "tom@brightwater.test"
SOMEBODY = "somebody@else.test"
PROVEN_FALSE = ("Authentication-Results", "mx.google.com; dmarc=fail (p=REJECT) header.from=acme.test")


@dataclass
class Office:
    """One team. Mail comes at the clock's time; crm() is followed by refresh()."""

    database: Database
    team_id: int
    clock: SteppedClock = field(default_factory=SteppedClock)
    accounts: dict[str, Account] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        with self.database.for_team(self.team_id) as connection:
            teams.configure(connection, domains=["northwind.test"])
            connection_id = crm.add_connection(connection, self.team_id, "fake", "fake")
            row = crm.connection_row(connection, connection_id)
            assert row is not None
            self.connection: CrmConnection = crm.as_connection(row, MemoryCredentials({}))
        self.crm = FakeCrm(self.clock, connection_id=connection_id)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def member(self, email: str, role: Literal["admin", "member"] = "member") -> Member:
        """Add a member, or find one."""
        with self.database.for_team(self.team_id) as connection:
            teams.add_member(connection, self.team_id, email.partition("@")[0].title(), email, role)
            self.members |= {member.email: member for member in teams.members(connection)}
        return self.members[email]

    def mailbox(
        self,
        address: str,
        *,
        kind: AccountKind = "personal",
        collaborators: Sequence[str] = (),
        auto_link: bool = True,
        visibility: Level = "full",
    ) -> Account:
        """Connect a mailbox; a personal one is its member's."""
        owner = self.member(address).id if kind == "personal" else None
        helpers = [self.member(email).id for email in collaborators]
        with self.database.for_team(self.team_id) as connection:
            account_id = accounts.add(
                connection,
                self.team_id,
                "gmail",
                kind,
                ConnectedMailbox(address, f"user {address}", address, {}),
                owner_id=owner,
                auto_link=auto_link,
                history_from=None,
                now=self.now,
                collaborators=helpers,
                visibility=visibility,
            )
            self.accounts[address] = accounts.account(connection, account_id)
        return self.accounts[address]

    def person(self, external_id: str, name: str, *addresses: str, organization: str | None = None) -> None:
        """Put a person into the CRM."""
        self.crm.put_person(external_id, name, addresses, organization)

    def deal(self, external_id: str, title: str, person: str, **fields: Any) -> ItemRef:
        """Put a deal into the CRM that is older than all mail."""
        return self.item("deal", external_id, title, person, **fields)

    def item(self, kind: Any, external_id: str, title: str, person: str, **fields: Any) -> ItemRef:
        """Put an item into the CRM that is older than all mail."""
        fields = {"created_at": self.now - timedelta(days=30), **fields}
        self.crm.put_item(kind, external_id, title, person=person, **fields)
        return self.ref(kind, external_id)

    def ref(self, kind: Any, external_id: str) -> ItemRef:
        """Name a record of the CRM."""
        return ItemRef(kind, external_id, self.connection.id)

    def refresh(self) -> None:
        """Bring the mirror up to date; links follow, as they do in the worker."""

        def follow(connection: sa.Connection, changed: Changed) -> None:
            links.follow_items(connection, self.team_id, changed, self.now)
            offers.make(connection, self.team_id, changed, self.now)

        mirror.refresh(self.database, self.crm, self.connection, self.clock, follow=follow)

    def mail(
        self,
        key: str,
        sender: str,
        to: str | Sequence[str],
        *,
        at: Sequence[str] = (ADA,),
        subject: str = "Prices",
        answers: str | None = None,
        refers: Sequence[str] = (),
        cc: str = "",
        bcc: str = "",
        headers: Sequence[tuple[str, str]] = (),
        text: str = "",
        attachments: Sequence[Attachment] = (),
    ) -> int:
        """Let the mailboxes `at` receive a mail, a minute after the last; return its conversation.

        `key` makes its Message-ID. Who sends from an own mailbox has it in Sent.
        """
        self.clock.step(minutes=1)
        people = [("To", to if isinstance(to, str) else ", ".join(to)), ("Cc", cc)]
        lines = [("From", sender), *people, ("Subject", subject), ("Message-ID", f"<{key}@x.test>")]
        lines += [("Date", f"{self.now:%a, %d %b %Y %H:%M:%S} +0000")]
        lines += [("In-Reply-To", f"<{answers}@x.test>")] if answers else []
        lines += [("References", " ".join(f"<{each}@x.test>" for each in refers))] if refers else []
        for address in at:
            with self.database.for_team(self.team_id) as connection:
                self._ingest(connection, address, key, sender, (*headers, *lines), bcc, text, attachments)
        return self.conversation_of(key)

    @contextmanager
    def receiving(
        self, key: str, sender: str, to: str, *, subject: str = "Prices", answers: str = ""
    ) -> Iterator[None]:
        """Have a mail read by the mailbox `to`, and not committed before the end of the block."""
        self.clock.step(minutes=1)
        headers = [("From", sender), ("To", to), ("Subject", subject), ("Message-ID", f"<{key}@x.test>")]
        headers += [("In-Reply-To", f"<{answers}@x.test>")] if answers else []
        with self.database.for_team(self.team_id) as connection:
            self._ingest(connection, to, key, sender, headers)
            yield

    def _ingest(
        self,
        connection: sa.Connection,
        address: str,
        key: str,
        sender: str,
        headers: Sequence[tuple[str, str]],
        bcc: str = "",
        text: str = "",
        attachments: Sequence[Attachment] = (),
    ) -> None:
        folder: Folder = "sent" if address == sender else "inbox"
        hidden = [("Bcc", bcc)] if folder == "sent" else []
        number = next(self._numbers)
        ingest.ingest(
            connection,
            self.accounts[address],
            [
                ProviderMessage(
                    f"m{number}",
                    f"t{number}",
                    self.now,
                    folder,
                    tuple((name, value) for name, value in (*headers, *hidden) if value),
                    text=text or f"Text of {key}.",
                    snippet=f"Text of {key}.",
                    attachments=tuple(attachments),
                )
            ],
            authserv_id="mx.google.com",
            now=self.now,
            retention=timedelta(days=365),
        )

    # --- looking ---

    def conversation_of(self, key: str) -> int:
        """Return the conversation a mail is in."""
        with self.database.for_team(self.team_id) as connection:
            return conversations.by_internet_id(connection, [f"<{key}@x.test>"])[f"<{key}@x.test>"]

    def load(self, conversation_id: int) -> Conversation:
        """Return a conversation."""
        with self.database.for_team(self.team_id) as connection:
            (found,) = conversations.load(connection, [conversation_id])
        return found

    def linked(self, conversation_id: int) -> str | None:
        """Return what a conversation is linked to, as deal/d1."""
        primary = self.load(conversation_id).primary_link
        return str(primary.ref) if primary else None

    def is_dismissed(self, conversation_id: int) -> bool:
        """Say whether a conversation was dismissed and has no new candidate."""
        with self.database.for_team(self.team_id) as connection:
            return conversation_id in links.dismissed(connection, [self.load(conversation_id)])

    def tombstones(self, conversation_id: int) -> list[str]:
        """Return what was taken off a conversation, as deal/d1."""
        return [str(tombstone.ref) for tombstone in self.load(conversation_id).tombstones]

    def decision(self, conversation_id: int) -> StoredDecision:
        """Return the current decision on a conversation."""
        with self.database.for_team(self.team_id) as connection:
            return decisions.current(connection, [conversation_id])[conversation_id]

    def wanted(self, conversation_id: int) -> dict[str, int]:
        """Return, for each item, how often the note of a conversation was asked for."""
        with self.database.for_team(self.team_id) as connection:
            return {str(note.ref): note.wanted for note in crm.notes_of(connection, [conversation_id])}

    def trail(self, conversation_id: int) -> list[tuple[str, int | None]]:
        """Return the audit trail of a conversation: (action, member), oldest first."""
        return [
            (row.action, row.member_id)
            for row in self.rows(
                "SELECT action, member_id FROM audit WHERE conversation_id = :id ORDER BY id", id=conversation_id
            )
        ]

    def rows(self, query: str, **params: Any) -> Sequence[sa.Row[Any]]:
        """Read from the team's tables."""
        with self.database.for_team(self.team_id) as connection:
            return connection.execute(sa.text(query), params).all()

    # --- acting ---

    def acting(self, email: str) -> Acting:
        """Return who acts now, for one action."""
        self.clock.step(seconds=1)
        return Acting(self.team_id, self.members[email], self.now)

    def link(self, email: str, conversation_id: int, ref: ItemRef, *, move: bool = False) -> str:
        """Link as a member; return the id of the action."""
        acting = self.acting(email)
        with self.database.for_team(self.team_id) as connection:
            links.link(connection, acting, conversation_id, ref, move=move)
        return acting.batch_id

    def unlink(self, email: str, conversation_id: int) -> str:
        """Unlink as a member; return the id of the action."""
        acting = self.acting(email)
        with self.database.for_team(self.team_id) as connection:
            links.unlink(connection, acting, conversation_id)
        return acting.batch_id

    def dismiss(self, email: str, conversation_id: int) -> str:
        """Dismiss as a member; return the id of the action."""
        acting = self.acting(email)
        with self.database.for_team(self.team_id) as connection:
            links.dismiss(connection, acting, conversation_id)
        return acting.batch_id

    def share(self, email: str, conversation_id: int, level: Level | None) -> str:
        """Set the visibility as a member; return the id of the action."""
        acting = self.acting(email)
        with self.database.for_team(self.team_id) as connection:
            links.set_visibility(connection, acting, conversation_id, level)
        return acting.batch_id

    def undo(self, email: str, batch_id: str) -> list[int]:
        """Take an action back as a member."""
        with self.database.for_team(self.team_id) as connection:
            return undoing.undo(connection, self.acting(email), batch_id)

    def undo_merge(self, email: str, conversation_id: int, merge_id: int) -> int:
        """Take a merge back as a member; return the conversation that is there again."""
        with self.database.for_team(self.team_id) as connection:
            return undoing.undo_merge(connection, self.acting(email), conversation_id, merge_id)

    def trust(self, email: str, conversation_id: int) -> int:
        """Say as a member that the sender is genuine; return the conversation the mail is in now."""
        with self.database.for_team(self.team_id) as connection:
            return links.trust_sender(connection, self.acting(email), conversation_id)

    def seen(self, connection: sa.Connection, email: str, conversation_id: int) -> Seen:
        """Return a conversation as a member sees it."""
        return links.see(connection, self.members[email], [conversation_id])[conversation_id]


def northwind(database: Database, team: Callable[..., int]) -> Office:
    """Ada and Can have mailboxes; Dan is an administrator without one. Bea has one open deal, Tom two."""
    made = Office(database, team("Northwind"))
    made.mailbox(ADA)
    made.mailbox(CAN)
    made.member(DAN, "admin")
    made.person("p1", "Bea", BEA)
    made.person("p2", "Tom", TOM)
    made.deal("d1", "Rollout", "p1")
    made.deal("d2", "Refit", "p2")
    made.deal("d3", "Spa", "p2")
    made.refresh()
    return made


def refused(act: Callable[[], object]) -> tuple[type[RequestRefused], str]:
    """Do what is refused; return the class of the refusal and its reason."""
    with pytest.raises(RequestRefused) as caught:
        act()
    return type(caught.value), caught.value.reason
