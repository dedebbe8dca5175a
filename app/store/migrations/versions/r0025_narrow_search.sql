-- As in r0008, and a word that more than half of an account's newest conversations have does not lead into
-- ix_inbox_entry_words, where it would gather nearly every conversation: it is only looked for in what the other words
-- find. An account that holds no more than its newest 2,000 is not looked through a second time.
CREATE OR REPLACE FUNCTION public.threadlink_search_inbox(_words text[], _accounts bigint[], _state text, _limit integer)
RETURNS TABLE (conversation_id bigint, last_message_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH asked AS MATERIALIZED (
    SELECT a.team_id, a.id AS account_id, w.terms, array_to_string(w.terms, ' & ')::tsquery AS query
    FROM public.account a CROSS JOIN LATERAL (
      SELECT array_agg('''' || a.id::text || ':' || replace(replace(word, '\', '\\'), '''', '''''') || ''''
        || CASE WHEN length(word) > 2 THEN ':*' ELSE '' END) AS terms
      FROM unnest(_words) AS word
    ) AS w
    WHERE a.team_id = nullif(current_setting('threadlink.team', true), '')::bigint AND a.id = ANY (_accounts)
  ), recent AS MATERIALIZED (
    SELECT asked.account_id, e.*, array_to_tsvector(string_to_array(
      asked.account_id::text || ':' || replace(e.words, ' ', ' ' || asked.account_id::text || ':'), ' ')) AS found_by
    FROM asked CROSS JOIN LATERAL (
      SELECT i.conversation_id, i.last_message_at, i.state, i.words FROM public.inbox_entry i
      WHERE i.team_id = asked.team_id AND i.account_id = asked.account_id
      ORDER BY i.last_message_at DESC, i.conversation_id DESC LIMIT 2000
    ) AS e
  ), newest AS MATERIALIZED (
    SELECT recent.conversation_id, recent.last_message_at FROM recent JOIN asked USING (account_id)
    WHERE (_state IS NULL OR recent.state = _state) AND recent.found_by @@ asked.query
  ), narrowed AS MATERIALIZED (
    SELECT asked.team_id, asked.account_id, asked.query,
      coalesce((string_agg(t.term, ' & ') FILTER (WHERE had.n <= 1000))::tsquery, asked.query) AS led_by
    FROM asked CROSS JOIN LATERAL unnest(asked.terms) AS t (term) CROSS JOIN LATERAL (
      SELECT count(*) AS held, count(*) FILTER (WHERE recent.found_by @@ t.term::tsquery) AS n
      FROM recent WHERE recent.account_id = asked.account_id
    ) AS had
    WHERE had.held = 2000 AND (SELECT count(*) FROM newest) < _limit
    GROUP BY asked.team_id, asked.account_id, asked.query
  ), others AS MATERIALIZED (
    SELECT e.conversation_id, e.last_message_at FROM narrowed
    CROSS JOIN LATERAL (
      SELECT i.conversation_id, i.last_message_at FROM public.inbox_entry i
      WHERE array_to_tsvector(string_to_array(
          i.account_id::text || ':' || replace(i.words, ' ', ' ' || i.account_id::text || ':'), ' ')) @@ narrowed.led_by
        AND (array_to_tsvector(string_to_array(
          i.account_id::text || ':' || replace(i.words, ' ', ' ' || i.account_id::text || ':'), ' ')) @@ narrowed.query) IS TRUE
        AND i.team_id = narrowed.team_id AND i.account_id = narrowed.account_id AND (_state IS NULL OR i.state = _state)
      LIMIT 1000
    ) AS e
  )
  SELECT found.conversation_id, max(found.last_message_at) FROM (SELECT * FROM newest UNION SELECT * FROM others) AS found
  GROUP BY found.conversation_id ORDER BY 2 DESC, 1 DESC LIMIT _limit
$$;
