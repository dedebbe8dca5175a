"""Who signs in: identities at Google and Microsoft, invitations, browsers; indexes for the pages of the audit log."""

import sqlalchemy as sa
from alembic import op

from app.store.migrations.steps import protect, run_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_file("r0010_identity.sql")
    for table in ("member_identity", "invitation", "joining"):
        protect(table)
    op.execute(sa.text("GRANT SELECT, INSERT, UPDATE, DELETE ON public.sign_in_attempt TO threadlink_app"))
