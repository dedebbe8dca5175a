"""CRM connections, and the notes we owe them: one crm_write row for each conversation and item."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.errors import NotFound
from app.model import ITEM_KINDS, ItemRef
from app.ports import Credentials, CrmConnection
from app.store import schema
from app.store.rows import insert_rows

MAX_ID_CHARS = 200


@dataclass(frozen=True, slots=True)
class CrmWrite:
    """A note we owe the CRM. It is up to date when `written` has reached `wanted`."""

    id: int
    conversation_id: int
    ref: ItemRef
    marker: str
    state: str
    wanted: int
    written: int
    content_digest: bytes | None
    written_id: str | None
    written_at: datetime | None
    attempts: int
    writes: int = 0  # calls that changed the CRM for this note, and calls that only asked
    reads: int = 0
    error: str = ""


# --- connections ---


def connections(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Return the team's CRM connections, oldest first."""
    return list(connection.execute(sa.text("SELECT * FROM crm_connection ORDER BY id")))


@dataclass(frozen=True, slots=True)
class Standing:
    """How the team's CRM is doing: `state` as set_state() writes it, how old the mirror is, until when it rests."""

    adapter: str
    state: str
    state_reason: str
    throttled_until: datetime | None
    refreshed_at: datetime | None


def standing(connection: sa.Connection) -> Standing | None:
    """Return how the CRM is doing that the team works with now; None when none is connected."""
    row = connection.execute(
        sa.text(
            """
            SELECT c.adapter, c.state, c.state_reason, c.throttled_until, m.refreshed_at FROM crm_connection c
            LEFT JOIN mirror_cursor m ON (m.team_id, m.connection_id) = (c.team_id, c.id)
            WHERE c.state <> 'disconnected' ORDER BY c.id DESC LIMIT 1
            """
        )
    ).one_or_none()
    return Standing(*row) if row else None


def item_ref(connection: sa.Connection, kind: str, external_id: str, kinds: Collection[str] = ITEM_KINDS) -> ItemRef:
    """Name an item of the team's CRM: of the connected one, or of the last one while none is connected.

    `kinds` lets other records be named. Raises NotFound (item_unknown) for what none can be called, and when the team
    never had a CRM.
    """
    found = connection.execute(
        sa.text("SELECT id FROM crm_connection ORDER BY state = 'disconnected', id DESC LIMIT 1")
    ).scalar()
    is_id = 0 < len(external_id) <= MAX_ID_CHARS and external_id.isprintable()
    if found is None or kind not in kinds or not is_id:
        raise NotFound("item_unknown", item=f"{kind}/{external_id}" if is_id and kind in kinds else "")
    return ItemRef(kind, external_id, found)  # type: ignore[arg-type]  # one of `kinds`


def connection_row(connection: sa.Connection, connection_id: int) -> sa.Row[Any] | None:
    """Return one CRM connection of the team."""
    return connection.execute(
        sa.text("SELECT * FROM crm_connection WHERE id = :id"), {"id": connection_id}
    ).one_or_none()


def connection_of_company(connection: sa.Connection, adapter: str, company: str) -> int | None:
    """Return the team's connection to this company's CRM, unless it was ended."""
    return connection.execute(
        sa.text(
            "SELECT id FROM crm_connection WHERE adapter = :adapter AND company = :company AND state <> 'disconnected'"
            " ORDER BY id LIMIT 1"
        ),
        {"adapter": adapter, "company": company},
    ).scalar()


def address_of_user(connection: sa.Connection, connection_id: int, company: str, user_id: str) -> str:
    """Return the address of one of the CRM's own users; "" for one that is not known."""
    found = connection.execute(
        sa.text(
            "SELECT email FROM crm_user"
            " WHERE connection_id = :connection AND company = :company AND external_id = :user"
        ),
        {"connection": connection_id, "company": company, "user": user_id},
    ).scalar()
    return str(found or "")


def add_connection(
    connection: sa.Connection, team_id: int, adapter: str, company: str, settings: Mapping[str, Any] | None = None
) -> int:
    """Add a CRM connection and return its id."""
    rows = insert_rows(
        connection,
        schema.crm_connection,
        [{"team_id": team_id, "adapter": adapter, "company": company, "settings": dict(settings or {})}],
        returning=["id"],
    )
    return int(rows[0].id)


def set_state(connection: sa.Connection, connection_id: int, state: str, reason: str) -> None:
    """Record whether the CRM answers: `live`, or `trouble` with the class of its last error."""
    connection.execute(
        sa.text(
            """
            UPDATE crm_connection SET state = :state, state_reason = :reason
            WHERE id = :id AND (state, state_reason) <> (:state, :reason)
            """
        ),
        {"id": connection_id, "state": state, "reason": reason},
    )


def as_connection(row: sa.Row[Any], credentials: Credentials) -> CrmConnection:
    """Make what an adapter is opened with."""
    return CrmConnection(
        id=row.id,
        team_id=row.team_id,
        public_id=str(row.public_id),
        adapter=row.adapter,
        company=row.company,
        credentials=credentials,
        settings=row.settings,
    )


# --- notes we owe ---


