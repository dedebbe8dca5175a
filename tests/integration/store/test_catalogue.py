"""Goal S5: what the database's own catalogue says about roles, policies, functions, keys and grants.

Runs on the embedded server, and on an external one with THREADLINK_TEST_DATABASE_URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from app.store import schema
from app.store.database import Database, engine_url
from app.store.roles import APP, OWNER
from tests.conftest import Server

TENANT_TABLES = sorted(set(schema.metadata.tables) - schema.WITHOUT_TEAM)
QUEUE_TABLES = {
    "procrastinate_jobs",
    "procrastinate_events",
    "procrastinate_periodic_defers",
    "procrastinate_workers",
}
DATA = {"SELECT", "INSERT", "UPDATE", "DELETE"}


@pytest.fixture
def owner(server: Server) -> Iterator[sa.Connection]:
    """Connect as the owner of the tables."""
    engine = sa.create_engine(engine_url(server.url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"SET ROLE {OWNER}"))
        yield connection


def test_tables_are_those_of_the_schema_module(owner: sa.Connection) -> None:
    def is_ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
        return not (kind == "table" and name in QUEUE_TABLES)

    context = MigrationContext.configure(
        owner, opts={"include_object": is_ours, "compare_type": True, "compare_server_default": True}
    )
    assert compare_metadata(context, schema.metadata) == []


def test_checks_and_deletions_are_those_of_the_schema_module(owner: sa.Connection) -> None:
    """What Alembic's comparison leaves out."""
    inspector = sa.inspect(owner)
    for name, table in schema.metadata.tables.items():
        checks = {c.name for c in table.constraints if isinstance(c, sa.CheckConstraint)}
        assert {check["name"] for check in inspector.get_check_constraints(name)} == checks
        found = {(key["name"], key["options"].get("ondelete")) for key in inspector.get_foreign_keys(name)}
        assert found == {(key.name, key.ondelete) for key in table.foreign_key_constraints}


@pytest.mark.parametrize("role", [APP, OWNER])
def test_roles_are_neither_above_policies_nor_able_to_log_in(owner: sa.Connection, role: str) -> None:
    found = owner.execute(
        sa.text(
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication"
            " FROM pg_roles WHERE rolname = :role"
        ),
        {"role": role},
    ).one()
    assert not any(found)


def test_the_app_role_is_a_member_of_no_other(owner: sa.Connection) -> None:
    members = owner.execute(sa.text("SELECT 1 FROM pg_auth_members WHERE member = to_regrole(:role)"), {"role": APP})
    assert members.all() == []


def test_the_login_has_no_rights_before_it_becomes_a_role(server: Server, owner: sa.Connection) -> None:
    if server.data_dir is None:
        pytest.skip("the login of an external server is the operator's")
    assert not owner.execute(sa.text("SELECT has_table_privilege('threadlink', 'message', 'SELECT')")).scalar_one()


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_a_tenant_table_has_one_policy_on_the_current_team(owner: sa.Connection, table: str) -> None:
    row = owner.execute(
        sa.text("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = to_regclass(:table)"),
        {"table": f"public.{table}"},
    ).one()
    assert tuple(row) == (True, False)
    policy = owner.execute(
        sa.text("SELECT permissive, roles::text[], cmd, qual, with_check FROM pg_policies WHERE tablename = :table"),
        {"table": table},
    ).one()
    column = "id" if table == "team" else "team_id"
    expected = f"({column} = (NULLIF(current_setting('threadlink.team'::text, true), ''::text))::bigint)"
    assert tuple(policy) == ("PERMISSIVE", ["public"], "ALL", expected, None)


def test_every_table_belongs_to_the_owner_and_is_a_plain_table(owner: sa.Connection) -> None:
    rows = owner.execute(
        sa.text(
            "SELECT relname, relkind, pg_get_userbyid(relowner), relispartition FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')"
        )
    ).all()
    tables = set(schema.metadata.tables) | QUEUE_TABLES | {"alembic_version"}
    assert {tuple(row) for row in rows} == {(name, "r", OWNER, False) for name in tables}


def test_no_rule_or_trigger_of_ours_runs_unseen(owner: sa.Connection) -> None:
    rules = owner.execute(sa.text("SELECT 1 FROM pg_rules WHERE schemaname = 'public'")).all()
    triggers = owner.execute(
        sa.text(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
            " AND tgrelid::regclass::text NOT LIKE 'procrastinate%'"
        )
    ).all()
    assert (rules, triggers) == ([], [])


