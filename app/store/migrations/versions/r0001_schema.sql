-- The tables as they were when this revision was made (app/store/schema/); later changes are later revisions.

CREATE TABLE installation (
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  CONSTRAINT pk_installation PRIMARY KEY (key)
);
COMMENT ON TABLE installation IS 'Facts of this installation that belong to no team: the encryption canary.';

CREATE TABLE team (
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  name TEXT NOT NULL,
  plan TEXT DEFAULT 'unrestricted' NOT NULL,
  locale TEXT DEFAULT 'en' NOT NULL,
  domains TEXT[] DEFAULT '{}'::text[] NOT NULL,
  policy JSONB DEFAULT '{}'::jsonb NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT pk_team PRIMARY KEY (id),
  CONSTRAINT uq_team_public_id UNIQUE (public_id)
);

CREATE TABLE audit (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  member_id BIGINT,
  action TEXT NOT NULL,
  conversation_id BIGINT,
  batch_id UUID,
  detail JSONB DEFAULT '{}'::jsonb NOT NULL,
  CONSTRAINT pk_audit PRIMARY KEY (team_id, id),
  CONSTRAINT fk_audit_team_id FOREIGN KEY(team_id) REFERENCES team (id) ON DELETE CASCADE
);
CREATE INDEX ix_audit_batch ON audit (team_id, batch_id) WHERE batch_id is not null;
CREATE INDEX ix_audit_conversation ON audit (team_id, conversation_id);

CREATE TABLE conversation (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  namespace TEXT DEFAULT '' NOT NULL,
  subject TEXT DEFAULT '' NOT NULL,
  first_message_at TIMESTAMP WITH TIME ZONE NOT NULL,
  last_message_at TIMESTAMP WITH TIME ZONE NOT NULL,
  message_count INTEGER DEFAULT '0' NOT NULL,
  visibility TEXT,
  merged_into BIGINT,
  decision_id BIGINT,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT pk_conversation PRIMARY KEY (team_id, id),
  CONSTRAINT uq_conversation_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT fk_conversation_team_id FOREIGN KEY(team_id) REFERENCES team (id) ON DELETE CASCADE,
  CONSTRAINT fk_conversation_team_id_merged_into FOREIGN KEY(team_id, merged_into) REFERENCES conversation (team_id, id)
);
CREATE INDEX ix_conversation_recent ON conversation (team_id, last_message_at DESC, id DESC);

CREATE TABLE crm_connection (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  adapter TEXT NOT NULL,
  company TEXT DEFAULT '' NOT NULL,
  settings JSONB DEFAULT '{}'::jsonb NOT NULL,
  ciphertext BYTEA,
  state TEXT DEFAULT 'live' NOT NULL,
  state_reason TEXT DEFAULT '' NOT NULL,
  throttled_until TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT pk_crm_connection PRIMARY KEY (team_id, id),
  CONSTRAINT uq_crm_connection_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT fk_crm_connection_team_id FOREIGN KEY(team_id) REFERENCES team (id) ON DELETE CASCADE
);
CREATE INDEX ix_crm_connection_public_id ON crm_connection (public_id);

CREATE TABLE member (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  name TEXT NOT NULL,
  email TEXT NOT NULL,
  role TEXT DEFAULT 'member' NOT NULL,
  removed_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT pk_member PRIMARY KEY (team_id, id),
  CONSTRAINT uq_member_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT uq_member_team_id_email UNIQUE (team_id, email),
  CONSTRAINT ck_member_role CHECK (role in ('admin','member')),
  CONSTRAINT fk_member_team_id FOREIGN KEY(team_id) REFERENCES team (id) ON DELETE CASCADE
);

