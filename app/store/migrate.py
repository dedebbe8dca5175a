"""Brings a database up to date: roles, tables, row-level security, functions and the job queue."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from app.errors import SettingsError
from app.store import roles
from app.store.database import engine_url, telling_unreachable

ATTEMPTS = 10
_LOCK_NOT_GIVEN = "55P03"
_ONE_AT_A_TIME = "SELECT pg_advisory_lock(hashtext('threadlink.migrate'))"
_FOR_THE_ADMINISTRATOR = """\
The login of DATABASE_URL may not set up the roles. Have an administrator run this in the database, then try again:
  CREATE ROLE {owner} NOLOGIN; CREATE ROLE {app} NOLOGIN;
  GRANT {owner}, {app} TO "{login}";
  GRANT CREATE, USAGE ON SCHEMA public TO {owner}; GRANT USAGE ON SCHEMA public TO {app};"""


def migrate(url: str, revision: str = "head") -> None:
    """Create what is missing and run the revisions up to `revision`; several processes may call it at once.

    A revision that does not get its locks in time lets the others go first and is tried again. Raises SettingsError
    with what to do when the login may not set the roles up, DatabaseUnreachable when there is no server.
    """
    engine = sa.create_engine(engine_url(url), poolclass=sa.NullPool, hide_parameters=True)
    with telling_unreachable():
        with engine.connect() as connection:
            _set_up_roles(connection)
        with engine.connect() as connection:
            _become_owner(connection)
            _upgrade(connection, revision)


def _set_up_roles(connection: sa.Connection) -> None:
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)  # noqa: S101 - engine_url chose the driver
    raw.autocommit = True
    raw.execute(_ONE_AT_A_TIME)
    login = _value(raw, "SELECT session_user")
    try:
        roles.make(raw, login)
        for role, privilege in ((roles.OWNER, "CREATE"), (roles.OWNER, "USAGE"), (roles.APP, "USAGE")):
            if not _value(raw, "SELECT has_schema_privilege(%s, 'public', %s)", role, privilege):
                raw.execute(f"GRANT {privilege} ON SCHEMA public TO {role}")
        # Before PostgreSQL 15 everybody could create in public, and an upgraded database keeps that.
        if _value(raw, "SELECT has_schema_privilege(%s, 'public', 'CREATE')", roles.APP):
            raw.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    except psycopg.errors.InsufficientPrivilege:
        raise SettingsError(_FOR_THE_ADMINISTRATOR.format(owner=roles.OWNER, app=roles.APP, login=login)) from None


def _value(connection: psycopg.Connection[Any], query: LiteralString, *parameters: str) -> Any:
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None


def _become_owner(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"SET ROLE {roles.OWNER}")
    connection.exec_driver_sql("SET search_path = public, pg_temp")
    connection.exec_driver_sql(_ONE_AT_A_TIME)
    # Waiting for a lock on a busy table makes everybody behind it wait as well.
    connection.exec_driver_sql("SET lock_timeout = '3s'")
    connection.commit()


def _upgrade(connection: sa.Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    for attempt in range(1, ATTEMPTS + 1):
        try:
            command.upgrade(config, revision)
        except sa.exc.OperationalError as error:
            connection.rollback()
            if attempt == ATTEMPTS or getattr(error.orig, "sqlstate", None) != _LOCK_NOT_GIVEN:
                raise
            time.sleep(attempt)
        else:
            return
