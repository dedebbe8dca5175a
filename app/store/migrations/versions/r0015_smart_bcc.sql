CREATE TABLE smart_bcc_address (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  member_id BIGINT,
  connection_id BIGINT,
  kind TEXT DEFAULT '' NOT NULL,
  external_id TEXT DEFAULT '' NOT NULL,
  slug TEXT NOT NULL,
  version INTEGER DEFAULT '1' NOT NULL,
  token_hash BYTEA NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT pk_smart_bcc_address PRIMARY KEY (team_id, id),
  CONSTRAINT uq_smart_bcc_address_purpose UNIQUE NULLS NOT DISTINCT (team_id, member_id, connection_id, kind, external_id),
  CONSTRAINT uq_smart_bcc_address_team_id_token_hash UNIQUE (team_id, token_hash),
  CONSTRAINT fk_smart_bcc_address_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_smart_bcc_address_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_smart_bcc_address_token_hash ON smart_bcc_address (token_hash);
COMMENT ON TABLE smart_bcc_address IS 'Addresses that mail is sent to, as hashes: of a member or the team, for any item or one.';

CREATE TABLE received_mail (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  account_id BIGINT NOT NULL,
  provider_id TEXT NOT NULL,
  connection_id BIGINT,
  kind TEXT DEFAULT '' NOT NULL,
  external_id TEXT DEFAULT '' NOT NULL,
  mail_from TEXT DEFAULT '' NOT NULL,
  peer TEXT DEFAULT '' NOT NULL,
  helo TEXT DEFAULT '' NOT NULL,
  raw BYTEA NOT NULL,
  received_at TIMESTAMP WITH TIME ZONE NOT NULL,
  held_why TEXT DEFAULT '' NOT NULL,
  held_from TEXT DEFAULT '' NOT NULL,
  held_subject TEXT DEFAULT '' NOT NULL,
  released_by BIGINT,
  CONSTRAINT pk_received_mail PRIMARY KEY (team_id, id),
  CONSTRAINT uq_received_mail_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT uq_received_mail_team_id_account_id_provider_id UNIQUE (team_id, account_id, provider_id),
  CONSTRAINT fk_received_mail_team_id_account_id FOREIGN KEY(team_id, account_id) REFERENCES account (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_received_mail_account ON received_mail (team_id, account_id, id);
CREATE INDEX ix_received_mail_held ON received_mail (team_id, account_id) WHERE held_why <> '' AND released_by IS NULL;
CREATE INDEX ix_received_mail_received_at ON received_mail (received_at);
COMMENT ON TABLE received_mail IS 'Mail that our own SMTP server took, until it is stored as a message; held_why says why it is held back.';

CREATE TABLE member_address (
  team_id BIGINT NOT NULL,
  member_id BIGINT NOT NULL,
  address TEXT NOT NULL,
  token_hash BYTEA,
  asked_at TIMESTAMP WITH TIME ZONE,
  verified_at TIMESTAMP WITH TIME ZONE,
  unsigned BOOLEAN DEFAULT false NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT pk_member_address PRIMARY KEY (team_id, member_id, address),
  CONSTRAINT fk_member_address_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_member_address_token_hash ON member_address (token_hash) WHERE token_hash IS NOT NULL;
COMMENT ON TABLE member_address IS 'Other addresses a member sends from; unsigned: taken as theirs although nothing proves it.';

-- The addresses that are known to be a member's: the one they sign in with, those of their own mailboxes, those verified.
-- Of the team whose transaction it is alone.
CREATE FUNCTION public.threadlink_known_addresses() RETURNS TABLE (member_id bigint, address text, unsigned boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT k.member_id, k.address, coalesce(bool_or(u.unsigned), false)
  FROM (
    SELECT m.team_id, m.id AS member_id, m.email AS address FROM public.member m WHERE m.removed_at IS NULL
    UNION SELECT a.team_id, a.owner_id, unnest(a.own_addresses) FROM public.account a
      WHERE a.kind = 'personal' AND a.owner_id IS NOT NULL AND a.provider <> 'smart_bcc' AND a.state <> 'disconnected'
    UNION SELECT d.team_id, d.member_id, d.address FROM public.member_address d WHERE d.verified_at IS NOT NULL
  ) k
  LEFT JOIN public.member_address u
    ON u.team_id = k.team_id AND u.member_id = k.member_id AND u.address = k.address AND u.unsigned
  WHERE k.team_id = nullif(current_setting('threadlink.team', true), '')::bigint
  GROUP BY k.member_id, k.address
$$;

-- Before a team is known: whose address somebody writes to. Ids alone.
CREATE FUNCTION public.threadlink_smart_bcc_address(_token_hash bytea) RETURNS TABLE (team_id bigint, id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.team_id, a.id FROM public.smart_bcc_address a WHERE a.token_hash = _token_hash
$$;
CREATE FUNCTION public.threadlink_team_of_member_address(_token_hash bytea) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.team_id FROM public.member_address a WHERE a.token_hash = _token_hash
$$;

-- What is stored as a message is needed no more; what is held back and never released ends with its retention.
CREATE FUNCTION public.threadlink_purge_received_mail(_stored_before timestamptz, _held_before timestamptz, _limit integer)
RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH over AS (
    SELECT r.team_id, r.id FROM public.received_mail r
    JOIN public.discovered_message d
      ON d.team_id = r.team_id AND d.account_id = r.account_id AND d.provider_id = r.provider_id
    WHERE (d.state IN ('stored', 'gone') AND r.received_at < _stored_before)
       OR (d.state IN ('filtered', 'parked') AND r.received_at < _held_before)
    LIMIT _limit
  ), gone AS (
    DELETE FROM public.received_mail r USING over o WHERE r.team_id = o.team_id AND r.id = o.id RETURNING 1
  )
  SELECT count(*) FROM gone
$$;
REVOKE EXECUTE ON FUNCTION public.threadlink_known_addresses(), public.threadlink_smart_bcc_address(bytea),
  public.threadlink_team_of_member_address(bytea), public.threadlink_purge_received_mail(timestamptz, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.threadlink_known_addresses(), public.threadlink_smart_bcc_address(bytea),
  public.threadlink_team_of_member_address(bytea), public.threadlink_purge_received_mail(timestamptz, timestamptz, integer) TO threadlink_app;
