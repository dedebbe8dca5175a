CREATE TABLE work (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  member_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT DEFAULT '' NOT NULL,
  request JSONB DEFAULT '{}'::jsonb NOT NULL,
  batch_id UUID NOT NULL,
  total INTEGER NOT NULL,
  done INTEGER DEFAULT '0' NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ended_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_work PRIMARY KEY (team_id, id),
  CONSTRAINT uq_work_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT uq_work_team_id_batch_id UNIQUE (team_id, batch_id),
  CONSTRAINT ck_work_kind CHECK (kind in ('bulk_link','undo','replay','policy')),
  CONSTRAINT ck_work_state CHECK (state in ('looking','ready','doing','done','stopped')),
  CONSTRAINT fk_work_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_work_running ON work (team_id, kind) WHERE state in ('looking','doing');
COMMENT ON TABLE work IS 'What a member asked to be done to many conversations, and how far it is.';

CREATE TABLE work_entry (
  team_id BIGINT NOT NULL,
  work_id BIGINT NOT NULL,
  position INTEGER NOT NULL,
  conversation_id BIGINT NOT NULL,
  state TEXT DEFAULT 'waiting' NOT NULL,
  reason TEXT DEFAULT '' NOT NULL,
  detail JSONB DEFAULT '{}'::jsonb NOT NULL,
  CONSTRAINT pk_work_entry PRIMARY KEY (team_id, work_id, position),
  CONSTRAINT ck_work_entry_state CHECK (state in ('waiting','found','done','refused')),
  CONSTRAINT fk_work_entry_team_id_work_id FOREIGN KEY(team_id, work_id) REFERENCES work (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_work_entry_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_work_entry_conversation ON work_entry (team_id, conversation_id);
COMMENT ON TABLE work_entry IS 'The conversations of a piece of work, each with what became of it.';

CREATE FUNCTION public.threadlink_due_work(_limit integer)
RETURNS TABLE (team_id bigint, work_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT w.team_id, w.id FROM public.work w
  WHERE w.state IN ('looking', 'doing')
    AND NOT EXISTS (SELECT FROM public.procrastinate_jobs j
                    WHERE j.lock = 'work:' || w.id AND j.status IN ('todo', 'doing'))
  ORDER BY w.id LIMIT _limit
$$;
REVOKE EXECUTE ON FUNCTION public.threadlink_due_work(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.threadlink_due_work(integer) TO threadlink_app;
