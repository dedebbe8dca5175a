"""Notices of accounts in trouble, and the letters that are owed to members."""

from app.store.migrations.steps import protect, run_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_file("r0016_notices.sql")
    for table in ("account_notice", "letter"):
        protect(table)
