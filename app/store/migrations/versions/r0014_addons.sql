CREATE TABLE addon_user (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  provider TEXT NOT NULL,
  provider_user_id TEXT NOT NULL,
  member_id BIGINT NOT NULL,
  made_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_addon_user PRIMARY KEY (team_id, id),
  CONSTRAINT uq_addon_user_team_id_provider_provider_user_id UNIQUE (team_id, provider, provider_user_id),
  CONSTRAINT fk_addon_user_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_addon_user_provider_user_id ON addon_user (provider, provider_user_id);
CREATE INDEX ix_account_provider_user_id ON account (provider, provider_user_id);
COMMENT ON TABLE addon_user IS 'Whom a member said to be at a mail provider, for an add-on that the provider shows.';

-- Who somebody said to be, the newest word first; then whose personal mailbox it is.
CREATE FUNCTION public.threadlink_addon_users(_provider text, _user text)
RETURNS TABLE (team_id bigint, member_id bigint, made_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT m.team_id, m.id, found.made_at FROM (
    SELECT u.team_id, u.member_id, u.made_at FROM public.addon_user u
    WHERE u.provider = _provider AND u.provider_user_id = _user
    UNION ALL
    SELECT a.team_id, a.owner_id, NULL FROM public.account a
    WHERE a.provider = _provider AND a.provider_user_id = _user AND a.kind = 'personal' AND a.state <> 'disconnected'
  ) AS found
  JOIN public.member m ON m.team_id = found.team_id AND m.id = found.member_id AND m.removed_at IS NULL
  WHERE _user <> '' ORDER BY found.made_at DESC NULLS LAST, m.team_id
$$;
REVOKE EXECUTE ON FUNCTION public.threadlink_addon_users(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.threadlink_addon_users(text, text) TO threadlink_app;
