"""Add-ons: which member a person is whom a mail provider vouches for."""

from app.store.migrations.steps import protect, run_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_file("r0014_addons.sql")
    protect("addon_user")