CREATE TABLE account (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  provider TEXT NOT NULL,
  kind TEXT NOT NULL,
  address TEXT NOT NULL,
  mailbox TEXT NOT NULL,
  provider_user_id TEXT DEFAULT '' NOT NULL,
  owner_id BIGINT,
  own_addresses TEXT[] DEFAULT '{}'::text[] NOT NULL,
  auto_link BOOLEAN DEFAULT true NOT NULL,
  visibility TEXT DEFAULT 'full' NOT NULL,
  state TEXT DEFAULT 'connecting' NOT NULL,
  state_reason TEXT DEFAULT '' NOT NULL,
  state_since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  paused BOOLEAN DEFAULT false NOT NULL,
  cursor TEXT,
  cursor_version BIGINT DEFAULT '0' NOT NULL,
  history_from TIMESTAMP WITH TIME ZONE,
  subscription_id TEXT,
  subscription_expires_at TIMESTAMP WITH TIME ZONE,
  throttled_until TIMESTAMP WITH TIME ZONE,
  last_sync_at TIMESTAMP WITH TIME ZONE,
  last_audit_at TIMESTAMP WITH TIME ZONE,
  last_error TEXT,
  failures INTEGER DEFAULT '0' NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT pk_account PRIMARY KEY (team_id, id),
  CONSTRAINT uq_account_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT uq_account_team_id_provider_mailbox UNIQUE (team_id, provider, mailbox),
  CONSTRAINT uq_account_team_id_address UNIQUE (team_id, address),
  CONSTRAINT ck_account_kind CHECK (kind in ('personal','team')),
  CONSTRAINT ck_account_visibility CHECK (visibility in ('private','metadata','subject','full')),
  CONSTRAINT fk_account_team_id FOREIGN KEY(team_id) REFERENCES team (id) ON DELETE CASCADE,
  CONSTRAINT fk_account_team_id_owner_id FOREIGN KEY(team_id, owner_id) REFERENCES member (team_id, id)
);
CREATE INDEX ix_account_id ON account (id);
CREATE INDEX ix_account_mailbox ON account (provider, mailbox);

