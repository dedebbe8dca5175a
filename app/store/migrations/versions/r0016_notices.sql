CREATE TABLE account_notice (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  account_id BIGINT NOT NULL,
  code TEXT NOT NULL,
  found_at TIMESTAMP WITH TIME ZONE NOT NULL,
  announced_at TIMESTAMP WITH TIME ZONE,
  recovered_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_account_notice PRIMARY KEY (team_id, id),
  CONSTRAINT fk_account_notice_team_id_account_id FOREIGN KEY(team_id, account_id) REFERENCES account (team_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_account_notice_open ON account_notice (team_id, account_id) WHERE recovered_at IS NULL;
COMMENT ON TABLE account_notice IS 'Accounts in trouble, since when, and when that was announced and over.';

CREATE TABLE letter (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  member_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  about TEXT NOT NULL,
  account_id BIGINT,
  made_at TIMESTAMP WITH TIME ZONE NOT NULL,
  next_at TIMESTAMP WITH TIME ZONE,
  attempts INTEGER DEFAULT '0' NOT NULL,
  sent_at TIMESTAMP WITH TIME ZONE,
  error TEXT DEFAULT '' NOT NULL,
  CONSTRAINT pk_letter PRIMARY KEY (team_id, id),
  CONSTRAINT uq_letter_team_id_member_id_kind_about UNIQUE (team_id, member_id, kind, about),
  CONSTRAINT ck_letter_kind CHECK (kind in ('account_sick','account_well','digest')),
  CONSTRAINT fk_letter_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_letter_team_id_account_id FOREIGN KEY(team_id, account_id) REFERENCES account (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_letter_due ON letter (next_at) WHERE next_at IS NOT NULL;
COMMENT ON TABLE letter IS 'E-mail that is owed to members, or was sent: what about, never what it says.';

-- Teams with an account that may be in trouble, or is noted as such; which it is, app/doctor.py judges.
CREATE FUNCTION public.threadlink_teams_to_examine(_now timestamptz, _late timestamptz, _limit integer)
RETURNS TABLE (team_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.team_id FROM public.account a
  WHERE NOT a.paused AND a.state <> 'disconnected'
    AND (a.state <> 'live' OR greatest(a.last_sync_at, a.state_since) < _late
         OR coalesce(a.subscription_expires_at, '-infinity') <= _now
         OR EXISTS (SELECT FROM public.discovered_message d
                    WHERE d.team_id = a.team_id AND d.account_id = a.id AND d.state = 'pending'))
  UNION SELECT n.team_id FROM public.account_notice n WHERE n.recovered_at IS NULL
  ORDER BY 1 LIMIT _limit
$$;

CREATE FUNCTION public.threadlink_due_letters(_now timestamptz, _limit integer)
RETURNS TABLE (team_id bigint, letter_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT l.team_id, l.id FROM public.letter l
  WHERE l.next_at <= _now
    AND NOT EXISTS (SELECT FROM public.procrastinate_jobs j
                    WHERE j.lock = 'letter:' || l.id AND j.status IN ('todo', 'doing'))
  ORDER BY l.next_at, l.id LIMIT _limit
$$;

-- Who wants a digest, in which time zone, and of which day the last one was.
CREATE FUNCTION public.threadlink_digest_readers()
RETURNS TABLE (team_id bigint, member_id bigint, time_zone text, last text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT m.team_id, m.id, coalesce(m.preferences ->> 'time_zone', ''),
    coalesce((SELECT max(l.about) FROM public.letter l
              WHERE l.team_id = m.team_id AND l.member_id = m.id AND l.kind = 'digest'), '')
  FROM public.member m
  WHERE m.removed_at IS NULL AND (m.preferences ->> 'digest')::boolean
  ORDER BY m.team_id, m.id
$$;
REVOKE EXECUTE ON FUNCTION public.threadlink_teams_to_examine(timestamptz, timestamptz, integer),
  public.threadlink_due_letters(timestamptz, integer), public.threadlink_digest_readers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.threadlink_teams_to_examine(timestamptz, timestamptz, integer),
  public.threadlink_due_letters(timestamptz, integer), public.threadlink_digest_readers() TO threadlink_app;
