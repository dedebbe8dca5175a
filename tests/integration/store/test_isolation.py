"""Two teams with a row in every table: whatever one of them does, the other's rows stay unseen and unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.store import schema
from app.store.database import Database

TABLES = [table for table in schema.metadata.sorted_tables if "team_id" in table.c]


@pytest.fixture
def teams(database: Database, team: Callable[..., int]) -> Iterator[tuple[int, int]]:
    """Make two teams with one row in every tenant table, each pointing at the others of its team."""
    both = team("Ours"), team("Theirs")
    for team_id in both:
        ids: dict[str, Any] = {"team": team_id}
        with database.for_team(team_id) as connection:
            for table in TABLES:
                row = connection.execute(table.insert().values(_row(table, ids)).returning(*table.primary_key.columns))
                ids[table.name] = row.one()._mapping.get("id")
    return both


def _row(table: sa.Table, ids: dict[str, Any]) -> dict[str, Any]:
    pointing = {key.column_keys[-1]: ids.get(key.referred_table.name) for key in table.foreign_key_constraints}
    needed = [c for c in table.c if not (c.nullable or c.server_default is not None or c.identity is not None)]
    return {c.name: _value(c) for c in needed} | pointing | {"team_id": ids["team"]}


def _value(column: sa.Column[Any]) -> Any:
    checked = {("work", "kind"): "undo", ("work", "state"): "done", ("inbox_entry", "state"): "linked"}
    if (column.table.name, column.name) in checked:
        return checked[column.table.name, column.name]
    if (column.table.name, column.name) == ("letter", "kind"):
        return "digest"
    if column.name == "kind":
        return "personal"
    if isinstance(column.type, sa.Text):
        return "x"
    if isinstance(column.type, sa.DateTime):
        return datetime(2026, 1, 1, tzinfo=UTC)
    if isinstance(column.type, sa.LargeBinary):
        return b"x"
    if isinstance(column.type, sa.UUID):
        return "00000000-0000-4000-8000-000000000000"
    return 1


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_a_team_reads_its_own_rows_alone(database: Database, teams: tuple[int, int]) -> None:
    for team_id in teams:
        with database.for_team(team_id) as connection:
            assert connection.execute(sa.select(schema.team.c.id)).scalars().all() == [team_id]
            for table in TABLES:
                assert connection.execute(sa.select(table.c.team_id)).scalars().all() == [team_id], table.name


def test_without_a_team_no_row_is_seen(database: Database, teams: tuple[int, int]) -> None:
    for opened in (database.without_team(), database.autocommit()):
        with opened as connection:
            assert {table.name: _count(connection, table) for table in (schema.team, *TABLES)} == dict.fromkeys(
                ["team", *(table.name for table in TABLES)], 0
            )


def test_rows_of_another_team_are_neither_changed_nor_deleted(database: Database, teams: tuple[int, int]) -> None:
    ours, theirs = teams
    with database.for_team(ours) as connection:
        for table in reversed(TABLES):
            same = {table.c.team_id: table.c.team_id}
            assert connection.execute(table.update().where(table.c.team_id == theirs).values(same)).rowcount == 0
            assert connection.execute(table.delete().where(table.c.team_id == theirs)).rowcount == 0
        assert connection.execute(schema.team.delete().where(schema.team.c.id == theirs)).rowcount == 0
    with database.for_team(theirs) as connection:
        assert {_count(connection, table) for table in (schema.team, *TABLES)} == {1}


def test_no_row_is_added_or_moved_to_another_team(database: Database, teams: tuple[int, int]) -> None:
    ours, theirs = teams
    with database.for_team(ours) as connection:
        for table in TABLES:
            for statement in (
                f"INSERT INTO {table.name} (team_id) VALUES (:team_id)",
                f"UPDATE {table.name} SET team_id = :team_id",
            ):
                with pytest.raises(sa.exc.ProgrammingError, match="row-level security"), connection.begin_nested():
                    connection.execute(sa.text(statement), {"team_id": theirs})
        with pytest.raises(sa.exc.ProgrammingError, match="row-level security"), connection.begin_nested():
            connection.execute(sa.text("INSERT INTO team (name) VALUES ('x')"))


def test_deleting_a_team_leaves_nothing_of_it_and_all_of_the_other(database: Database, teams: tuple[int, int]) -> None:
    ours, theirs = teams
    with database.for_team(ours) as connection:
        connection.execute(schema.team.delete())
        assert {_count(connection, table) for table in TABLES} == {0}
    with database.for_team(theirs) as connection:
        assert {_count(connection, table) for table in TABLES} == {1}


@pytest.mark.parametrize(
    "statement", ["TRUNCATE message", "CREATE TABLE x (y int)", "ALTER TABLE message DISABLE ROW LEVEL SECURITY"]
)
def test_the_app_role_cannot_get_around_the_policies(database: Database, statement: str) -> None:
    with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"), database.without_team() as c:
        c.execute(sa.text(statement))
