CREATE TABLE offer (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  connection_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  external_id TEXT NOT NULL,
  state TEXT DEFAULT 'open' NOT NULL,
  made_at TIMESTAMP WITH TIME ZONE NOT NULL,
  settled_at TIMESTAMP WITH TIME ZONE,
  settled_by BIGINT,
  CONSTRAINT pk_offer PRIMARY KEY (team_id, id),
  CONSTRAINT uq_offer_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT uq_offer_team_id_connection_id_kind_external_id UNIQUE (team_id, connection_id, kind, external_id),
  CONSTRAINT ck_offer_state CHECK (state in ('open','accepted','declined')),
  CONSTRAINT fk_offer_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE offer IS 'Items that were created or opened again: earlier conversations may belong to them.';
