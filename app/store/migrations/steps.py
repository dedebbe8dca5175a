"""What revisions are made of. Frozen: a rule that changes becomes a new function, for the revisions after it."""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

CURRENT_TEAM = "nullif(current_setting('threadlink.team', true), '')::bigint"


def protect(table: str, team_column: str = "team_id") -> None:
    """Show the app role only the rows of the current team, and let it read and change those.

    Not FORCE: the owner's functions look things up before a team is known.
    """
    op.execute(sa.text(f'ALTER TABLE public."{table}" ENABLE ROW LEVEL SECURITY'))
    op.execute(sa.text(f'CREATE POLICY of_current_team ON public."{table}" USING ({team_column} = {CURRENT_TEAM})'))
    op.execute(sa.text(f'GRANT SELECT, INSERT, UPDATE, DELETE ON public."{table}" TO threadlink_app'))


def run_sql(statements: str) -> None:
    """Run a piece of SQL as it is, any number of statements."""
    op.get_bind().exec_driver_sql(statements.replace("%", "%%"))


def run_file(name: str) -> None:
    """Run a file of SQL that lies beside the revisions."""
    run_sql(files("app.store.migrations.versions").joinpath(name).read_text("utf-8"))
