"""What a member says of a mailbox's visibility while connecting it."""

from app.store.migrations.steps import run_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_file("r0012_connecting_from_pages.sql")
