"""How a team's CRM connections are doing: when they may be asked, what their webhooks named, who works there."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from app.linking.addresses import normalize
from app.linking.text import is_storable, one_line
from app.model import ItemRef, RecordKind
from app.ports import CrmConnection, CrmEvent, CrmUser, Merge
from app.store import schema
from app.store.rows import insert_rows

DISCONNECTED = "disconnected"
EVENTS_KEPT = timedelta(days=1)  # longer than any CRM goes on sending one event again
MAX_ID_CHARS = 200


@dataclass(frozen=True, slots=True)
class Breaker:
    """Whether a CRM may be asked now, and how often it failed since it last answered."""

    throttled_until: datetime | None
    failures: int
    state: str
    state_reason: str = ""  # the class of the error that it failed with last


@dataclass(frozen=True, slots=True)
class Named:
    """What webhooks named and was not read again yet; `up_to` says which naming that was."""

    records: tuple[ItemRef, ...]
    merges: tuple[Merge, ...]
    up_to: int


@dataclass(frozen=True, slots=True)
class Owed:
    """Notes that wait for a CRM, when the next of them is tried, and how many were given up for each class of error."""

    waiting: int
    next_at: datetime | None
    parked: Mapping[str, int]


# --- may it be asked ---


def breaker(connection: sa.Connection, connection_id: int) -> Breaker:
    """Return whether a CRM may be asked; one that is gone is disconnected."""
    row = connection.execute(
        sa.text("SELECT throttled_until, failures, state, state_reason FROM crm_connection WHERE id = :id"),
        {"id": connection_id},
    ).one_or_none()
    return Breaker(*row) if row else Breaker(None, 0, DISCONNECTED)


def failed(connection: sa.Connection, connection_id: int, reason: str, until: datetime | None) -> None:
    """Record that a CRM did not do what was asked, and until when it is left alone."""
    connection.execute(
        sa.text(
            """
            UPDATE crm_connection SET state = 'trouble', state_reason = :reason, failures = failures + 1,
              throttled_until = greatest(throttled_until, :until)
            WHERE id = :id AND state <> 'disconnected'
            """
        ),
        {"id": connection_id, "reason": reason, "until": until},
    )


def answered(connection: sa.Connection, connection_id: int) -> None:
    """Record that a CRM answers again."""
    connection.execute(
        sa.text(
            """
            UPDATE crm_connection SET state = 'live', state_reason = '', failures = 0, throttled_until = NULL
            WHERE id = :id AND state <> 'disconnected'
            """
        ),
        {"id": connection_id},
    )


# --- connecting ---


def of_company(connection: sa.Connection, adapter: str, company: str) -> sa.Row[Any] | None:
    """Return the team's connection to this company's CRM, whatever its state."""
    return connection.execute(
        sa.text("SELECT * FROM crm_connection WHERE adapter = :adapter AND company = :company ORDER BY id LIMIT 1"),
        {"adapter": adapter, "company": company},
    ).one_or_none()


def connect_again(connection: sa.Connection, connection_id: int, settings: Mapping[str, Any]) -> list[int]:
    """Make a connection live again; return the notes that were given up meanwhile and are owed once more."""
    connection.execute(
        sa.text(
            """
            UPDATE crm_connection SET state = 'live', state_reason = '', failures = 0, throttled_until = NULL,
              subscribed_at = NULL, settings = CAST(:settings AS jsonb)
            WHERE id = :id
            """
        ),
        {"id": connection_id, "settings": json.dumps(dict(settings))},
    )
    return retry_parked(connection, connection_id)


def retry_parked(connection: sa.Connection, connection_id: int) -> list[int]:
    """Owe the notes that were given up once more; return their ids."""
    rows = connection.execute(
        sa.text(
            """
            UPDATE crm_write SET state = 'intended', attempts = 0, next_at = NULL, error = ''
            WHERE crm_connection_id = :id AND state = 'parked' RETURNING id
            """
        ),
        {"id": connection_id},
    )
    return sorted(rows.scalars())


def disconnect(connection: sa.Connection, connection_id: int, reason: str) -> bool:
    """End a connection and forget its secrets; its links and its mirror stay. False when it was ended before."""
    return (
        connection.execute(
            sa.text(
                """
                UPDATE crm_connection SET state = 'disconnected', state_reason = :reason, ciphertext = NULL,
                  subscribed_at = NULL
                WHERE id = :id AND state <> 'disconnected'
                """
            ),
            {"id": connection_id, "reason": reason},
        ).rowcount
        > 0
    )


def owed(connection: sa.Connection, connection_id: int) -> Owed:
    """Return what is owed to a CRM: notes that wait, and those that were given up, by the error they met."""
    rows = connection.execute(
        sa.text(
            """
            SELECT state = 'parked' AS is_parked, CASE WHEN state = 'parked' THEN error ELSE '' END AS error,
                   count(*) AS n, min(coalesce(next_at, created_at)) AS since
            FROM crm_write WHERE crm_connection_id = :id AND state IN ('wanted', 'intended', 'parked')
            GROUP BY 1, 2 ORDER BY 2
            """
        ),
        {"id": connection_id},
    ).all()
    waiting = [row for row in rows if not row.is_parked]
    parked = {row.error: row.n for row in rows if row.is_parked}
    return Owed(sum(row.n for row in waiting), min((row.since for row in waiting), default=None), parked)


def subscribed(connection: sa.Connection, connection_id: int, at: datetime) -> None:
    """Record that the CRM's webhooks were looked after."""
    connection.execute(
        sa.text("UPDATE crm_connection SET subscribed_at = :at WHERE id = :id"), {"id": connection_id, "at": at}
    )


