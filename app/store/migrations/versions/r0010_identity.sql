CREATE TABLE sign_in_attempt (
  state_hash BYTEA NOT NULL,
  browser_hash BYTEA NOT NULL,
  issuer TEXT NOT NULL,
  kept BYTEA NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_sign_in_attempt PRIMARY KEY (state_hash)
);
CREATE INDEX ix_sign_in_attempt_expires_at ON sign_in_attempt (expires_at);
COMMENT ON TABLE sign_in_attempt IS 'Sign-ins that were begun with Google or Microsoft, while nobody knows yet whose they are.';

ALTER TABLE member_session
  ADD COLUMN public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  ADD COLUMN last_seen_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN browser TEXT DEFAULT '' NOT NULL,
  ADD CONSTRAINT uq_member_session_team_id_public_id UNIQUE (team_id, public_id);

CREATE TABLE member_identity (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  member_id BIGINT NOT NULL,
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  organization TEXT DEFAULT '' NOT NULL,
  shown TEXT DEFAULT '' NOT NULL,
  bound_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_member_identity PRIMARY KEY (team_id, id),
  CONSTRAINT uq_member_identity_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT uq_member_identity_team_id_issuer_subject UNIQUE (team_id, issuer, subject),
  CONSTRAINT fk_member_identity_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_member_identity_subject ON member_identity (issuer, subject);
COMMENT ON TABLE member_identity IS 'Google and Microsoft accounts that a member signs in with.';

CREATE TABLE invitation (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  token_hash BYTEA NOT NULL,
  name TEXT NOT NULL,
  email TEXT NOT NULL,
  role TEXT DEFAULT 'member' NOT NULL,
  invited_by BIGINT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_invitation PRIMARY KEY (team_id, id),
  CONSTRAINT uq_invitation_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT uq_invitation_team_id_token_hash UNIQUE (team_id, token_hash),
  CONSTRAINT uq_invitation_team_id_email UNIQUE (team_id, email),
  CONSTRAINT ck_invitation_role CHECK (role in ('admin','member')),
  CONSTRAINT fk_invitation_team_id_invited_by FOREIGN KEY(team_id, invited_by) REFERENCES member (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_invitation_token_hash ON invitation (token_hash);
COMMENT ON TABLE invitation IS 'Links with which somebody becomes a member, once; an open one for each address.';

CREATE TABLE joining (
  team_id BIGINT NOT NULL,
  issuer TEXT NOT NULL,
  organization TEXT NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_joining PRIMARY KEY (team_id, issuer, organization),
  CONSTRAINT fk_joining_team_id FOREIGN KEY(team_id) REFERENCES team (id) ON DELETE CASCADE
);
CREATE INDEX ix_joining_organization ON joining (issuer, organization);
COMMENT ON TABLE joining IS 'Organizations at Google and Microsoft whose people join the team by signing in.';

CREATE INDEX ix_audit_member ON audit (team_id, member_id, id);
CREATE INDEX ix_audit_action ON audit (team_id, action, id);

-- Who comes back from Google or Microsoft names no team, and an invitation's link neither.
CREATE FUNCTION public.threadlink_members_of_identity(_issuer text, _subject text)
RETURNS TABLE (team_id bigint, member_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT i.team_id, i.member_id FROM public.member_identity i
  JOIN public.member m ON m.team_id = i.team_id AND m.id = i.member_id
  WHERE i.issuer = _issuer AND i.subject = _subject AND m.removed_at IS NULL ORDER BY i.team_id
$$;
CREATE FUNCTION public.threadlink_teams_joined_by(_issuer text, _organization text) RETURNS TABLE (team_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT j.team_id FROM public.joining j
  WHERE j.issuer = _issuer AND j.organization = _organization ORDER BY j.team_id
$$;
CREATE FUNCTION public.threadlink_team_of_invitation(_token_hash bytea) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT i.team_id FROM public.invitation i WHERE i.token_hash = _token_hash
$$;
REVOKE EXECUTE ON FUNCTION public.threadlink_members_of_identity(text, text),
  public.threadlink_teams_joined_by(text, text), public.threadlink_team_of_invitation(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.threadlink_members_of_identity(text, text),
  public.threadlink_teams_joined_by(text, text), public.threadlink_team_of_invitation(bytea) TO threadlink_app;
