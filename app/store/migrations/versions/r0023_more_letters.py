"""Letters that say that a webhook was turned off, and that mail to Smart BCC is held back."""

from app.store.migrations.steps import run_file

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    run_file("r0023_more_letters.sql")
