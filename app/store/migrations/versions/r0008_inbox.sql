CREATE TABLE inbox_entry (
  team_id BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  conversation_id BIGINT NOT NULL,
  state TEXT NOT NULL,
  last_message_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_inbox_entry PRIMARY KEY (team_id, account_id, conversation_id),
  CONSTRAINT ck_inbox_entry_state CHECK (state in ('linked','review','unlinked','dismissed')),
  CONSTRAINT fk_inbox_entry_team_id_account_id FOREIGN KEY(team_id, account_id) REFERENCES account (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_inbox_entry_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_inbox_entry_recent ON inbox_entry (team_id, account_id, last_message_at DESC, conversation_id DESC);
CREATE INDEX ix_inbox_entry_state ON inbox_entry (team_id, account_id, state, last_message_at DESC, conversation_id DESC);
CREATE INDEX ix_inbox_entry_conversation ON inbox_entry (team_id, conversation_id);
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

-- What is stored already.
INSERT INTO inbox_entry (team_id, account_id, conversation_id, state, last_message_at)
  SELECT c.team_id, mc.account_id, c.id,
         CASE WHEN bool_or(l.id IS NOT NULL) THEN 'linked' WHEN bool_or(d.conversation_id IS NOT NULL) THEN 'dismissed'
              WHEN bool_or(s.outcome = 'ambiguous') THEN 'review' ELSE 'unlinked' END,
         max(mc.at)
  FROM conversation c
  JOIN message m ON m.team_id = c.team_id AND m.conversation_id = c.id
  JOIN message_copy mc ON mc.team_id = m.team_id AND mc.message_id = m.id AND mc.deleted_at IS NULL
  LEFT JOIN link l ON l.team_id = c.team_id AND l.conversation_id = c.id AND l.is_primary AND l.removed_at IS NULL
  LEFT JOIN dismissal d ON d.team_id = c.team_id AND d.conversation_id = c.id
  LEFT JOIN decision s ON s.team_id = c.team_id AND s.id = c.decision_id
  WHERE c.merged_into IS NULL GROUP BY c.team_id, mc.account_id, c.id;
