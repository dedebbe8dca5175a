"""Many rows in one statement: the only way the store inserts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves dialect constructors untyped


def insert_rows(
    connection: sa.Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    returning: Sequence[str] = (),
    on_conflict: str = "",
) -> Sequence[sa.Row[Any]]:
    """Insert the rows, which all have the columns of the first, in one statement and one parameter.

    `on_conflict` is the SQL behind ON CONFLICT. Rows come back in no particular order.
    """
    if not rows:
        return []
    columns = list(rows[0])
    names = ", ".join(f'"{name}"' for name in columns)
    types = ", ".join(f'"{name}" {_sql_type(table.c[name])}' for name in columns)
    source = f"jsonb_to_recordset(CAST(:rows AS jsonb)) AS r ({types})"
    sql = f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM {source}'
    if on_conflict:
        sql += f" ON CONFLICT {on_conflict}"
    if returning:
        sql += " RETURNING " + ", ".join(f'"{table.name}"."{name}"' for name in returning)
    result = connection.execute(sa.text(sql), {"rows": json.dumps(rows, default=_json, ensure_ascii=False)})
    return result.all() if returning else []


def _sql_type(column: sa.Column[Any]) -> str:
    return column.type.compile(dialect=_DIALECT)


def _json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} does not go into a row")
