"""Taking many conversations out of the list is a piece of work as linking many is."""

from app.store.migrations.steps import run_sql

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    run_sql(
        """
        ALTER TABLE work DROP CONSTRAINT ck_work_kind;
        ALTER TABLE work ADD CONSTRAINT ck_work_kind
          CHECK (kind in ('bulk_link','bulk_dismiss','undo','replay','policy'));
        """
    )