CREATE TABLE connect_request (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  token_hash BYTEA NOT NULL,
  member_id BIGINT NOT NULL,
  provider TEXT NOT NULL,
  kind TEXT NOT NULL,
  address TEXT DEFAULT '' NOT NULL,
  collaborators BIGINT[] DEFAULT '{}'::bigint[] NOT NULL,
  auto_link BOOLEAN DEFAULT true NOT NULL,
  history_from TIMESTAMP WITH TIME ZONE,
  browser_hash BYTEA,
  state_hash BYTEA,
  kept BYTEA,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  used_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_connect_request PRIMARY KEY (team_id, id),
  CONSTRAINT uq_connect_request_team_id_token_hash UNIQUE (team_id, token_hash),
  CONSTRAINT fk_connect_request_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_connect_request_state_hash ON connect_request (state_hash);
CREATE INDEX ix_connect_request_token_hash ON connect_request (token_hash);
COMMENT ON TABLE connect_request IS 'One-time links that connect a mailbox, bound to the browser that opens them.';

CREATE TABLE conversation_merge (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  survivor_id BIGINT NOT NULL,
  absorbed_id BIGINT NOT NULL,
  account_id BIGINT,
  before JSONB DEFAULT '{}'::jsonb NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  undone_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_conversation_merge PRIMARY KEY (team_id, id),
  CONSTRAINT fk_conversation_merge_team_id_survivor_id FOREIGN KEY(team_id, survivor_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_conversation_merge_team_id_absorbed_id FOREIGN KEY(team_id, absorbed_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_conversation_merge_account ON conversation_merge (team_id, account_id, at);

CREATE TABLE crm_note (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  connection_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  external_id TEXT NOT NULL,
  marker UUID NOT NULL,
  related TEXT[] DEFAULT '{}'::text[] NOT NULL,
  text TEXT DEFAULT '' NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_crm_note PRIMARY KEY (team_id, id),
  CONSTRAINT fk_crm_note_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_crm_note_marker ON crm_note (team_id, marker);
CREATE INDEX ix_crm_note_record ON crm_note (team_id, connection_id, kind, external_id);

CREATE TABLE crm_record (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  external_id TEXT NOT NULL,
  name TEXT DEFAULT '' NOT NULL,
  search TEXT DEFAULT '' NOT NULL,
  state TEXT DEFAULT 'open' NOT NULL,
  organization_id TEXT,
  person_id TEXT,
  participants TEXT[] DEFAULT '{}'::text[] NOT NULL,
  addresses TEXT[] DEFAULT '{}'::text[] NOT NULL,
  merged_into TEXT,
  state_before TEXT,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  changed BIGINT GENERATED BY DEFAULT AS IDENTITY,
  CONSTRAINT pk_crm_record PRIMARY KEY (team_id, connection_id, kind, external_id),
  CONSTRAINT fk_crm_record_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_crm_record_changed ON crm_record (team_id, connection_id, changed);

CREATE TABLE crm_write (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  conversation_id BIGINT NOT NULL,
  crm_connection_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  external_id TEXT NOT NULL,
  marker UUID DEFAULT gen_random_uuid() NOT NULL,
  state TEXT DEFAULT 'wanted' NOT NULL,
  wanted BIGINT DEFAULT '1' NOT NULL,
  written BIGINT DEFAULT '0' NOT NULL,
  content_digest BYTEA,
  written_id TEXT,
  writes INTEGER DEFAULT '0' NOT NULL,
  reads INTEGER DEFAULT '0' NOT NULL,
  attempts INTEGER DEFAULT '0' NOT NULL,
  next_at TIMESTAMP WITH TIME ZONE,
  written_at TIMESTAMP WITH TIME ZONE,
  error TEXT DEFAULT '' NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT pk_crm_write PRIMARY KEY (team_id, id),
  CONSTRAINT uq_crm_write_team_id_conversation_id_crm_connection_id__846f UNIQUE (team_id, conversation_id, crm_connection_id, kind, external_id),
  CONSTRAINT ck_crm_write_state CHECK (state in ('wanted','intended','written','parked','removed')),
  CONSTRAINT fk_crm_write_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_crm_write_team_id_crm_connection_id FOREIGN KEY(team_id, crm_connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_crm_write_due ON crm_write (next_at) WHERE state in ('wanted','intended');

CREATE TABLE decision (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  conversation_id BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail JSONB DEFAULT '{}'::jsonb NOT NULL,
  trigger_id BIGINT,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_decision PRIMARY KEY (team_id, id),
  CONSTRAINT uq_decision_team_id_conversation_id_digest UNIQUE (team_id, conversation_id, digest),
  CONSTRAINT fk_decision_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE
);

CREATE TABLE dismissal (
  team_id BIGINT NOT NULL,
  conversation_id BIGINT NOT NULL,
  member_id BIGINT,
  candidates JSONB DEFAULT '[]'::jsonb NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_dismissal PRIMARY KEY (team_id, conversation_id),
  CONSTRAINT fk_dismissal_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE
);

CREATE TABLE link (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  conversation_id BIGINT NOT NULL,
  crm_connection_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  external_id TEXT NOT NULL,
  title TEXT DEFAULT '' NOT NULL,
  is_primary BOOLEAN DEFAULT false NOT NULL,
  origin TEXT NOT NULL,
  made_by BIGINT,
  made_at TIMESTAMP WITH TIME ZONE NOT NULL,
  decision_id BIGINT,
  counterparts BYTEA,
  batch_id UUID,
  removed_at TIMESTAMP WITH TIME ZONE,
  removed_by BIGINT,
  removed_batch_id UUID,
  removed_why TEXT DEFAULT '' NOT NULL,
  CONSTRAINT pk_link PRIMARY KEY (team_id, id),
  CONSTRAINT uq_link_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT fk_link_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_link_team_id_crm_connection_id FOREIGN KEY(team_id, crm_connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_link_counterparts ON link (team_id, counterparts) WHERE counterparts is not null;
CREATE INDEX ix_link_record ON link (team_id, crm_connection_id, kind, external_id);
CREATE UNIQUE INDEX uq_link_primary ON link (team_id, conversation_id) WHERE is_primary and removed_at is null;
CREATE UNIQUE INDEX uq_link_record ON link (team_id, conversation_id, crm_connection_id, kind, external_id) WHERE removed_at is null;

CREATE TABLE merge_pair (
  team_id BIGINT NOT NULL,
  conversation_id BIGINT NOT NULL,
  other_id BIGINT NOT NULL,
  why TEXT DEFAULT '' NOT NULL,
  message_id BIGINT,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_merge_pair PRIMARY KEY (team_id, conversation_id, other_id),
  CONSTRAINT fk_merge_pair_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_merge_pair_team_id_other_id FOREIGN KEY(team_id, other_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE merge_pair IS 'Conversations that look like one and were left apart; the review queue shows them.';

CREATE TABLE message (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  public_id UUID DEFAULT gen_random_uuid() NOT NULL,
  conversation_id BIGINT NOT NULL,
  namespace TEXT DEFAULT '' NOT NULL,
  mid_hash BYTEA NOT NULL,
  fingerprint BYTEA NOT NULL,
  internet_id TEXT NOT NULL,
  subject TEXT DEFAULT '' NOT NULL,
  base_subject TEXT DEFAULT '' NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  date_header TIMESTAMP WITH TIME ZONE,
  joined TEXT DEFAULT 'founded' NOT NULL,
  automated TEXT,
  is_reply BOOLEAN DEFAULT false NOT NULL,
  is_forward BOOLEAN DEFAULT false NOT NULL,
  in_reply_to TEXT,
  refs TEXT[] DEFAULT '{}'::text[] NOT NULL,
  other_ids TEXT[] DEFAULT '{}'::text[] NOT NULL,
  bounce_of TEXT,
  thread_index TEXT,
  flags TEXT[] DEFAULT '{}'::text[] NOT NULL,
  CONSTRAINT pk_message PRIMARY KEY (team_id, id),
  CONSTRAINT uq_message_team_id_public_id UNIQUE (team_id, public_id),
  CONSTRAINT uq_message_team_id_namespace_mid_hash_fingerprint UNIQUE (team_id, namespace, mid_hash, fingerprint),
  CONSTRAINT fk_message_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_message_conversation ON message (team_id, conversation_id);

CREATE TABLE mirror_address (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  company TEXT DEFAULT '' NOT NULL,
  person_id TEXT NOT NULL,
  address TEXT NOT NULL,
  match_key TEXT NOT NULL,
  position INTEGER DEFAULT '0' NOT NULL,
  CONSTRAINT pk_mirror_address PRIMARY KEY (team_id, connection_id, company, person_id, address),
  CONSTRAINT fk_mirror_address_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_mirror_address_address ON mirror_address (team_id, address);
CREATE INDEX ix_mirror_address_match_key ON mirror_address (team_id, match_key);

CREATE TABLE mirror_cursor (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  cursor TEXT,
  refreshed_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_mirror_cursor PRIMARY KEY (team_id, connection_id),
  CONSTRAINT fk_mirror_cursor_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);

CREATE TABLE mirror_item (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  company TEXT DEFAULT '' NOT NULL,
  kind TEXT NOT NULL,
  external_id TEXT NOT NULL,
  title TEXT DEFAULT '' NOT NULL,
  search TEXT DEFAULT '' NOT NULL,
  state TEXT DEFAULT 'open' NOT NULL,
  organization_id TEXT,
  merged_into TEXT,
  visibility JSONB,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_mirror_item PRIMARY KEY (team_id, connection_id, company, kind, external_id),
  CONSTRAINT fk_mirror_item_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_mirror_item_organization ON mirror_item (team_id, organization_id);

CREATE TABLE mirror_item_person (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  company TEXT DEFAULT '' NOT NULL,
  kind TEXT NOT NULL,
  item_id TEXT NOT NULL,
  person_id TEXT NOT NULL,
  role TEXT NOT NULL,
  CONSTRAINT pk_mirror_item_person PRIMARY KEY (team_id, connection_id, company, kind, item_id, person_id),
  CONSTRAINT fk_mirror_item_person_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_mirror_item_person_person ON mirror_item_person (team_id, person_id, connection_id);

CREATE TABLE mirror_organization (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  company TEXT DEFAULT '' NOT NULL,
  external_id TEXT NOT NULL,
  name TEXT DEFAULT '' NOT NULL,
  deleted BOOLEAN DEFAULT false NOT NULL,
  visibility JSONB,
  updated_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_mirror_organization PRIMARY KEY (team_id, connection_id, company, external_id),
  CONSTRAINT fk_mirror_organization_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);

CREATE TABLE mirror_person (
  team_id BIGINT NOT NULL,
  connection_id BIGINT NOT NULL,
  company TEXT DEFAULT '' NOT NULL,
  external_id TEXT NOT NULL,
  name TEXT DEFAULT '' NOT NULL,
  organization_id TEXT,
  merged_into TEXT,
  deleted BOOLEAN DEFAULT false NOT NULL,
  visibility JSONB,
  created_at TIMESTAMP WITH TIME ZONE,
  updated_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_mirror_person PRIMARY KEY (team_id, connection_id, company, external_id),
  CONSTRAINT fk_mirror_person_team_id_connection_id FOREIGN KEY(team_id, connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);

CREATE TABLE tombstone (
  team_id BIGINT NOT NULL,
  conversation_id BIGINT NOT NULL,
  crm_connection_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  external_id TEXT NOT NULL,
  title TEXT DEFAULT '' NOT NULL,
  member_id BIGINT,
  member_name TEXT DEFAULT '' NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_tombstone PRIMARY KEY (team_id, conversation_id, crm_connection_id, kind, external_id),
  CONSTRAINT fk_tombstone_team_id_conversation_id FOREIGN KEY(team_id, conversation_id) REFERENCES conversation (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_tombstone_team_id_crm_connection_id FOREIGN KEY(team_id, crm_connection_id) REFERENCES crm_connection (team_id, id) ON DELETE CASCADE
);

CREATE TABLE account_collaborator (
  team_id BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  member_id BIGINT NOT NULL,
  CONSTRAINT pk_account_collaborator PRIMARY KEY (team_id, account_id, member_id),
  CONSTRAINT fk_account_collaborator_team_id_account_id FOREIGN KEY(team_id, account_id) REFERENCES account (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_account_collaborator_team_id_member_id FOREIGN KEY(team_id, member_id) REFERENCES member (team_id, id) ON DELETE CASCADE
);

CREATE TABLE account_credential (
  team_id BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  kind TEXT DEFAULT 'oauth' NOT NULL,
  ciphertext BYTEA NOT NULL,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  CONSTRAINT pk_account_credential PRIMARY KEY (team_id, account_id, kind),
  CONSTRAINT fk_account_credential_team_id_account_id FOREIGN KEY(team_id, account_id) REFERENCES account (team_id, id) ON DELETE CASCADE
);

CREATE TABLE conversation_alias (
  team_id BIGINT NOT NULL,
  key BYTEA NOT NULL,
  message_id BIGINT NOT NULL,
  claimed BOOLEAN DEFAULT false NOT NULL,
  CONSTRAINT pk_conversation_alias PRIMARY KEY (team_id, key, message_id),
  CONSTRAINT fk_conversation_alias_team_id_message_id FOREIGN KEY(team_id, message_id) REFERENCES message (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_conversation_alias_message ON conversation_alias (team_id, message_id);

CREATE TABLE discovered_message (
  team_id BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  provider_id TEXT NOT NULL,
  provider_thread_id TEXT DEFAULT '' NOT NULL,
  state TEXT DEFAULT 'pending' NOT NULL,
  rule TEXT DEFAULT '' NOT NULL,
  attempts INTEGER DEFAULT '0' NOT NULL,
  next_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  discovered_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  settled_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_discovered_message PRIMARY KEY (team_id, account_id, provider_id),
  CONSTRAINT ck_discovered_message_state CHECK (state in ('pending','stored','filtered','gone','parked')),
  CONSTRAINT fk_discovered_message_team_id_account_id FOREIGN KEY(team_id, account_id) REFERENCES account (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_discovered_message_parked ON discovered_message (team_id, account_id) WHERE state = 'parked';
CREATE INDEX ix_discovered_message_pending ON discovered_message (team_id, account_id, next_at) WHERE state = 'pending';

CREATE TABLE hint (
  team_id BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  generation BIGINT DEFAULT '0' NOT NULL,
  synced_generation BIGINT DEFAULT '0' NOT NULL,
  queued BOOLEAN DEFAULT false NOT NULL,
  queued_generation BIGINT DEFAULT '0' NOT NULL,
  position TEXT,
  pushed_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_hint PRIMARY KEY (team_id, account_id),
  CONSTRAINT fk_hint_team_id_account_id FOREIGN KEY(team_id, account_id) REFERENCES account (team_id, id) ON DELETE CASCADE
);

CREATE TABLE message_copy (
  team_id BIGINT NOT NULL,
  id BIGINT GENERATED ALWAYS AS IDENTITY,
  message_id BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  provider_id TEXT NOT NULL,
  provider_thread_id TEXT DEFAULT '' NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  in_sent BOOLEAN DEFAULT false NOT NULL,
  verdict TEXT DEFAULT 'none' NOT NULL,
  joined TEXT DEFAULT 'founded' NOT NULL,
  snippet TEXT DEFAULT '' NOT NULL,
  attachments JSONB DEFAULT '[]'::jsonb NOT NULL,
  genuine BOOLEAN DEFAULT false NOT NULL,
  parked TEXT,
  deleted_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_message_copy PRIMARY KEY (team_id, id),
  CONSTRAINT uq_message_copy_team_id_account_id_provider_id UNIQUE (team_id, account_id, provider_id),
  CONSTRAINT fk_message_copy_team_id_message_id FOREIGN KEY(team_id, message_id) REFERENCES message (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_message_copy_team_id_account_id FOREIGN KEY(team_id, account_id) REFERENCES account (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_message_copy_message ON message_copy (team_id, message_id);

CREATE TABLE message_body (
  team_id BIGINT NOT NULL,
  copy_id BIGINT NOT NULL,
  text TEXT DEFAULT '' NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_message_body PRIMARY KEY (team_id, copy_id),
  CONSTRAINT fk_message_body_team_id_copy_id FOREIGN KEY(team_id, copy_id) REFERENCES message_copy (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_message_body_expires_at ON message_body (expires_at);

CREATE TABLE participant (
  team_id BIGINT NOT NULL,
  message_id BIGINT NOT NULL,
  position INTEGER NOT NULL,
  copy_id BIGINT,
  role TEXT NOT NULL,
  address TEXT NOT NULL,
  name TEXT DEFAULT '' NOT NULL,
  CONSTRAINT pk_participant PRIMARY KEY (team_id, message_id, position),
  CONSTRAINT fk_participant_team_id_message_id FOREIGN KEY(team_id, message_id) REFERENCES message (team_id, id) ON DELETE CASCADE,
  CONSTRAINT fk_participant_team_id_copy_id FOREIGN KEY(team_id, copy_id) REFERENCES message_copy (team_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_participant_address ON participant (team_id, address);
