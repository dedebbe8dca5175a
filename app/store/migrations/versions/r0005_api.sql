CREATE TABLE api_key (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  member_id BIGINT NOT NULL,
  name TEXT NOT NULL,
  key_hash BYTEA NOT NULL,
  may_write BOOLEAN DEFAULT false NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  last_used_at TIMESTAMP WITH TIME ZONE,
  revoked_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_api_key PRIMARY KEY (team_id, id),
  CONSTRAINT uq_api_key_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT uq_api_key_team_id_key_hash UNIQUE (team_id, key_hash),
  CONSTRAINT fk_api_key_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_api_key_key_hash ON api_key (key_hash);
COMMENT ON TABLE api_key IS 'Personal API keys, as hashes; each acts with the rights of its member.';

CREATE TABLE api_answer (
  team_id BIGINT NOT NULL,
  api_key_id BIGINT NOT NULL,
  idempotency_hash BYTEA NOT NULL,
  request_digest BYTEA NOT NULL,
  document JSONB,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_api_answer PRIMARY KEY (team_id, api_key_id, idempotency_hash),
  CONSTRAINT fk_api_answer_team_id_api_key_id FOREIGN KEY(team_id, api_key_id) REFERENCES api_key (team_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE api_answer IS 'What a write with an Idempotency-Key answered, for a day; no document while it runs.';

CREATE FUNCTION public.threadlink_team_of_api_key(_key_hash bytea) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT k.team_id FROM public.api_key k WHERE k.key_hash = _key_hash AND k.revoked_at IS NULL
$$;
GRANT EXECUTE ON FUNCTION public.threadlink_team_of_api_key(bytea) TO threadlink_app;
