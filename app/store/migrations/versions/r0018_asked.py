"""Whether a letter went out to an address lately, from whatever team: one a day, so that we flood nobody."""

from app.store.migrations.steps import run_sql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_sql(
        """
        CREATE INDEX ix_member_address_address ON member_address (address, asked_at);
        CREATE FUNCTION public.threadlink_was_asked(_address text, _since timestamptz) RETURNS boolean
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
          SELECT EXISTS (SELECT FROM public.member_address a WHERE a.address = _address AND a.asked_at > _since)
        $$;
        REVOKE EXECUTE ON FUNCTION public.threadlink_was_asked(text, timestamptz) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION public.threadlink_was_asked(text, timestamptz) TO threadlink_app;
        """
    )
