"""Smart BCC: mail to an address that is no secret needs a proof of who sent it."""

from app.store.migrations.steps import run_sql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_sql("ALTER TABLE received_mail ADD COLUMN needs_proof BOOLEAN DEFAULT false NOT NULL")
