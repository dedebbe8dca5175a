CREATE TABLE inbox_entry (
  team_id BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  conversation_id BIGINT NOT NULL,
  state TEXT NOT NULL,
  last_message_at TIMESTAMP WITH TIME ZONE NOT NULL,
  words TEXT DEFAULT '' NOT NULL,
  CONSTRAINT pk_inbox_entry PRIMARY KEY (team_id, account_id, conversation_id),
  CONSTRAINT ck_inbox_entry_state CHECK (state in ('linked','review','unlinked','dismissed')),
  CONSTRAINT fk_inbox_entry_team_id_account_id FOREIGN KEY(team_id, account_id) REFERENCES account (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_inbox_entry_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_inbox_entry_recent ON inbox_entry (team_id, account_id, last_message_at DESC, conversation_id DESC);
CREATE INDEX ix_inbox_entry_state ON inbox_entry (team_id, account_id, state, last_message_at DESC, conversation_id DESC);
CREATE INDEX ix_inbox_entry_conversation ON inbox_entry (team_id, conversation_id);
-- Each word under its account: one account's search never reads another's words.
CREATE INDEX ix_inbox_entry_words ON inbox_entry USING gin (array_to_tsvector(string_to_array(
  (account_id::text || ':'::text) || replace(words, ' '::text, (' '::text || account_id::text) || ':'::text), ' '::text)));
COMMENT ON TABLE inbox_entry IS 'What each account holds of a conversation, for lists and counts.';

CREATE TABLE sign_in_link (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  token_hash BYTEA NOT NULL,
  member_id BIGINT NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  used_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_sign_in_link PRIMARY KEY (team_id, id),
  CONSTRAINT uq_sign_in_link_team_id_token_hash UNIQUE (team_id, token_hash),
  CONSTRAINT fk_sign_in_link_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_sign_in_link_token_hash ON sign_in_link (token_hash);
COMMENT ON TABLE sign_in_link IS 'One-time links that sign a member in, as hashes.';

CREATE TABLE member_session (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  token_hash BYTEA NOT NULL,
  member_id BIGINT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_member_session PRIMARY KEY (team_id, id),
  CONSTRAINT uq_member_session_team_id_token_hash UNIQUE (team_id, token_hash),
  CONSTRAINT fk_member_session_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_member_session_token_hash ON member_session (token_hash);
COMMENT ON TABLE member_session IS 'Browsers that a member is signed in with, as hashes of their cookies.';

CREATE FUNCTION public.threadlink_team_of_sign_in_link(_token_hash bytea) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT l.team_id FROM public.sign_in_link l WHERE l.token_hash = _token_hash AND l.used_at IS NULL
$$;
CREATE FUNCTION public.threadlink_team_of_session(_token_hash bytea) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.team_id FROM public.member_session s WHERE s.token_hash = _token_hash
$$;
REVOKE EXECUTE ON FUNCTION public.threadlink_team_of_sign_in_link(bytea), public.threadlink_team_of_session(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.threadlink_team_of_sign_in_link(bytea), public.threadlink_team_of_session(bytea) TO threadlink_app;

-- Row-level security would keep a query from going by ix_inbox_entry_words (threats.md F3), so this reads as the owner, and
-- the accounts of the team whose transaction it is alone. A vague query is answered from an account's newest 2,000
-- conversations, any other from at most 1,000 that fit.
CREATE FUNCTION public.threadlink_search_inbox(_words text[], _accounts bigint[], _state text, _limit integer)
RETURNS TABLE (conversation_id bigint, last_message_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH asked AS MATERIALIZED (
    SELECT a.team_id, a.id AS account_id,
      (SELECT string_agg(
         '''' || a.id::text || ':' || replace(replace(word, '\', '\\'), '''', '''''') || ''''
           || CASE WHEN length(word) > 2 THEN ':*' ELSE '' END, ' & ')::tsquery
       FROM unnest(_words) AS word) AS query
    FROM public.account a
    WHERE a.team_id = nullif(current_setting('threadlink.team', true), '')::bigint AND a.id = ANY (_accounts)
  ), newest AS MATERIALIZED (
    SELECT e.conversation_id, e.last_message_at FROM asked
    CROSS JOIN LATERAL (
      SELECT i.conversation_id, i.last_message_at, i.state, i.account_id, i.words FROM public.inbox_entry i
      WHERE i.team_id = asked.team_id AND i.account_id = asked.account_id
      ORDER BY i.last_message_at DESC, i.conversation_id DESC LIMIT 2000
    ) AS e
    WHERE (_state IS NULL OR e.state = _state) AND array_to_tsvector(string_to_array(
      e.account_id::text || ':' || replace(e.words, ' ', ' ' || e.account_id::text || ':'), ' ')) @@ asked.query
  ), others AS MATERIALIZED (
    SELECT e.conversation_id, e.last_message_at FROM asked
    CROSS JOIN LATERAL (
      SELECT i.conversation_id, i.last_message_at FROM public.inbox_entry i
      WHERE array_to_tsvector(string_to_array(
          i.account_id::text || ':' || replace(i.words, ' ', ' ' || i.account_id::text || ':'), ' ')) @@ asked.query
        AND i.team_id = asked.team_id AND i.account_id = asked.account_id AND (_state IS NULL OR i.state = _state)
      LIMIT 1000
    ) AS e
    WHERE (SELECT count(*) FROM newest) < _limit
  )
  SELECT found.conversation_id, max(found.last_message_at) FROM (SELECT * FROM newest UNION SELECT * FROM others) AS found
  GROUP BY found.conversation_id ORDER BY 2 DESC, 1 DESC LIMIT _limit
$$;
REVOKE EXECUTE ON FUNCTION public.threadlink_search_inbox(text[], bigint[], text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.threadlink_search_inbox(text[], bigint[], text, integer) TO threadlink_app;
