"""Long work: what is done to many conversations in parts, with its progress and what became of each."""

from app.store.migrations.steps import protect, run_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_file("r0013_work.sql")
    for table in ("work", "work_entry"):
        protect(table)