def want_notes(connection: sa.Connection, team_id: int, wanted: Collection[tuple[int, ItemRef]]) -> list[int]:
    """Ask for these notes to be looked at (written, brought up to date or removed); return the crm_write ids."""
    if not wanted:
        return []
    rows = insert_rows(
        connection,
        schema.crm_write,
        [
            {
                "team_id": team_id,
                "conversation_id": conversation_id,
                "crm_connection_id": ref.connection_id,
                "kind": ref.kind,
                "external_id": ref.external_id,
            }
            for conversation_id, ref in sorted(wanted, key=lambda pair: (pair[0], str(pair[1])))
        ],
        returning=["id"],
        on_conflict=(
            "(team_id, conversation_id, crm_connection_id, kind, external_id)"
            " DO UPDATE SET wanted = crm_write.wanted + 1, state = CASE crm_write.state"
            # What was parked may have been written all the same: it is looked for first, like an open intent.
            " WHEN 'intended' THEN 'intended' WHEN 'parked' THEN 'intended' ELSE 'wanted' END,"
            " attempts = 0, next_at = NULL, error = ''"
        ),
    )
    return [row.id for row in rows]


def want_notes_of_account(connection: sa.Connection, account_id: int) -> None:
    """Ask for the notes of every linked conversation that an account has a copy of; the schedule enqueues them."""
    connection.execute(
        sa.text(
            """
            UPDATE crm_write w SET wanted = w.wanted + 1, attempts = 0, next_at = NULL, error = '',
              state = CASE WHEN w.state IN ('intended', 'parked') THEN 'intended' ELSE 'wanted' END
            FROM link l
            WHERE l.team_id = w.team_id AND l.conversation_id = w.conversation_id AND l.is_primary
              AND l.removed_at IS NULL AND l.crm_connection_id = w.crm_connection_id AND l.kind = w.kind
              AND l.external_id = w.external_id
              AND EXISTS (SELECT FROM message m JOIN message_copy c ON c.team_id = m.team_id AND c.message_id = m.id
                          WHERE m.team_id = w.team_id AND m.conversation_id = w.conversation_id
                            AND c.account_id = :account_id)
            """
        ),
        {"account_id": account_id},
    )


def job(team_id: int, write_id: int) -> tuple[dict[str, int], str]:
    """Return the job that looks after a note, with its lock: one writes at a time."""
    return {"team_id": team_id, "write_id": write_id}, f"crm_write:{write_id}"


def notes_of(connection: sa.Connection, conversation_ids: Sequence[int]) -> list[CrmWrite]:
    """Return every note row of these conversations, oldest first."""
    rows = connection.execute(
        sa.text("SELECT * FROM crm_write WHERE conversation_id = ANY(:ids) ORDER BY id"),
        {"ids": list(conversation_ids)},
    )
    return [_write(row) for row in rows]


def lock_note(connection: sa.Connection, write_id: int) -> CrmWrite | None:
    """Return the note row with its row lock held until the transaction ends."""
    row = connection.execute(
        sa.text("SELECT * FROM crm_write WHERE id = :id FOR UPDATE"), {"id": write_id}
    ).one_or_none()
    return _write(row) if row else None


def intend(connection: sa.Connection, write_id: int) -> None:
    """Record that the CRM is about to be written to: after a crash the note is looked for before it is written."""
    connection.execute(
        sa.text("UPDATE crm_write SET state = 'intended', attempts = attempts + 1 WHERE id = :id"), {"id": write_id}
    )


def settle(
    connection: sa.Connection,
    write_id: int,
    *,
    state: str,
    answered: int,
    at: datetime,
    written_id: str | None,
    digest: bytes | None,
    writes: int,
    reads: int,
) -> bool:
    """Record what the CRM now holds; return whether it was asked for again meanwhile."""
    row = connection.execute(
        sa.text(
            """
            UPDATE crm_write SET state = CASE WHEN wanted > :answered THEN 'wanted' ELSE :state END,
              written = :answered, written_at = :at, written_id = :written_id, content_digest = :digest,
              writes = writes + :writes, reads = reads + :reads, attempts = 0, next_at = NULL, error = ''
            WHERE id = :id RETURNING wanted > :answered AS again
            """
        ),
        {
            "id": write_id,
            "state": state,
            "answered": answered,
            "at": at,
            "written_id": written_id,
            "digest": digest,
            "writes": writes,
            "reads": reads,
        },
    ).one()
    return bool(row.again)


def postpone(connection: sa.Connection, write_id: int, *, until: datetime | None, error: str, parked: bool) -> None:
    """Record that the CRM was not written to: try again at `until`, or parked for a person to look at."""
    connection.execute(
        sa.text(
            """
            UPDATE crm_write SET next_at = :until, error = :error,
              state = CASE WHEN :parked THEN 'parked' ELSE state END
            WHERE id = :id
            """
        ),
        {"id": write_id, "until": until, "error": error, "parked": parked},
    )


def _write(row: sa.Row[Any]) -> CrmWrite:
    return CrmWrite(
        id=row.id,
        conversation_id=row.conversation_id,
        ref=ItemRef(row.kind, row.external_id, row.crm_connection_id),
        marker=str(row.marker),
        state=row.state,
        wanted=row.wanted,
        written=row.written,
        content_digest=bytes(row.content_digest) if row.content_digest is not None else None,
        written_id=row.written_id,
        written_at=row.written_at,
        attempts=row.attempts,
        writes=row.writes,
        reads=row.reads,
        error=row.error,
    )
