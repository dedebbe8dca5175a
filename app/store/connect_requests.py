"""One-time links that connect a mailbox: made on the command line or a page, bound to the browser that opens them.

Tokens, states and browser cookies are stored as hashes only. What an authorization needs until the browser comes back
(`kept`) is sealed by the caller.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.model import AccountKind, Level


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """A link that was handed out: for whom, for what, and what it has come to."""

    id: int
    member_id: int
    provider: str
    kind: AccountKind
    address: str
    collaborators: tuple[int, ...]
    auto_link: bool
    history_from: datetime | None
    visibility: Level
    kept: bytes | None


_COLUMNS = "id, member_id, provider, kind, address, collaborators, auto_link, history_from, visibility, kept"
_USABLE = "used_at IS NULL AND expires_at > :now"


def add(
    connection: sa.Connection,
    team_id: int,
    *,
    token_hash: bytes,
    member_id: int,
    provider: str,
    kind: AccountKind,
    address: str,
    collaborators: Collection[int],
    history_from: datetime | None,
    expires_at: datetime,
    visibility: Level = "full",
) -> int:
    """Store a link that is about to be handed out, and return its id."""
    request_id: int = connection.execute(
        sa.text(
            """
            INSERT INTO connect_request (team_id, token_hash, member_id, provider, kind, address, collaborators,
                                         history_from, expires_at, visibility)
            VALUES (:team_id, :token_hash, :member_id, :provider, :kind, :address, CAST(:collaborators AS bigint[]),
                    :history_from, :expires_at, :visibility)
            RETURNING id
            """
        ),
        {
            "team_id": team_id,
            "token_hash": token_hash,
            "member_id": member_id,
            "provider": provider,
            "kind": kind,
            "address": address,
            "collaborators": sorted(collaborators),
            "history_from": history_from,
            "expires_at": expires_at,
            "visibility": visibility,
        },
    ).scalar_one()
    return request_id


def usable(connection: sa.Connection, token_hash: bytes, now: datetime) -> ConnectRequest | None:
    """Return the link with this token while it is neither used nor expired."""
    return _request(
        connection,
        f"SELECT {_COLUMNS} FROM connect_request WHERE token_hash = :token_hash AND {_USABLE}",
        {"token_hash": token_hash, "now": now},
    )


def start(
    connection: sa.Connection,
    request_id: int,
    *,
    browser_hash: bytes,
    state_hash: bytes,
    kept: bytes,
    auto_link: bool,
    now: datetime,
) -> bool:
    """Bind the link to a browser and remember the consent that starts; False for another browser than before."""
    return (
        connection.execute(
            sa.text(
                f"""
                UPDATE connect_request
                SET browser_hash = :browser_hash, state_hash = :state_hash, kept = :kept, auto_link = :auto_link
                WHERE id = :id AND {_USABLE} AND (browser_hash IS NULL OR browser_hash = :browser_hash)
                """
            ),
            {
                "id": request_id,
                "browser_hash": browser_hash,
                "state_hash": state_hash,
                "kept": kept,
                "auto_link": auto_link,
                "now": now,
            },
        ).rowcount
        > 0
    )


def take(
    connection: sa.Connection, *, provider: str, state_hash: bytes, browser_hashes: Collection[bytes], now: datetime
) -> ConnectRequest | None:
    """Use up a state: only once, only for the provider and the browser it was made for, by one of its cookies."""
    return _request(
        connection,
        f"""
        UPDATE connect_request SET state_hash = NULL
        WHERE state_hash = :state_hash AND browser_hash = ANY(:browser_hashes) AND provider = :provider AND {_USABLE}
        RETURNING {_COLUMNS}
        """,
        {"state_hash": state_hash, "browser_hashes": list(browser_hashes), "provider": provider, "now": now},
    )


def wait_for_confirmation(connection: sa.Connection, request_id: int, *, state_hash: bytes, kept: bytes) -> None:
    """Keep a mailbox whose owner consented until the browser says that it is the one that was meant."""
    connection.execute(
        sa.text("UPDATE connect_request SET state_hash = :state_hash, kept = :kept WHERE id = :id"),
        {"id": request_id, "state_hash": state_hash, "kept": kept},
    )


def finish(connection: sa.Connection, request_id: int, now: datetime) -> None:
    """Mark the link as used and forget what was kept for it."""
    connection.execute(
        sa.text("UPDATE connect_request SET used_at = :now, kept = NULL, state_hash = NULL WHERE id = :id"),
        {"id": request_id, "now": now},
    )


def _request(connection: sa.Connection, sql: str, parameters: dict[str, Any]) -> ConnectRequest | None:
    row = connection.execute(sa.text(sql), parameters).one_or_none()
    if row is None:
        return None
    return ConnectRequest(
        id=row.id,
        member_id=row.member_id,
        provider=row.provider,
        kind=row.kind,
        address=row.address,
        collaborators=tuple(row.collaborators),
        auto_link=row.auto_link,
        history_from=row.history_from,
        visibility=row.visibility,
        kept=row.kept,
    )
