"""What a member chose for the pages: language, time zone, keys, the daily digest."""

from app.store.migrations.steps import run_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_file("r0009_preferences.sql")
