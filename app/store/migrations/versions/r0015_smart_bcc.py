"""Smart BCC: the addresses, the mail that came to them, and the other addresses a member sends from."""

from app.store.migrations.steps import protect, run_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_file("r0015_smart_bcc.sql")
    for table in ("smart_bcc_address", "received_mail", "member_address"):
        protect(table)