def test_the_app_role_may_read_and_change_rows_and_nothing_more(owner: sa.Connection) -> None:
    rows = owner.execute(
        sa.text(
            "SELECT c.relname, pg_get_userbyid(a.grantee), a.privilege_type FROM pg_class c,"
            " LATERAL aclexplode(c.relacl) a WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
            " AND a.grantee <> c.relowner"
        )
    )
    allowed = {(name, APP, right) for name in set(schema.metadata.tables) | QUEUE_TABLES for right in DATA}
    assert {tuple(row) for row in rows} == allowed | {("alembic_version", APP, "SELECT")}


def test_the_app_role_uses_the_sequences_of_the_queue_alone(owner: sa.Connection) -> None:
    rows = owner.execute(
        sa.text(
            "SELECT c.relname, pg_get_userbyid(a.grantee), a.privilege_type FROM pg_class c,"
            " LATERAL aclexplode(c.relacl) a WHERE c.relkind = 'S' AND a.grantee <> c.relowner"
        )
    )
    queues = ("procrastinate_jobs", "procrastinate_events", "procrastinate_periodic_defers")
    assert {tuple(row) for row in rows} == {(f"{name}_id_seq", APP, "USAGE") for name in queues}


@pytest.mark.parametrize("role", [APP, "public"])
def test_nobody_but_the_owner_creates_objects(owner: sa.Connection, role: str) -> None:
    assert not owner.execute(
        sa.text("SELECT has_schema_privilege(:role, 'public', 'CREATE')"), {"role": role}
    ).scalar_one()


def test_functions_are_pinned_and_nobody_runs_one_by_default(owner: sa.Connection) -> None:
    rows = owner.execute(
        sa.text(
            """
            SELECT p.proname AS name, p.prosecdef AS definer, p.proconfig AS config, p.provolatile AS volatility,
                   pg_get_userbyid(p.proowner) AS owner,
                   ARRAY(SELECT a.grantee::regrole::text FROM aclexplode(p.proacl) a
                         WHERE a.grantee <> p.proowner) AS others
            FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
            """
        )
    ).all()
    assert {row.owner for row in rows} == {OWNER}
    for row in rows:
        queue = row.name.startswith("procrastinate_")
        path = "pg_catalog, public, pg_temp" if queue else "pg_catalog, pg_temp"
        # What reads no table and runs with its caller's rights may be inlined; what a push waits for is not slowed down
        # by pinning, and names everything in full. Everything else is pinned.
        unpinned = (row.volatility == "i" and not queue) or row.name == "threadlink_defer"
        assert row.config == (None if unpinned else [f"search_path={path}"]), row.name
        assert row.others in ([], [APP]), row.name
        # Ours run with the owner's rights when the app may call them; those of the queue with the caller's.
        of_queue = queue or row.name == "threadlink_defer"
        assert row.definer == (row.others == [APP] and not of_queue), row.name


def test_the_bodies_of_our_functions_name_every_table_in_full(owner: sa.Connection) -> None:
    bodies = owner.execute(sa.text("SELECT proname, prosrc FROM pg_proc WHERE proname LIKE 'threadlink\\_%'")).all()
    tables = "|".join([*schema.metadata.tables, *QUEUE_TABLES])
    bare = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|USING)\s+(?:{tables})\b")
    assert bodies
    assert [name for name, body in bodies if bare.search(body)] == []


def test_keys_between_tenant_tables_begin_with_the_team(owner: sa.Connection) -> None:
    inspector = sa.inspect(owner)
    for table in TENANT_TABLES:
        for key in inspector.get_foreign_keys(table):
            assert key["constrained_columns"][0] == "team_id", key["name"]
            assert key["referred_columns"][0] == ("id" if key["referred_table"] == "team" else "team_id"), key["name"]


def test_unique_indexes_of_tenant_tables_begin_with_the_team(owner: sa.Connection) -> None:
    rows = owner.execute(
        sa.text(
            """
            SELECT c.relname, a.attname FROM pg_index i
            JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
            WHERE i.indisunique AND c.relname = ANY(:tables) AND c.relname <> 'team'
            """
        ),
        {"tables": TENANT_TABLES},
    ).all()
    assert {table for table, _ in rows} == set(TENANT_TABLES) - {"team"}
    assert {column for _, column in rows} == {"team_id"}


def test_public_ids_are_random_uuids(owner: sa.Connection) -> None:
    rows = owner.execute(
        sa.text(
            "SELECT table_name, data_type, column_default FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'public_id'"
        )
    ).all()
    assert rows
    assert {(kind, default) for _, kind, default in rows} == {("uuid", "gen_random_uuid()")}


def test_the_application_accepts_the_role_it_has(database: Database) -> None:
    database.check_role()