# --- what webhooks named ---


def hint(connection: sa.Connection, team_id: int, connection_id: int, events: Sequence[CrmEvent], at: datetime) -> bool:
    """Store what events named; return whether a refresh has to be enqueued: none waits, and some event is new."""
    new = _new_events(connection, team_id, connection_id, events, at)
    if not new:
        return False
    named = {(ref.kind, ref.external_id, "") for event in new for ref in event.records}
    merges = [merge for event in new for merge in event.merges]
    named |= {(merge.gone.kind, merge.gone.external_id, str(merge.into)) for merge in merges}
    named |= {(merge.into.kind, merge.into.external_id, "") for merge in merges}
    connection.execute(
        sa.text(
            """
            INSERT INTO crm_hint (team_id, connection_id, kind, external_id, merged_into)
            SELECT :team_id, :connection_id, r.kind, r.external_id, r.merged_into
            FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (kind text, external_id text, merged_into text)
            ON CONFLICT (team_id, connection_id, kind, external_id, merged_into) DO UPDATE SET generation = DEFAULT
            """
        ),
        {
            "team_id": team_id,
            "connection_id": connection_id,
            "rows": json.dumps(
                [
                    {"kind": kind, "external_id": external_id, "merged_into": into}
                    for kind, external_id, into in sorted(named)
                    if _is_id(external_id) and _is_id(into or "-")
                ]
            ),
        },
    )
    return bool(
        connection.execute(
            sa.text(
                """
                INSERT INTO mirror_cursor (team_id, connection_id, queued) VALUES (:team_id, :connection_id, true)
                ON CONFLICT (team_id, connection_id) DO UPDATE SET queued = true WHERE NOT mirror_cursor.queued
                RETURNING true
                """
            ),
            {"team_id": team_id, "connection_id": connection_id},
        ).scalar()
    )


def take(connection: sa.Connection, connection_id: int) -> None:
    """Begin a refresh: what webhooks name from now on enqueues another. Commit at once, webhooks wait for this row."""
    connection.execute(
        sa.text("UPDATE mirror_cursor SET queued = false WHERE connection_id = :id AND queued"), {"id": connection_id}
    )


def named(connection: sa.Connection, connection_id: int, limit: int) -> Named:
    """Return what webhooks named, the earliest first, at most `limit` of it."""
    rows = connection.execute(
        sa.text("SELECT * FROM crm_hint WHERE connection_id = :id ORDER BY generation LIMIT :limit"),
        {"id": connection_id, "limit": limit},
    ).all()
    refs = {ItemRef(row.kind, row.external_id, connection_id): None for row in rows}
    merges = [
        Merge(ItemRef(row.kind, row.external_id, connection_id), _ref(row.merged_into, connection_id))
        for row in rows
        if row.merged_into
    ]
    return Named(tuple(refs), tuple(merges), max((row.generation for row in rows), default=0))


