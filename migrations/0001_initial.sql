-- One text for SQLite and PostgreSQL. TEXT, BIGINT and BOOLEAN only; times are unix milliseconds (`_ms`);
-- ids and JSON are TEXT. `tenant_id` leads every key, so that the schema can be distributed by tenant.

create table tenants (
  id text not null primary key,
  name text not null,
  settings text not null,
  created_ms bigint not null
);

-- People and credentials ------------------------------------------------------------------------------------
create table users (
  tenant_id text not null,
  id text not null,
  email text not null,
  name text not null,
  role text not null,
  password_hash text,
  presence text not null,
  created_ms bigint not null,
  disabled_ms bigint,
  primary key (tenant_id, id)
);
create unique index users_email on users (tenant_id, email);

create table sessions (
  tenant_id text not null,
  id text not null,
  token_hash text not null,
  csrf_hash text not null,
  user_id text not null,
  created_ms bigint not null,
  expires_ms bigint not null,
  primary key (tenant_id, id)
);
create unique index sessions_token on sessions (token_hash);

create table api_keys (
  tenant_id text not null,
  id text not null,
  name text not null,
  role text not null,
  key_hash text not null,
  created_ms bigint not null,
  expires_ms bigint,
  revoked_ms bigint,
  primary key (tenant_id, id)
);
create unique index api_keys_hash on api_keys (key_hash);

create table signin_links (
  tenant_id text not null,
  token_hash text not null,
  role text not null,
  user_id text,
  created_ms bigint not null,
  expires_ms bigint not null,
  used_ms bigint,
  primary key (tenant_id, token_hash)
);

create table groups (
  tenant_id text not null,
  id text not null,
  name text not null,
  name_key text not null,
  calendar_id text,
  language text,
  version bigint not null,
  created_ms bigint not null,
  primary key (tenant_id, id)
);
create unique index groups_name on groups (tenant_id, name_key);

create table group_members (
  tenant_id text not null,
  group_id text not null,
  user_id text not null,
  primary key (tenant_id, group_id, user_id)
);

create table calendars (
  tenant_id text not null,
  id text not null,
  name text not null,
  name_key text not null,
  body text not null,
  version bigint not null,
  created_ms bigint not null,
  primary key (tenant_id, id)
);
create unique index calendars_name on calendars (tenant_id, name_key);

-- Plugins and channels ---------------------------------------------------------------------------------------
create table plugins (
  id text not null primary key,
  version text not null,
  digest text not null,
  state text not null,
  manifest text not null,
  installed_ms bigint not null
);

create table channels (
  tenant_id text not null,
  id text not null,
  provider text not null,
  kind text not null,
  name text not null,
  address text not null,
  settings text not null,
  secrets text not null,
  secrets_set text not null,
  hook_key text not null,
  default_group_id text,
  assigned_user_id text,
  owner_user_id text,
  language text,
  active boolean not null,
  receive_only boolean not null,
  masked boolean not null,
  allow_private_egress boolean not null,
  idle_end_ms bigint not null,
  reopen_policy text not null,
  state text not null,
  state_reason text,
  state_since_ms bigint not null,
  version bigint not null,
  created_ms bigint not null,
  deleted_ms bigint,
  primary key (tenant_id, id)
);
create unique index channels_hook on channels (hook_key);

create table templates (
  tenant_id text not null,
  channel_id text not null,
  id text not null,
  vendor_id text,
  name text not null,
  language text not null,
  category text,
  status text not null,
  body text not null,
  slots text not null,
  buttons text not null,
  synced_ms bigint not null,
  primary key (tenant_id, channel_id, id)
);
create unique index templates_name on templates (tenant_id, channel_id, name, language);

-- Rules --------------------------------------------------------------------------------------------------------
create table rules (
  tenant_id text not null,
  id text not null,
  name text not null,
  position bigint not null,
  enabled boolean not null,
  draft text,
  cases text,
  published_version_id text,
  published_number bigint not null,
  version bigint not null,
  created_ms bigint not null,
  updated_ms bigint not null,
  primary key (tenant_id, id)
);

