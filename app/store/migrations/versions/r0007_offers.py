"""What a record that is new or open again could gather: earlier conversations, offered and never linked alone."""

from app.store.migrations.steps import protect, run_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_file("r0007_offers.sql")
    protect("offer")
