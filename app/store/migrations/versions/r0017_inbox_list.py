"""Filters that a member keeps, and what a member did last, so that its undo stays until it is dismissed."""

from app.store.migrations.steps import protect, run_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_file("r0017_inbox_list.sql")
    for table in ("saved_filter", "last_action"):
        protect(table)