create table rule_versions (
  tenant_id text not null,
  id text not null,
  rule_id text not null,
  number bigint not null,
  source text not null,
  author text not null,
  message text,
  created_ms bigint not null,
  primary key (tenant_id, id)
);
create unique index rule_versions_number on rule_versions (tenant_id, rule_id, number);

-- People outside -------------------------------------------------------------------------------------------------
create table contacts (
  tenant_id text not null,
  id text not null,
  name text,
  phone text,
  language text,
  attributes text not null,
  blocked_ms bigint,
  created_ms bigint not null,
  primary key (tenant_id, id)
);

create table identities (
  tenant_id text not null,
  id text not null,
  contact_id text not null,
  channel_kind text not null,
  kind text not null,
  value text not null,
  address text not null,
  phone text,
  scoped_id text,
  username text,
  evidence text not null,
  created_ms bigint not null,
  primary key (tenant_id, id)
);
create unique index identities_value on identities (tenant_id, channel_kind, kind, value);

create table opt_outs (
  tenant_id text not null,
  contact_id text not null,
  channel_kind text not null,
  since_ms bigint not null,
  source text not null,
  primary key (tenant_id, contact_id, channel_kind)
);

-- The way in -------------------------------------------------------------------------------------------------------
create table raw_webhooks (
  tenant_id text not null,
  id text not null,
  channel_id text not null,
  received_ms bigint not null,
  request text not null,
  outcome text not null,
  problem text,
  primary key (tenant_id, id)
);
create index raw_webhooks_quarantined on raw_webhooks (tenant_id, received_ms) where outcome = 'quarantined';
create index raw_webhooks_age on raw_webhooks (received_ms);

-- One row per lane and task (`turn`, `deliver`): the coalesced job of apalis workers. `ready_ms` is null when there
-- is nothing to do, the end of the lease while a worker has it, and the moment work may start otherwise. `gen` counts
-- what was appended, `done` what was worked off; `token` fences a worker whose lease ran out.
create table lanes (
  tenant_id text not null,
  id text not null,
  task text not null,
  channel_id text not null,
  ready_ms bigint,
  leased boolean not null,
  owner text,
  token bigint not null,
  gen bigint not null,
  done bigint not null,
  attempts bigint not null,
  conversation_id text,
  primary key (tenant_id, id, task)
);
create index lanes_ready on lanes (task, ready_ms) where ready_ms is not null;
create index lanes_owned on lanes (owner) where leased;

create table inbox (
  tenant_id text not null,
  lane_id text not null,
  seq bigint not null,
  id text not null,
  channel_id text not null,
  raw_id text,
  dedupe_key text not null,
  body text not null,
  received_ms bigint not null,
  problem text,
  primary key (tenant_id, lane_id, seq)
);
create unique index inbox_dedupe on inbox (tenant_id, channel_id, dedupe_key);
create index inbox_age on inbox (received_ms);
create index inbox_poisoned on inbox (tenant_id, received_ms) where problem is not null;

-- Conversations ------------------------------------------------------------------------------------------------------
create table conversations (
  tenant_id text not null,
  id text not null,
  channel_id text not null,
  contact_id text not null,
  identity_id text not null,
  lane_id text not null,
  live boolean not null,
  status text not null,
  group_id text,
  assignee_id text,
  priority text not null,
  labels text not null,
  attributes text not null,
  language text,
  ai text not null,
  window_closes_ms bigint,
  last_inbound_ms bigint,
  last_outbound_ms bigint,
  last_activity_ms bigint not null,
  inbound_count bigint not null,
  outbound_count bigint not null,
  reopen_count bigint not null,
  unread bigint not null,
  preview text,
  last_responder_id text,
  automatic text not null,
  deadlines text not null,
  due_ms bigint,
  created_ms bigint not null,
  ended_ms bigint,
  archived_ms bigint,
  snoozed_until_ms bigint,
  seq bigint not null,
  version bigint not null,
  primary key (tenant_id, id)
);
create unique index conversations_open on conversations (tenant_id, channel_id, identity_id) where status <> 'closed';
create index conversations_lane on conversations (tenant_id, lane_id, created_ms);
create index conversations_recent on conversations (tenant_id, last_activity_ms);
create index conversations_due on conversations (due_ms) where due_ms is not null;

