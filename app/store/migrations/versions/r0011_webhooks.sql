CREATE TABLE webhook (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  member_id BIGINT NOT NULL,
  url TEXT NOT NULL,
  kinds TEXT[] DEFAULT '{}'::text[] NOT NULL,
  ciphertext BYTEA NOT NULL,
  state TEXT DEFAULT 'live' NOT NULL,
  state_reason TEXT DEFAULT '' NOT NULL,
  state_since TIMESTAMP WITH TIME ZONE NOT NULL,
  failures INTEGER DEFAULT '0' NOT NULL,
  rest_until TIMESTAMP WITH TIME ZONE,
  delivered_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_webhook PRIMARY KEY (team_id, id),
  CONSTRAINT uq_webhook_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT ck_webhook_state CHECK (state in ('live','disabled')),
  CONSTRAINT fk_webhook_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE webhook IS 'Addresses that a team wants to be told at; each acts for the administrator who added it.';

CREATE TABLE webhook_delivery (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  webhook_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  conversation_id BIGINT,
  crm_connection_id BIGINT,
  item_kind TEXT,
  item_id TEXT,
  reason TEXT DEFAULT '' NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  state TEXT DEFAULT 'pending' NOT NULL,
  attempts INTEGER DEFAULT '0' NOT NULL,
  next_at TIMESTAMP WITH TIME ZONE,
  answer TEXT DEFAULT '' NOT NULL,
  settled_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_webhook_delivery PRIMARY KEY (team_id, id),
  CONSTRAINT uq_webhook_delivery_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT ck_webhook_delivery_state CHECK (state in ('pending','delivered','dropped','failed')),
  CONSTRAINT fk_webhook_delivery_team_id_webhook_id FOREIGN KEY(team_id, webhook_id) REFERENCES webhook (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_webhook_delivery_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_webhook_delivery_webhook ON webhook_delivery (team_id, webhook_id, id);
CREATE INDEX ix_webhook_delivery_conversation ON webhook_delivery (team_id, conversation_id);
CREATE INDEX ix_webhook_delivery_pending ON webhook_delivery (next_at NULLS FIRST) WHERE state = 'pending';
COMMENT ON TABLE webhook_delivery IS 'What a webhook is told: ids, kind, reason and time, never content.';

CREATE FUNCTION public.threadlink_due_webhooks(_now timestamptz, _limit integer)
RETURNS TABLE (team_id bigint, webhook_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT w.team_id, w.id FROM (
    SELECT d.team_id, d.webhook_id FROM public.webhook_delivery d
    WHERE d.state = 'pending' AND (d.next_at IS NULL OR d.next_at <= _now)
    GROUP BY d.team_id, d.webhook_id
  ) AS due
  JOIN public.webhook w ON w.team_id = due.team_id AND w.id = due.webhook_id
  WHERE w.state = 'live' AND coalesce(w.rest_until, '-infinity') <= _now
    AND NOT EXISTS (SELECT FROM public.procrastinate_jobs j
                    WHERE j.lock = 'webhook:' || w.id AND j.status IN ('todo', 'doing'))
  ORDER BY w.id LIMIT _limit
$$;
REVOKE EXECUTE ON FUNCTION public.threadlink_due_webhooks(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.threadlink_due_webhooks(timestamptz, integer) TO threadlink_app;
