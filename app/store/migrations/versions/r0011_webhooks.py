"""Webhooks that teams have us call, and each delivery that is owed to them."""

from app.store.migrations.steps import protect, run_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_file("r0011_webhooks.sql")
    for table in ("webhook", "webhook_delivery"):
        protect(table)
