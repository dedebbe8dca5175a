"""Rows of Smart BCC: addresses as hashes, received mail, the other addresses a member sends from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.model import ItemRef


@dataclass(frozen=True, slots=True)
class AddressRow:
    """An address: of a member (None: the team's), for an item (None: any)."""

    id: int
    member_id: int | None
    item: ItemRef | None
    slug: str
    version: int


@dataclass(frozen=True, slots=True)
class MemberAddress:
    """Another address a member sends from."""

    address: str
    asked_at: datetime | None
    verified_at: datetime | None
    unsigned: bool


@dataclass(frozen=True, slots=True)
class HeldMail:
    """Mail that waits for somebody to say what it is."""

    id: int
    public_id: str
    account_id: int
    provider_id: str
    why: str
    sender: str
    subject: str
    received_at: datetime


_ADDRESS = "SELECT id, member_id, connection_id, kind, external_id, slug, version FROM smart_bcc_address"
_PURPOSE = """
    member_id IS NOT DISTINCT FROM CAST(:member AS bigint) AND kind = :kind AND external_id = :external_id
    AND connection_id IS NOT DISTINCT FROM CAST(:connection AS bigint)
"""


# --- addresses ---


def address_by_hash(connection: sa.Connection, token_hash: bytes) -> tuple[int, int] | None:
    """Return (team, address) of the address with this hash, of whatever team."""
    row = connection.execute(
        sa.text("SELECT team_id, id FROM threadlink_smart_bcc_address(:token_hash)"), {"token_hash": token_hash}
    ).first()
    return (row.team_id, row.id) if row else None


def address(connection: sa.Connection, address_id: int) -> AddressRow | None:
    """Return an address of the team whose member, if it has one, still is one and takes mail."""
    row = connection.execute(
        sa.text(
            f"""
            {_ADDRESS} a WHERE id = :id AND (member_id IS NULL OR EXISTS (
              SELECT FROM member m JOIN account c ON c.team_id = m.team_id AND c.owner_id = m.id
              WHERE m.id = a.member_id AND m.removed_at IS NULL
                AND c.provider = 'smart_bcc' AND NOT c.paused AND c.state <> 'disconnected'))
            """
        ),
        {"id": address_id},
    ).one_or_none()
    return _address(row) if row else None


def find_address(connection: sa.Connection, member_id: int | None, item: ItemRef | None) -> AddressRow | None:
    """Return the address of a member (None: the team's) for an item (None: any), if it was made."""
    row = connection.execute(sa.text(f"{_ADDRESS} WHERE {_PURPOSE}"), _purpose(member_id, item)).one_or_none()
    return _address(row) if row else None


def add_address(
    connection: sa.Connection,
    team_id: int,
    member_id: int | None,
    item: ItemRef | None,
    *,
    slug: str,
    version: int,
    token_hash: bytes,
) -> None:
    """Store an address; one that is there stays as it is."""
    connection.execute(
        sa.text(
            """
            INSERT INTO smart_bcc_address
              (team_id, member_id, connection_id, kind, external_id, slug, version, token_hash)
            VALUES (:team, :member, :connection, :kind, :external_id, :slug, :version, :token_hash)
            ON CONFLICT DO NOTHING
            """
        ),
        {
            "team": team_id,
            **_purpose(member_id, item),
            "slug": slug,
            "version": version,
            "token_hash": token_hash,
        },
    )


def change_address(connection: sa.Connection, address_id: int, version: int, token_hash: bytes, now: datetime) -> None:
    """Give an address another token; the old one is known no more."""
    connection.execute(
        sa.text(
            "UPDATE smart_bcc_address SET version = :version, token_hash = :token_hash, created_at = :now"
            " WHERE id = :id"
        ),
        {"id": address_id, "version": version, "token_hash": token_hash, "now": now},
    )


def forget_item_addresses(connection: sa.Connection, member_id: int | None) -> None:
    """Delete a member's (None: the team's) addresses for single items."""
    connection.execute(
        sa.text(
            "DELETE FROM smart_bcc_address WHERE kind <> '' AND member_id IS NOT DISTINCT FROM CAST(:member AS bigint)"
        ),
        {"member": member_id},
    )


# --- received mail ---


def receive(
    connection: sa.Connection,
    team_id: int,
    account_id: int,
    provider_id: str,
    item: ItemRef | None,
    *,
    raw: bytes,
    mail_from: str,
    peer: str,
    helo: str,
    received_at: datetime,
    needs_proof: bool,
) -> int | None:
    """Store a mail for an account; None when it is there already. `needs_proof`: from whatever address it comes.

    The account's row is locked, so that ids rise in the order of the commits and a reader's cursor passes none over.
    """
    connection.execute(sa.text("SELECT FROM account WHERE id = :id FOR NO KEY UPDATE"), {"id": account_id})
    return connection.execute(
        sa.text(
            """
            INSERT INTO received_mail
              (team_id, account_id, provider_id, connection_id, kind, external_id,
               mail_from, peer, helo, raw, received_at, needs_proof)
            VALUES
              (:team, :account, :provider_id, :connection, :kind, :external_id,
               :mail_from, :peer, :helo, :raw, :received_at, :needs_proof)
            ON CONFLICT (team_id, account_id, provider_id) DO NOTHING RETURNING id
            """
        ),
        {
            "team": team_id,
            "account": account_id,
            "provider_id": provider_id,
            "raw": raw,
            "mail_from": mail_from,
            "peer": peer,
            "helo": helo,
            "received_at": received_at,
            "needs_proof": needs_proof,
            **_item_columns(item),
        },
    ).scalar()


def held(connection: sa.Connection, account_ids: Sequence[int], limit: int) -> list[HeldMail]:
    """Return the mail of these accounts that is held back, the newest first."""
    rows = connection.execute(
        sa.text(
            """
            SELECT id, public_id, account_id, provider_id, held_why, held_from, held_subject, received_at
            FROM received_mail WHERE account_id = ANY(:accounts) AND held_why <> '' AND released_by IS NULL
            ORDER BY id DESC LIMIT :limit
            """
        ),
        {"accounts": list(account_ids), "limit": limit},
    )
    return [
        HeldMail(
            row.id,
            str(row.public_id),
            row.account_id,
            row.provider_id,
            row.held_why,
            row.held_from,
            row.held_subject,
            row.received_at,
        )
        for row in rows
    ]


def held_counts(connection: sa.Connection) -> dict[str, int]:
    """Return how many mails are held back, by the account's address; accounts without any are left out."""
    rows = connection.execute(
        sa.text(
            """
            SELECT a.address, count(*) AS mails FROM received_mail r
            JOIN account a ON a.team_id = r.team_id AND a.id = r.account_id
            WHERE r.held_why <> '' AND r.released_by IS NULL GROUP BY a.address ORDER BY a.address
            """
        )
    )
    return {row.address: row.mails for row in rows}


def is_held(connection: sa.Connection, member_id: int) -> bool:
    """Say whether mail to an account of a member's is held back."""
    return bool(
        connection.execute(
            sa.text(
                """
                SELECT EXISTS (SELECT FROM received_mail r
                  JOIN account a ON a.team_id = r.team_id AND a.id = r.account_id
                  WHERE a.owner_id = :member AND r.held_why <> '' AND r.released_by IS NULL)
                """
            ),
            {"member": member_id},
        ).scalar()
    )


def release(connection: sa.Connection, mail_id: int, member_id: int) -> None:
    """Note that a member said of a held mail that it may be read."""
    connection.execute(
        sa.text("UPDATE received_mail SET released_by = :member WHERE id = :id"), {"id": mail_id, "member": member_id}
    )


def forget_judgement(connection: sa.Connection, mail_ids: Sequence[int]) -> None:
    """Take back that mails are held: they are about to be judged again."""
    connection.execute(sa.text("UPDATE received_mail SET held_why = '' WHERE id = ANY(:ids)"), {"ids": list(mail_ids)})


def discard(connection: sa.Connection, mail_id: int) -> None:
    """Delete a held mail."""
    connection.execute(sa.text("DELETE FROM received_mail WHERE id = :id"), {"id": mail_id})


def purge(connection: sa.Connection, stored_before: datetime, held_before: datetime, limit: int) -> int:
    """Delete mail of every team that is stored as a message, or was held back too long; return how many."""
    return int(
        connection.execute(
            sa.text("SELECT threadlink_purge_received_mail(:stored, :held, :limit)"),
            {"stored": stored_before, "held": held_before, "limit": limit},
        ).scalar_one()
    )


# --- the other addresses of members ---


def member_addresses(connection: sa.Connection, member_id: int) -> list[MemberAddress]:
    """Return the other addresses of a member, in their order of spelling."""
    rows = connection.execute(
        sa.text(
            "SELECT address, asked_at, verified_at, unsigned FROM member_address"
            " WHERE member_id = :member ORDER BY address"
        ),
        {"member": member_id},
    )
    return [MemberAddress(row.address, row.asked_at, row.verified_at, row.unsigned) for row in rows]


def add_member_address(connection: sa.Connection, team_id: int, member_id: int, address: str) -> None:
    """Store another address of a member, not verified yet; one that is there stays as it is."""
    connection.execute(
        sa.text(
            "INSERT INTO member_address (team_id, member_id, address) VALUES (:team, :member, :address)"
            " ON CONFLICT DO NOTHING"
        ),
        {"team": team_id, "member": member_id, "address": address},
    )


def ask_member_address(
    connection: sa.Connection, member_id: int, address: str, token_hash: bytes, now: datetime, not_since: datetime
) -> bool:
    """Note that a verification goes out; False when one went out to the address since then, from whatever team."""
    return (
        connection.execute(
            sa.text(
                """
                UPDATE member_address SET token_hash = :token_hash, asked_at = :now
                WHERE member_id = :member AND address = :address AND verified_at IS NULL
                  AND NOT threadlink_was_asked(:address, :not_since)
                """
            ),
            {
                "member": member_id,
                "address": address,
                "token_hash": token_hash,
                "now": now,
                "not_since": not_since,
            },
        ).rowcount
        > 0
    )


def verify_member_address(connection: sa.Connection, member_id: int, token_hash: bytes, now: datetime) -> str | None:
    """Note that a member read what was sent to an address; return it, or None when the token is not theirs."""
    return connection.execute(
        sa.text(
            """
            UPDATE member_address SET verified_at = :now, token_hash = NULL
            WHERE member_id = :member AND token_hash = :token_hash RETURNING address
            """
        ),
        {"member": member_id, "token_hash": token_hash, "now": now},
    ).scalar()


def set_unsigned(connection: sa.Connection, team_id: int, member_id: int, address: str, unsigned: bool) -> None:
    """Say whether mail from one of a member's addresses is taken as theirs although nothing proves it."""
    connection.execute(
        sa.text(
            """
            INSERT INTO member_address (team_id, member_id, address, unsigned)
            VALUES (:team, :member, :address, :unsigned)
            ON CONFLICT (team_id, member_id, address) DO UPDATE SET unsigned = excluded.unsigned
            """
        ),
        {"team": team_id, "member": member_id, "address": address, "unsigned": unsigned},
    )


def forget_member_address(connection: sa.Connection, member_id: int, address: str) -> None:
    """Delete another address of a member."""
    connection.execute(
        sa.text("DELETE FROM member_address WHERE member_id = :member AND address = :address"),
        {"member": member_id, "address": address},
    )


def known_addresses(connection: sa.Connection, member_id: int) -> dict[str, bool]:
    """Return every address that is known to be a member's, with whether it is taken as theirs without a proof."""
    rows = connection.execute(
        sa.text(
            "SELECT address, unsigned FROM threadlink_known_addresses() WHERE member_id = :member ORDER BY address"
        ),
        {"member": member_id},
    )
    return {row.address: row.unsigned for row in rows}


def was_shown(connection: sa.Connection, member_id: int) -> bool:
    """Say whether a mail showed a member's address to others since it is the one it is (threats.md P6)."""
    return bool(
        connection.execute(
            sa.text(
                """
                SELECT EXISTS (SELECT FROM smart_bcc_address s
                  JOIN account a ON a.team_id = s.team_id AND a.owner_id = s.member_id AND a.provider = 'smart_bcc'
                  JOIN message_copy c ON c.team_id = a.team_id AND c.account_id = a.id AND c.at > s.created_at
                  JOIN message m ON m.team_id = c.team_id AND m.id = c.message_id
                  WHERE s.member_id = :member AND s.kind = '' AND 'address_shown' = ANY(m.flags))
                """
            ),
            {"member": member_id},
        ).scalar()
    )


def member_of_author(connection: sa.Connection, author: str) -> int | None:
    """Return the member whose address this is known to be; the eldest when it is known of two.

    One who paused or ended the account for it takes no mail.
    """
    return connection.execute(
        sa.text(
            """
            SELECT k.member_id FROM threadlink_known_addresses() k
            WHERE k.address = :author AND NOT EXISTS (
              SELECT FROM account a WHERE a.owner_id = k.member_id
                AND a.provider = 'smart_bcc' AND (a.paused OR a.state = 'disconnected'))
            ORDER BY k.member_id LIMIT 1
            """
        ),
        {"author": author},
    ).scalar()


def _purpose(member_id: int | None, item: ItemRef | None) -> dict[str, Any]:
    return {"member": member_id, **_item_columns(item)}


def _item_columns(item: ItemRef | None) -> dict[str, Any]:
    if item is None:
        return {"connection": None, "kind": "", "external_id": ""}
    return {"connection": item.connection_id, "kind": item.kind, "external_id": item.external_id}


def _address(row: sa.Row[Any]) -> AddressRow:
    item = ItemRef(row.kind, row.external_id, row.connection_id) if row.kind else None
    return AddressRow(row.id, row.member_id, item, row.slug, row.version)
