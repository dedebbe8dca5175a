"""Search in the mirror by the beginnings of words."""

from app.store.migrations.steps import run_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_file("r0004_mirror_search.sql")
