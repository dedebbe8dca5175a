"""Connections: a pool, the role every process works as, and transactions that see one team or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
import structlog
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from app.errors import DatabaseUnreachable, SettingsError
from app.store.roles import APP

# Of the classes of SQLSTATE: the connection, the server's resources, an operator, the system below the server; and a
# lock that was not given, a statement that took too long, a deadlock, a server that only reads (a failover).
_PASSING_CLASSES = ("08", "53", "57", "58")
_PASSING_STATES = frozenset({"55P03", "40001", "40P01", "25006"})

# One round trip: is a team left from before, then a transaction of this one. The team is a number or nothing.
_BEGIN = "SELECT current_setting('threadlink.team', true); BEGIN; SET LOCAL threadlink.team = '{team}'"

log = structlog.get_logger(__name__)


def engine_url(url: str) -> sa.URL:
    """Return DATABASE_URL for SQLAlchemy. Raises SettingsError without repeating it."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise SettingsError(
            "DATABASE_URL cannot be read; it looks like postgresql://user:password@host/name."
        ) from None
    if parsed.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise SettingsError("DATABASE_URL must begin with postgresql://.")
    return parsed.set(drivername="postgresql+psycopg")


class Database:
    """A pool of connections that work as threadlink_app.

    Every method raises DatabaseUnreachable, without address or password, when the server cannot be reached, is short
    of something or did not get to it in time; the transaction is rolled back and may be tried again.
    """

    def __init__(
        self, url: str, *, pool_size: int = 10, statement_timeout_s: float = 15, lock_timeout_s: float = 2
    ) -> None:
        self._session = (
            f"SET ROLE {APP}; SET statement_timeout = {round(statement_timeout_s * 1000)}; "
            f"SET lock_timeout = {round(lock_timeout_s * 1000)}; SET idle_in_transaction_session_timeout = 30000"
        )
        self.engine = self._engine(url, pool_size)
        sa.event.listen(self.engine, "reset", _reset)
        # Connections of their own: no team was ever set on them.
        self._autocommit = self._engine(url, pool_size, skip_autocommit_rollback=True)

    def _engine(self, url: str, pool_size: int, **more: Any) -> sa.Engine:
        """Make a pool whose driver begins no transactions: _begin() does, with the team in the same round trip."""
        engine = sa.create_engine(
            engine_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,  # _reset does it
            hide_parameters=True,  # rows must not get into error messages
            connect_args={"connect_timeout": 10, "application_name": "threadlink"},
            **more,
        )
        sa.event.listen(engine, "connect", self._prepare)
        sa.event.listen(engine, "handle_error", _drop_detail)
        return engine

    def close(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()
        self._autocommit.dispose()

    @contextmanager
    def for_team(self, team_id: int) -> Iterator[sa.Connection]:
        """Open a transaction that sees this team's rows alone; it commits at the end of the block."""
        with self._transaction(str(int(team_id))) as connection:
            yield connection

    # The port that vendors who live in our own database are given (ports.Database).
    transaction = for_team

    @contextmanager
    def without_team(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees no team's rows: for lookups and the queue."""
        with self._transaction("") as connection:
            yield connection

    @contextmanager
    def autocommit(self) -> Iterator[sa.Connection]:
        """Lend a connection on which each statement is its own transaction, in one round trip; it sees no team."""
        with telling_unreachable(), self._autocommit.connect() as connection:
            yield connection

    def check_role(self) -> None:
        """Refuse to work with a role that row-level security does not hold. Raises SettingsError."""
        with self.without_team() as connection:
            role = connection.execute(
                sa.text(
                    """
                    SELECT current_user AS name, rolsuper OR rolbypassrls AS above_policies,
                      EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                              WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm')
                                AND pg_has_role(current_user, c.relowner, 'MEMBER')) AS owns_tables
                    FROM pg_roles WHERE rolname = current_user
                    """
                )
            ).one()
        if role.name != APP or role.above_policies or role.owns_tables:
            raise SettingsError(
                f"The database role in force ({role.name}) can see every team: it must be {APP}, without SUPERUSER, "
                "without BYPASSRLS and owner of no table. Run `threadlink migrate`, which sets the roles up."
            )

    @contextmanager
    def _transaction(self, team: str) -> Iterator[sa.Connection]:
        with telling_unreachable():
            try:
                connection = self._begin(team)
            except sa.exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                connection = self._begin(team)  # the server was restarted meanwhile, and nothing has happened yet
            with connection:
                yield connection
                connection.commit()

    def _begin(self, team: str) -> sa.Connection:
        while True:
            connection = self.engine.connect()
            try:
                left = connection.exec_driver_sql(_BEGIN.format(team=team)).scalar()
                if not left:
                    return connection
                log.error("a team outlived its transaction: only Database.for_team may set it")
                connection.invalidate()
            except BaseException:
                connection.close()
                raise
            connection.close()

    def _prepare(self, dbapi_connection: Any, _record: ConnectionPoolEntry) -> None:
        """Give a new connection its role and its time limits, in one round trip."""
        dbapi_connection.autocommit = True
        try:
            dbapi_connection.execute(self._session)
        except psycopg.Error as error:
            dbapi_connection.close()
            if isinstance(error, (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege)):
                raise SettingsError(
                    f"The login of DATABASE_URL cannot become {APP}: run `threadlink migrate`, which sets the roles up."
                ) from None
            raise


def _reset(dbapi_connection: Any, _record: ConnectionPoolEntry, state: PoolResetState) -> None:
    """End the transaction of a connection that comes back."""
    if not state.terminate_only:
        dbapi_connection.rollback()


def _drop_detail(context: sa.engine.ExceptionContext) -> None:
    """Cut an error down to its first sentence: DETAIL prints the row that failed, with whatever is in it."""
    error, wrapped = context.original_exception, context.sqlalchemy_exception
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        error.args = (error.diag.message_primary,)
        if wrapped is not None:
            wrapped.args = (f"({type(error).__name__}) {error.diag.message_primary}",)


@contextmanager
def telling_unreachable() -> Iterator[None]:
    """Turn what passes by itself into DatabaseUnreachable; its cause is left out because it names host and user."""
    try:
        yield
    except sa.exc.TimeoutError:
        raise DatabaseUnreachable("Every database connection of this process is in use.") from None
    except sa.exc.DBAPIError as error:
        code = getattr(error.orig, "sqlstate", None)
        if code is None and isinstance(error, sa.exc.OperationalError):
            raise DatabaseUnreachable(
                "The database cannot be reached: check DATABASE_URL, and that the server runs."
            ) from None
        if error.connection_invalidated or (code and (code[:2] in _PASSING_CLASSES or code in _PASSING_STATES)):
            raise DatabaseUnreachable(f"The database could not do this now ({type(error.orig).__name__}).") from None
        raise
