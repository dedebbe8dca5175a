"""The two database roles: the owner of the tables, which only migrations become, and the one every process works as."""

from __future__ import annotations

from typing import Any

from psycopg import Connection, sql

OWNER = "threadlink_owner"
APP = "threadlink_app"


def make(connection: Connection[Any], login: str) -> None:
    """Create the roles that are missing and let `login` become either; the connection is in autocommit.

    Raises psycopg.errors.InsufficientPrivilege when the connected role may not do that and something is missing.
    """
    known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
    for role in (OWNER, APP):
        if role not in known:
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        if not _may_become(connection, login, role):
            # Becoming it is wanted, having its rights without saying so is not (the option came with PostgreSQL 16).
            options = " WITH INHERIT FALSE, SET TRUE" if connection.info.server_version >= 160000 else ""
            connection.execute(sql.SQL("GRANT {} TO {}" + options).format(sql.Identifier(role), sql.Identifier(login)))


def _may_become(connection: Connection[Any], login: str, role: str) -> bool:
    # 16 tells being a member with SET apart from being a member; a creator of the role is only the latter.
    kind = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    row = connection.execute("SELECT pg_has_role(%s::name, %s::name, %s)", [login, role, kind]).fetchone()
    return bool(row and row[0])
