-- The words of folded titles, each with its team in front: a search reads the words of its own team alone, however many
-- teams share the table. Built-in functions only, because the index is kept with the rights of whoever writes a row.
CREATE INDEX ix_mirror_item_words ON public.mirror_item USING gin (
  array_to_tsvector(string_to_array(team_id::text || ':' || replace(search, ' ', ' ' || team_id::text || ':'), ' '))
);
CREATE INDEX ix_mirror_item_newest ON public.mirror_item (team_id, created_at);

-- @@ is not leakproof, so under row-level security no index would serve it (threats.md F3): this runs as the owner,
-- repeats the team, and returns keys that are read again under row-level security. A word of one or two characters
-- must fit whole: it would begin half of all words. A query that fits much is answered from the newest 2,000 items,
-- any other from the index of words, so that neither takes longer the more items there are.
CREATE FUNCTION public.threadlink_search_items(_words text[], _kinds text[], _limit integer)
RETURNS TABLE ("position" bigint, connection_id bigint, company text, kind text, external_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH asked AS MATERIALIZED (
    SELECT nullif(current_setting('threadlink.team', true), '')::bigint AS team_id,
      (SELECT string_agg(
         '''' || current_setting('threadlink.team', true) || ':' || replace(replace(word, '\', '\\'), '''', '''''')
           || '''' || CASE WHEN length(word) > 2 THEN ':*' ELSE '' END, ' & ')::tsquery
       FROM unnest(_words) AS word) AS words
  ), newest AS MATERIALIZED (
    SELECT i.connection_id, i.company, i.kind, i.external_id, i.state, coalesce(i.updated_at, i.created_at) AS active_at
    FROM (SELECT * FROM public.mirror_item WHERE team_id = (SELECT asked.team_id FROM asked)
          ORDER BY created_at DESC LIMIT 2000) AS i
    JOIN public.crm_connection c ON (c.team_id, c.id, c.company) = (i.team_id, i.connection_id, i.company)
    WHERE array_to_tsvector(string_to_array(
        i.team_id::text || ':' || replace(i.search, ' ', ' ' || i.team_id::text || ':'), ' '))
        @@ (SELECT asked.words FROM asked)
      AND i.kind = ANY(_kinds) AND i.state <> 'deleted'
  ), others AS MATERIALIZED (
    SELECT i.connection_id, i.company, i.kind, i.external_id, i.state, coalesce(i.updated_at, i.created_at) AS active_at
    FROM public.mirror_item i
    JOIN public.crm_connection c ON (c.team_id, c.id, c.company) = (i.team_id, i.connection_id, i.company)
    WHERE (SELECT count(*) FROM newest) < _limit
      AND array_to_tsvector(string_to_array(
        i.team_id::text || ':' || replace(i.search, ' ', ' ' || i.team_id::text || ':'), ' '))
        @@ (SELECT asked.words FROM asked)
      AND i.team_id = (SELECT asked.team_id FROM asked)
      AND i.kind = ANY(_kinds) AND i.state <> 'deleted'
    LIMIT 1000
  )
  SELECT row_number() OVER (ORDER BY found.state <> 'open', found.active_at DESC, found.kind, found.external_id),
    found.connection_id, found.company, found.kind, found.external_id
  FROM (SELECT * FROM newest UNION SELECT * FROM others) AS found
  ORDER BY 1 LIMIT _limit
$$;

GRANT EXECUTE ON FUNCTION public.threadlink_search_items(text[], text[], integer) TO threadlink_app;