def read_again(connection: sa.Connection, connection_id: int, up_to: int) -> None:
    """Forget what was named up to a moment: it was read since."""
    connection.execute(
        sa.text("DELETE FROM crm_hint WHERE connection_id = :id AND generation <= :up_to"),
        {"id": connection_id, "up_to": up_to},
    )


def _new_events(
    connection: sa.Connection, team_id: int, connection_id: int, events: Sequence[CrmEvent], at: datetime
) -> list[CrmEvent]:
    """Return the events that were not met before; one without a name counts as new."""
    named = sorted({event.event_id for event in events if event.event_id and is_storable(event.event_id)})
    rows = insert_rows(
        connection,
        schema.crm_event,
        [
            {"team_id": team_id, "connection_id": connection_id, "event_id": event_id[:MAX_ID_CHARS], "at": at}
            for event_id in named
        ],
        returning=["event_id"],
        on_conflict="DO NOTHING",
    )
    fresh = {row.event_id for row in rows}
    return [event for event in events if not event.event_id or event.event_id[:MAX_ID_CHARS] in fresh]


def forget_events(connection: sa.Connection, connection_id: int, now: datetime) -> None:
    """Forget events that nobody sends again."""
    connection.execute(
        sa.text("DELETE FROM crm_event WHERE connection_id = :id AND at < :before"),
        {"id": connection_id, "before": now - EVENTS_KEPT},
    )


def _is_id(text: str) -> bool:
    return 0 < len(text) <= MAX_ID_CHARS and is_storable(text)


def _ref(text: str, connection_id: int) -> ItemRef:
    kind, _, external_id = text.partition("/")
    return ItemRef(cast("RecordKind", kind), external_id, connection_id)


# --- who works there ---


def write_users(connection: sa.Connection, crm: CrmConnection, users: Collection[CrmUser], at: datetime) -> None:
    """Replace who works in the CRM; people who left see nothing there any more."""
    connection.execute(sa.text("DELETE FROM crm_user WHERE connection_id = :id"), {"id": crm.id})
    unique = {user.user_id: user for user in users if user.is_active and _is_id(user.user_id)}
    insert_rows(
        connection,
        schema.crm_user,
        [
            {
                "team_id": crm.team_id,
                "connection_id": crm.id,
                "company": crm.company,
                "external_id": user.user_id,
                "name": one_line(user.name, MAX_ID_CHARS),
                "email": normalize(user.email) or "",
                "sees_everything": user.sees_everything,
            }
            for user in unique.values()
        ],
    )
    insert_rows(
        connection,
        schema.mirror_cursor,
        [{"team_id": crm.team_id, "connection_id": crm.id, "users_at": at}],
        on_conflict="(team_id, connection_id) DO UPDATE SET users_at = excluded.users_at",
    )


# --- addresses nobody there has ---


def not_asked(connection: sa.Connection, crm: CrmConnection, addresses: Collection[str], since: datetime) -> list[str]:
    """Return those of the addresses that no person of the mirror has and that were not asked about since then."""
    return list(
        connection.execute(
            sa.text(
                """
                SELECT a FROM unnest(CAST(:addresses AS text[])) AS a
                WHERE NOT EXISTS (SELECT FROM mirror_address m WHERE m.connection_id = :id AND m.company = :company
                                  AND m.address = a)
                  AND NOT EXISTS (SELECT FROM mirror_unknown u WHERE u.connection_id = :id AND u.company = :company
                                  AND u.address = a AND u.asked_at > :since)
                ORDER BY a
                """
            ),
            {"addresses": sorted(addresses), "id": crm.id, "company": crm.company, "since": since},
        ).scalars()
    )


def asked(connection: sa.Connection, crm: CrmConnection, addresses: Collection[str], at: datetime) -> None:
    """Remember that the CRM knew nobody with these addresses."""
    insert_rows(
        connection,
        schema.mirror_unknown,
        [
            {
                "team_id": crm.team_id,
                "connection_id": crm.id,
                "company": crm.company,
                "address": address,
                "asked_at": at,
            }
            for address in sorted(addresses)
        ],
        on_conflict="(team_id, connection_id, company, address) DO UPDATE SET asked_at = excluded.asked_at",
    )
