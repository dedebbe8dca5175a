"""Which labels or folders of a mailbox are read, and whether earlier mail of some is still to be listed."""

from app.store.migrations.steps import run_sql

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    run_sql(
        """
        ALTER TABLE account ADD COLUMN folders TEXT[] DEFAULT '{}'::text[] NOT NULL,
                            ADD COLUMN folders_grew BOOLEAN DEFAULT false NOT NULL
        """
    )
