-- Look-ups before a team is known. Each runs with the owner's rights, past row-level security: it names what it reads in
-- full, has a pinned search_path and returns ids, which are read again under the team's policy.

CREATE FUNCTION public.threadlink_add_team(_name text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO public.team (name) VALUES (_name) RETURNING id
$$;

CREATE FUNCTION public.threadlink_teams() RETURNS TABLE (id bigint, public_id uuid, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT t.id, t.public_id, t.name FROM public.team t ORDER BY t.id
$$;

CREATE FUNCTION public.threadlink_team_of_public_id(_public_id uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT t.id FROM public.team t WHERE t.public_id = _public_id
$$;

CREATE FUNCTION public.threadlink_team_of_account(_account_id bigint) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.team_id FROM public.account a WHERE a.id = _account_id
$$;

CREATE FUNCTION public.threadlink_team_of_connect_request(_token_hash bytea, _state_hash bytea) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.team_id FROM public.connect_request r
  WHERE (r.token_hash = _token_hash OR r.state_hash = _state_hash) AND r.used_at IS NULL
$$;

CREATE FUNCTION public.threadlink_crm_connection(_public_id uuid) RETURNS TABLE (team_id bigint, connection_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.team_id, c.id FROM public.crm_connection c WHERE c.public_id = _public_id
$$;

CREATE FUNCTION public.threadlink_accounts_of_mailbox(_provider text, _mailbox text)
RETURNS TABLE (team_id bigint, account_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.team_id, a.id FROM public.account a WHERE a.provider = _provider AND a.mailbox = _mailbox ORDER BY a.id
$$;

-- Mail is read, and registrations are renewed, only for an account that nobody paused and that needs nobody's help.
-- Like every function here that reads no table and is its caller's, it pins no search_path: pinned, it is not inlined.
CREATE FUNCTION public.threadlink_is_working(_paused boolean, _state text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT NOT _paused AND _state NOT IN ('reauth_required', 'admin_blocked', 'mailbox_unavailable', 'disconnected')
$$;

CREATE FUNCTION public.threadlink_due_subscriptions(_provider text, _before timestamptz, _limit integer)
RETURNS TABLE (team_id bigint, account_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.team_id, a.id FROM public.account a
  WHERE a.provider = _provider AND (a.subscription_expires_at < _before OR a.subscription_expires_at IS NULL)
    AND public.threadlink_is_working(a.paused, a.state)
  ORDER BY a.subscription_expires_at NULLS LAST, a.id LIMIT _limit
$$;

CREATE FUNCTION public.threadlink_quiet_accounts(_before timestamptz, _limit integer)
RETURNS TABLE (team_id bigint, account_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.team_id, a.id FROM public.account a JOIN public.hint h ON h.team_id = a.team_id AND h.account_id = a.id
  WHERE coalesce(greatest(h.pushed_at, a.last_sync_at), '-infinity') < _before
    AND NOT h.queued AND public.threadlink_is_working(a.paused, a.state)
  ORDER BY greatest(h.pushed_at, a.last_sync_at) NULLS FIRST, a.id LIMIT _limit
$$;

CREATE FUNCTION public.threadlink_due_audits(_before timestamptz, _limit integer)
RETURNS TABLE (team_id bigint, account_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.team_id, a.id FROM public.account a
  WHERE coalesce(a.last_audit_at, '-infinity') < _before AND public.threadlink_is_working(a.paused, a.state)
  ORDER BY a.last_audit_at NULLS FIRST, a.id LIMIT _limit
$$;

CREATE FUNCTION public.threadlink_purge_bodies(_now timestamptz, _limit integer) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH expired AS (
    SELECT b.team_id, b.copy_id FROM public.message_body b
    WHERE b.expires_at <= _now ORDER BY b.expires_at LIMIT _limit FOR UPDATE SKIP LOCKED
  ), erased AS (
    DELETE FROM public.message_body b USING expired e
    WHERE b.team_id = e.team_id AND b.copy_id = e.copy_id RETURNING 1
  )
  SELECT count(*) FROM erased
$$;

-- For /metrics: numbers of the whole installation, never of one team.
CREATE FUNCTION public.threadlink_totals() RETURNS TABLE (what text, state text, number bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'account', CASE WHEN a.paused THEN 'paused' ELSE a.state END, count(*) FROM public.account a GROUP BY 2
  UNION ALL
  SELECT 'message', 'pending', count(*) FROM public.discovered_message d WHERE d.state = 'pending'
  UNION ALL
  SELECT 'message', 'parked', count(*) FROM public.discovered_message d WHERE d.state = 'parked'
  UNION ALL
  SELECT 'crm_write', w.state, count(*) FROM public.crm_write w GROUP BY 2
$$;

GRANT EXECUTE ON FUNCTION
  public.threadlink_add_team(text),
  public.threadlink_teams(),
  public.threadlink_team_of_public_id(uuid),
  public.threadlink_team_of_account(bigint),
  public.threadlink_team_of_connect_request(bytea, bytea),
  public.threadlink_crm_connection(uuid),
  public.threadlink_accounts_of_mailbox(text, text),
  public.threadlink_due_subscriptions(text, timestamptz, integer),
  public.threadlink_quiet_accounts(timestamptz, integer),
  public.threadlink_due_audits(timestamptz, integer),
  public.threadlink_purge_bodies(timestamptz, integer),
  public.threadlink_totals()
TO threadlink_app;
