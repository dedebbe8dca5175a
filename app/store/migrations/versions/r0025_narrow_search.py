"""A search goes by the words that tell conversations apart."""

from app.store.migrations.steps import run_file

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    run_file("r0025_narrow_search.sql")
