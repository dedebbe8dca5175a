"""The inbox: each account's conversations by the time of their newest mail; sign-in links and sessions of members."""

from app.store.migrations.steps import protect, run_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_file("r0008_inbox.sql")
    for table in ("inbox_entry", "sign_in_link", "member_session"):
        protect(table)
