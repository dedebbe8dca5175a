"""The tables, row-level security on each that belongs to a team, and what the app role may look up across teams."""

import sqlalchemy as sa
from alembic import op

from app.store.migrations.steps import protect, run_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    # The owner's functions can do more than their callers: nobody gets one by default.
    op.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    run_file("r0001_schema.sql")
    protect("team", team_column="id")
    inspector = sa.inspect(op.get_bind())
    for table in sorted(inspector.get_table_names("public")):
        if any(column["name"] == "team_id" for column in inspector.get_columns(table, "public")):
            protect(table)
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON public.installation TO threadlink_app")
    run_file("r0001_lookups.sql")
