CREATE TABLE crm_event (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_crm_event PRIMARY KEY (team_id, connection_id, event_id),
  CONSTRAINT fk_crm_event_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE crm_event IS 'Webhook events of the last day: one that is sent again says nothing new.';

CREATE TABLE crm_hint (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  external_id TEXT NOT NULL,
  merged_into TEXT DEFAULT '' NOT NULL,
  generation BIGINT GENERATED ALWAYS AS IDENTITY,
  CONSTRAINT pk_crm_hint PRIMARY KEY (team_id, connection_id, kind, external_id, merged_into),
  CONSTRAINT fk_crm_hint_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE crm_hint IS 'Records that a CRM webhook named and that were not read again yet.';

CREATE TABLE crm_user (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  company TEXT DEFAULT '' NOT NULL,
  external_id TEXT NOT NULL,
  name TEXT DEFAULT '' NOT NULL,
  email TEXT DEFAULT '' NOT NULL,
  sees_everything BOOLEAN DEFAULT false NOT NULL,
  CONSTRAINT pk_crm_user PRIMARY KEY (team_id, connection_id, company, external_id),
  CONSTRAINT fk_crm_user_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_crm_user_email ON crm_user (team_id, email);

CREATE TABLE mirror_unknown (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  company TEXT DEFAULT '' NOT NULL,
  address TEXT NOT NULL,
  asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_mirror_unknown PRIMARY KEY (team_id, connection_id, company, address),
  CONSTRAINT fk_mirror_unknown_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE mirror_unknown IS 'Addresses that the CRM was asked about and knew nobody with.';

ALTER TABLE mirror_cursor
  ADD COLUMN queued BOOLEAN DEFAULT false NOT NULL,
  ADD COLUMN started_at TIMESTAMP WITH TIME ZONE,
  ADD COLUMN records BIGINT DEFAULT '0' NOT NULL,
  ADD COLUMN users_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE crm_connection
  ADD COLUMN failures INTEGER DEFAULT '0' NOT NULL,
  ADD COLUMN subscribed_at TIMESTAMP WITH TIME ZONE;

CREATE FUNCTION public.threadlink_crm_connections_of(_adapter text, _company text)
RETURNS TABLE (team_id bigint, connection_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.team_id, c.id FROM public.crm_connection c WHERE c.adapter = _adapter AND c.company = _company ORDER BY c.id
$$;

-- Connections whose mirror is older than that, or was never filled, and that no job is on its way to.
CREATE FUNCTION public.threadlink_due_mirrors(_before timestamptz, _now timestamptz, _limit integer)
RETURNS TABLE (team_id bigint, connection_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.team_id, c.id FROM public.crm_connection c
  LEFT JOIN public.mirror_cursor m ON m.team_id = c.team_id AND m.connection_id = c.id
  WHERE c.state <> 'disconnected' AND coalesce(m.refreshed_at, '-infinity') < _before
    AND coalesce(c.throttled_until, '-infinity') <= _now
    AND NOT EXISTS (SELECT FROM public.procrastinate_jobs j
                    WHERE j.lock = 'mirror:' || c.team_id AND j.status IN ('todo', 'doing'))
  ORDER BY m.refreshed_at NULLS FIRST, c.id LIMIT _limit
$$;

CREATE FUNCTION public.threadlink_due_crm_subscriptions(_before timestamptz, _limit integer)
RETURNS TABLE (team_id bigint, connection_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.team_id, c.id FROM public.crm_connection c
  WHERE c.state <> 'disconnected' AND coalesce(c.subscribed_at, '-infinity') < _before
  ORDER BY c.subscribed_at NULLS FIRST, c.id LIMIT _limit
$$;

GRANT EXECUTE ON FUNCTION
  public.threadlink_crm_connections_of(text, text),
  public.threadlink_due_mirrors(timestamptz, timestamptz, integer),
  public.threadlink_due_crm_subscriptions(timestamptz, integer)
TO threadlink_app;
