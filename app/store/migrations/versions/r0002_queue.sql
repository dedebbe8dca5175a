-- A worker that looks for the next job asks of each lock whether an earlier job holds it.
CREATE INDEX threadlink_jobs_lock ON public.procrastinate_jobs (lock, status) WHERE status IN ('todo', 'doing');

-- Procrastinate names its tables without a schema: pinned, its functions also work when ours call them.
DO $$
DECLARE
  _function regprocedure;
BEGIN
  FOR _function IN SELECT p.oid FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'procrastinate\_%'
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, public, pg_temp', _function);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO threadlink_app', _function);
  END LOOP;
END;
$$;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.procrastinate_jobs, public.procrastinate_events,
  public.procrastinate_periodic_defers, public.procrastinate_workers TO threadlink_app;
GRANT USAGE ON SEQUENCE public.procrastinate_jobs_id_seq, public.procrastinate_events_id_seq,
  public.procrastinate_periodic_defers_id_seq TO threadlink_app;

-- Of two positions the later one: providers count up in decimal, so the longer number, then the greater.
CREATE FUNCTION public.threadlink_later(_one text, _other text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN _one IS NULL THEN _other
    WHEN _other IS NULL THEN _one
    WHEN (length(_one), _one COLLATE "C") < (length(_other), _other COLLATE "C") THEN _other
    ELSE _one
  END
$$;

-- Enqueue jobs. A notification makes every commit wait for the one before it, disk included, so not each job sends one,
-- as Procrastinate's trigger would: a worker that has something to do asks for its next job by itself, and only jobs that
-- find nothing else waiting wake one. The poll of each second heals the rest.
DROP TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1 ON public.procrastinate_jobs;
CREATE FUNCTION public.threadlink_defer(_jobs public.procrastinate_job_to_defer_v1[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM public.procrastinate_jobs j WHERE j.status = 'todo' AND j.scheduled_at IS NULL) THEN
    PERFORM pg_catalog.pg_notify('procrastinate_any_queue_v1', '{"type": "job_inserted", "job_id": 0}');
  END IF;
  PERFORM public.procrastinate_defer_jobs_v1(_jobs);
END;
$$;
GRANT EXECUTE ON FUNCTION public.threadlink_defer(public.procrastinate_job_to_defer_v1[]) TO threadlink_app;

-- Raise the hints of these accounts and enqueue a job for each that has none waiting. Several rows are locked in the
-- order of account ids first, so that two of these never wait for each other. Whether a row was queued before is told
-- by queued_generation, which the same UPDATE sets: it works on the row as it is once the lock is there.
CREATE FUNCTION public.threadlink_raise_hints(
  _accounts bigint[], _positions text[], _at timestamptz, _is_push boolean
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  _jobs public.procrastinate_job_to_defer_v1[];
  _hinted bigint;
BEGIN
  IF cardinality(_accounts) > 1 THEN
    PERFORM FROM public.hint h WHERE h.account_id = ANY (_accounts) ORDER BY h.account_id FOR UPDATE;
  END IF;

  WITH raised AS (
    UPDATE public.hint h
    SET generation = h.generation + 1,
        position = CASE WHEN w.position IS NULL THEN h.position ELSE public.threadlink_later(h.position, w.position) END,
        pushed_at = CASE WHEN _is_push THEN _at ELSE h.pushed_at END,
        queued = h.queued OR public.threadlink_is_working(a.paused, a.state),
        queued_generation = CASE WHEN h.queued OR NOT public.threadlink_is_working(a.paused, a.state)
          THEN h.queued_generation ELSE h.generation + 1 END
    FROM unnest(_accounts, _positions) AS w (account_id, position)
    JOIN public.account a ON a.id = w.account_id
    WHERE h.team_id = a.team_id AND h.account_id = a.id
    RETURNING h.team_id, h.account_id, h.queued AND h.queued_generation = h.generation AS needs_job
  )
  SELECT count(*), array_agg(
      ROW ('default', 'sync_account', 0, 'account:' || r.account_id, NULL,
           jsonb_build_object('team_id', r.team_id, 'account_id', r.account_id), NULL
      )::public.procrastinate_job_to_defer_v1 ORDER BY r.account_id
    ) FILTER (WHERE r.needs_job)
  INTO _hinted, _jobs FROM raised r;

  IF _jobs IS NOT NULL THEN
    PERFORM public.threadlink_defer(_jobs);
  END IF;
  RETURN _hinted;
END;
$$;

-- The acknowledgement of a push, whole: every account of each mailbox, of whatever team, is hinted and notes the push.
CREATE FUNCTION public.threadlink_hint(_provider text, _mailboxes text[], _positions text[], _at timestamptz)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  _accounts bigint[];
  _account_positions text[];
BEGIN
  SELECT array_agg(p.id), array_agg(p.position) INTO _accounts, _account_positions FROM (
    SELECT DISTINCT ON (a.id) a.id, u.position
    FROM unnest(_mailboxes, _positions) AS u (mailbox, position)
    JOIN public.account a ON a.provider = _provider AND a.mailbox = u.mailbox
    ORDER BY a.id, length(u.position) DESC NULLS LAST, u.position COLLATE "C" DESC
  ) AS p;
  IF _accounts IS NULL THEN
    RETURN 0;
  END IF;
  RETURN public.threadlink_raise_hints(_accounts, _account_positions, _at, true);
END;
$$;

-- What the poll, the audit and a person ask for. Inside a team's transaction only that team's accounts are hinted.
CREATE FUNCTION public.threadlink_hint_accounts(_accounts bigint[], _at timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT public.threadlink_raise_hints(
    ARRAY (SELECT a.id FROM public.account a WHERE a.id = ANY (_accounts)
           AND a.team_id = coalesce(nullif(current_setting('threadlink.team', true), '')::bigint, a.team_id)),
    ARRAY[]::text[], _at, false)
$$;

-- What a provider's word about our registration leads to: each account of these mailboxes renews it, of whatever team. A
-- renewal that waits already is enough.
CREATE FUNCTION public.threadlink_renew(_provider text, _mailboxes text[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  _jobs public.procrastinate_job_to_defer_v1[];
BEGIN
  SELECT array_agg(ROW ('default', 'renew_subscription', 0, 'renew:' || a.id, NULL,
      jsonb_build_object('team_id', a.team_id, 'account_id', a.id), NULL
    )::public.procrastinate_job_to_defer_v1 ORDER BY a.id)
  INTO _jobs FROM public.account a
  WHERE a.provider = _provider AND a.mailbox = ANY (_mailboxes) AND public.threadlink_is_working(a.paused, a.state)
    AND NOT EXISTS (SELECT FROM public.procrastinate_jobs j WHERE j.lock = 'renew:' || a.id AND j.status = 'todo');
  IF _jobs IS NOT NULL THEN
    PERFORM public.threadlink_defer(_jobs);
  END IF;
  RETURN coalesce(cardinality(_jobs), 0);
END;
$$;

-- Notes that are owed to the CRM and that no job looks after.
CREATE FUNCTION public.threadlink_due_crm_writes(_now timestamptz, _limit integer)
RETURNS TABLE (team_id bigint, write_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT w.team_id, w.id FROM public.crm_write w
  WHERE w.state IN ('wanted', 'intended') AND coalesce(w.next_at, '-infinity') <= _now
    AND NOT EXISTS (SELECT FROM public.procrastinate_jobs j
                    WHERE j.lock = 'crm_write:' || w.id AND j.status IN ('todo', 'doing'))
  ORDER BY w.next_at NULLS FIRST, w.id LIMIT _limit
$$;

GRANT EXECUTE ON FUNCTION
  public.threadlink_hint(text, text[], text[], timestamptz),
  public.threadlink_hint_accounts(bigint[], timestamptz),
  public.threadlink_renew(text, text[]),
  public.threadlink_due_crm_writes(timestamptz, integer)
TO threadlink_app;
