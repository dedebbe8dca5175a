"""Personal API keys, and what writes with an Idempotency-Key answered."""

from app.store.migrations.steps import protect, run_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_file("r0005_api.sql")
    protect("api_key")
    protect("api_answer")
