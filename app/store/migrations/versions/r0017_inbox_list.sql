CREATE TABLE saved_filter (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  member_id BIGINT NOT NULL,
  name TEXT NOT NULL,
  query TEXT NOT NULL,
  CONSTRAINT pk_saved_filter PRIMARY KEY (team_id, id),
  CONSTRAINT uq_saved_filter_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT uq_saved_filter_team_id_member_id_name UNIQUE (team_id, member_id, name),
  CONSTRAINT fk_saved_filter_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE saved_filter IS 'Filters of the inbox that a member keeps under a name.';

CREATE TABLE last_action (
  team_id BIGINT NOT NULL,
  member_id BIGINT NOT NULL,
  batch_id UUID NOT NULL,
  done TEXT NOT NULL,
  n INTEGER DEFAULT 0 NOT NULL,
  left_as_is INTEGER DEFAULT 0 NOT NULL,
  CONSTRAINT pk_last_action PRIMARY KEY (team_id, member_id),
  CONSTRAINT fk_last_action_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE last_action IS 'What each member did last and has neither undone nor dismissed: the pages offer its undo.';

