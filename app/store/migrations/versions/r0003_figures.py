"""Figures for /metrics."""

from app.store.migrations.steps import run_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_file("r0003_figures.sql")
