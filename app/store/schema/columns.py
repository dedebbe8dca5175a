"""What the tables are built of: the one metadata they are all in, and the columns and keys that recur."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Text = sa.Text
Time = TIMESTAMP(timezone=True)
NOW = sa.func.now()
EMPTY_JSON = sa.text("'{}'::jsonb")
EMPTY_LIST = sa.text("'[]'::jsonb")
EMPTY_ARRAY = sa.text("'{}'::text[]")


def team_id() -> sa.Column[int]:
    """Say whose the row is: first in every key of a tenant table."""
    return sa.Column("team_id", sa.BigInteger, nullable=False)


def row_id() -> sa.Column[int]:
    """Number the row; the number never leaves the process."""
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False)


def public_id() -> sa.Column[object]:
    """Name the row at random, for whoever is outside."""
    return sa.Column("public_id", UUID(as_uuid=False), nullable=False, server_default=sa.func.gen_random_uuid())


def flag(name: str, default: bool = False) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.true() if default else sa.false())


def text(name: str, default: str | None = "") -> sa.Column[str]:
    return sa.Column(name, Text, nullable=False, server_default=default)


def points_to(table: str, column: str, *, ondelete: str | None = "CASCADE") -> sa.ForeignKeyConstraint:
    """Point at another tenant table, team first."""
    return sa.ForeignKeyConstraint(["team_id", column], [f"{table}.team_id", f"{table}.id"], ondelete=ondelete)


def of_team() -> sa.ForeignKeyConstraint:
    """End with the team."""
    return sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE")
