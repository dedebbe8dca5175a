"""The Outlook pane: Microsoft names a person as it names the mailbox, and a message by its thread where need be."""

from app.store.migrations.steps import run_sql

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run_sql(
        """
        CREATE INDEX ix_message_copy_provider_thread_id ON message_copy (team_id, account_id, provider_thread_id);
        CREATE OR REPLACE FUNCTION public.threadlink_addon_users(_provider text, _user text)
        RETURNS TABLE (team_id bigint, member_id bigint, made_at timestamptz)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
          SELECT m.team_id, m.id, found.made_at FROM (
            SELECT u.team_id, u.member_id, u.made_at FROM public.addon_user u
            WHERE u.provider = _provider AND u.provider_user_id = _user
            UNION ALL
            SELECT a.team_id, a.owner_id, NULL FROM public.account a
            WHERE a.provider = _provider AND (a.provider_user_id = _user OR a.mailbox = _user)
              AND a.kind = 'personal' AND a.state <> 'disconnected'
          ) AS found
          JOIN public.member m ON m.team_id = found.team_id AND m.id = found.member_id AND m.removed_at IS NULL
          WHERE _user <> '' ORDER BY found.made_at DESC NULLS LAST, m.team_id
        $$;
        """
    )
