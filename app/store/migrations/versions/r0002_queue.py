"""The job queue: Procrastinate 3.10's own schema, our index on it, its grants, and the functions that raise hints.

The schema is read from the installed package, which pyproject.toml pins to 3.10.*. When that pin moves, this revision
gets a copy of 3.10's schema.sql, and a new revision applies Procrastinate's migrations since then.
"""

from procrastinate.schema import SchemaManager

from app.store.migrations.steps import run_file, run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql(SchemaManager.get_schema())
    run_file("r0002_queue.sql")