create table messages (
  tenant_id text not null,
  id text not null,
  conversation_id text not null,
  channel_id text not null,
  seq bigint not null,
  direction text not null,
  sender_kind text not null,
  sender_id text,
  content text not null,
  status text,
  failure text,
  vendor_id text,
  effect_id text,
  reply_to text,
  at_ms bigint not null,
  created_ms bigint not null,
  status_ms bigint,
  primary key (tenant_id, id)
);
create index messages_conversation on messages (tenant_id, conversation_id, seq);
create index messages_vendor on messages (tenant_id, channel_id, vendor_id) where vendor_id is not null;

-- The log ---------------------------------------------------------------------------------------------------------------
create table events (
  tenant_id text not null,
  id text not null,
  conversation_id text,
  channel_id text,
  seq bigint not null,
  type text not null,
  body text not null,
  cause text not null,
  at_ms bigint not null,
  primary key (tenant_id, id)
);
create index events_conversation on events (tenant_id, conversation_id, seq);

create table runs (
  tenant_id text not null,
  event_id text not null,
  conversation_id text,
  facts text not null,
  trace text not null,
  at_ms bigint not null,
  primary key (tenant_id, event_id)
);
create index runs_conversation on runs (tenant_id, conversation_id, at_ms);

-- The way out --------------------------------------------------------------------------------------------------------------
create table effects (
  tenant_id text not null,
  id text not null,
  lane_id text not null,
  channel_id text not null,
  conversation_id text not null,
  message_id text,
  seq bigint not null,
  kind text not null,
  state text not null,
  attempts bigint not null,
  next_ms bigint not null,
  failure text,
  rule_version_id text,
  event_id text,
  created_ms bigint not null,
  done_ms bigint,
  primary key (tenant_id, id)
);
create index effects_waiting on effects (tenant_id, lane_id, seq) where state in ('queued', 'sending');
create index effects_dead on effects (tenant_id, done_ms) where state in ('failed', 'unknown');

create table attempts (
  tenant_id text not null,
  effect_id text not null,
  number bigint not null,
  started_ms bigint not null,
  ended_ms bigint,
  outcome text,
  failure text,
  primary key (tenant_id, effect_id, number)
);

create table timers (
  tenant_id text not null,
  conversation_id text not null,
  name text not null,
  id text not null,
  lane_id text not null,
  channel_id text not null,
  due_ms bigint not null,
  episode bigint not null,
  rule_id text,
  rule_version_id text,
  created_ms bigint not null,
  primary key (tenant_id, conversation_id, name)
);
create index timers_due on timers (due_ms);

create table jobs (
  tenant_id text not null,
  id text not null,
  name text not null,
  body text not null,
  state text not null,
  attempts bigint not null,
  run_at_ms bigint not null,
  leased_until_ms bigint,
  last_problem text,
  created_ms bigint not null,
  done_ms bigint,
  primary key (tenant_id, id)
);
create index jobs_ready on jobs (run_at_ms) where state = 'ready';

-- For people -------------------------------------------------------------------------------------------------------------------
create table notifications (
  tenant_id text not null,
  id text not null,
  user_id text not null,
  kind text not null,
  conversation_id text,
  text text not null,
  at_ms bigint not null,
  read_ms bigint,
  primary key (tenant_id, id)
);
create index notifications_user on notifications (tenant_id, user_id, at_ms);

create table idempotency (
  tenant_id text not null,
  key text not null,
  request_hash text not null,
  status bigint,
  response text,
  at_ms bigint not null,
  primary key (tenant_id, key)
);

create table audit (
  tenant_id text not null,
  id text not null,
  at_ms bigint not null,
  actor text not null,
  action text not null,
  target text not null,
  detail text not null,
  primary key (tenant_id, id)
);
