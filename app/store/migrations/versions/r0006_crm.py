"""What CRM webhooks name, who works in a CRM, addresses nobody there has, and how a first load gets on."""

from app.store.migrations.steps import protect, run_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_file("r0006_crm.sql")
    for table in ("crm_event", "crm_hint", "crm_user", "mirror_unknown"):
        protect(table)
