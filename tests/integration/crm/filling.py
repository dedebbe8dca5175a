"""Fills a team's mirror with many persons and items, for plans and measurements."""

from __future__ import annotations

import psycopg
import sqlalchemy as sa
from psycopg import sql

from app.ports import CrmConnection
from app.store import roles
from app.store.database import Database

_NUMBERS = "generate_series(1, CAST(:size AS int)) AS n"
_KEY = "team_id, connection_id, company"
_VALUES = ":team, :connection, :company"
_STATEMENTS = (
    (
        f"INSERT INTO mirror_person ({_KEY}, external_id, name, organization_id)"
        f" SELECT {_VALUES}, n::text, 'Person ' || n, (n / 10)::text FROM {_NUMBERS}"
    ),
    (
        f"INSERT INTO mirror_address ({_KEY}, person_id, address, match_key)"
        f" SELECT {_VALUES}, n::text, 'p' || n || '@acme.test', 'p' || n || '@acme.test' FROM {_NUMBERS}"
    ),
    (
        f"INSERT INTO mirror_organization ({_KEY}, external_id, name)"
        f" SELECT {_VALUES}, n::text, 'Organization ' || n FROM {_NUMBERS} WHERE n % 10 = 0"
    ),
    (
        f"INSERT INTO mirror_item ({_KEY}, kind, external_id, title, search, organization_id, created_at)"
        f" SELECT {_VALUES}, 'deal', n::text, 'Rollout ' || n, 'rollout ' || md5(n::text) || ' ' || n, (n / 10)::text,"
        f" now() - n * interval '1 second' FROM {_NUMBERS}"
    ),
    (
        f"INSERT INTO mirror_item_person ({_KEY}, kind, item_id, person_id, role)"
        f" SELECT {_VALUES}, 'deal', n::text, n::text, 'contact' FROM {_NUMBERS}"
    ),
)


def fill(database: Database, crm: CrmConnection, size: int) -> None:
    """Write `size` persons with an address each, and `size` deals of theirs."""
    values = {"team": crm.team_id, "connection": crm.id, "company": crm.company, "size": size}
    with database.for_team(crm.team_id) as connection:
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        for statement in _STATEMENTS:
            connection.execute(sa.text(statement), values)


def analyze(url: str) -> None:
    """Let the planner know what was filled in, as autovacuum does sooner or later."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(roles.OWNER)))
        for table in ("person", "address", "organization", "item", "item_person"):
            connection.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(f"mirror_{table}")))
