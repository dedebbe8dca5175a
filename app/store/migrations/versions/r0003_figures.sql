-- For /metrics: how far behind the whole installation is. A message counts as found without a push when its account's
-- last push is more than five minutes older than its discovery; a first read of a mailbox is not counted.
CREATE FUNCTION public.threadlink_behind(_since timestamptz)
RETURNS TABLE (oldest_pending_at timestamptz, found bigint, found_unannounced bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT
    (SELECT min(p.discovered_at) FROM public.discovered_message p WHERE p.state = 'pending'),
    count(*),
    count(*) FILTER (WHERE coalesce(h.pushed_at, '-infinity') < d.discovered_at - interval '5 minutes')
  FROM public.discovered_message d
  JOIN public.account a ON a.team_id = d.team_id AND a.id = d.account_id
  JOIN public.hint h ON h.team_id = a.team_id AND h.account_id = a.id
  WHERE d.discovered_at > _since AND a.state IN ('live', 'degraded') AND a.created_at < _since
$$;

-- Rows are discovered in the order of time: a few pages of index for millions of them.
CREATE INDEX ix_discovered_message_discovered_at ON public.discovered_message USING brin (discovered_at);

-- /readyz compares it with the revisions of the running code.
GRANT SELECT ON public.alembic_version TO threadlink_app;

GRANT EXECUTE ON FUNCTION public.threadlink_behind(timestamptz) TO threadlink_app;
