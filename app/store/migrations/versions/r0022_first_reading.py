"""What the first reading of a mailbox, of its earlier mail, came to."""

from app.store.migrations.steps import run_sql

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    run_sql(
        "ALTER TABLE account ADD COLUMN first_read_at TIMESTAMP WITH TIME ZONE, ADD COLUMN first_read_messages INTEGER"
    )
