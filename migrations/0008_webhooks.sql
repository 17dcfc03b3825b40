-- Endpoints of other programs that are told what happens. `events` is a JSON array of types, or ["*"]; `secrets` is
-- sealed. `failing_since_ms` is the first failure since the last success.
create table webhooks (
  tenant_id text not null,
  id text not null,
  name text not null,
  name_key text not null,
  description text,
  url text not null,
  events text not null,
  active boolean not null,
  off_reason text,
  allow_private_egress boolean not null,
  secrets text not null,
  secret_ms bigint not null,
  failing_since_ms bigint,
  version bigint not null,
  created_ms bigint not null,
  primary key (tenant_id, id)
);
create unique index webhooks_name on webhooks (tenant_id, name_key);

-- What an endpoint is told. The lane (task `webhook` in `lanes`) is one endpoint and one conversation; `seq` is the
-- place in it, drawn from the lane's `gen`. `message_id` stays the same however often it is sent: the id of the event
-- or of the rule's effect. `attempts` counts calls for ever, `tries` those since it was queued last.
create table webhook_deliveries (
  tenant_id text not null,
  id text not null,
  webhook_id text not null,
  lane_id text not null,
  seq bigint not null,
  message_id text not null,
  type text not null,
  conversation_id text,
  channel_id text not null,
  payload text not null,
  state text not null,
  problem text,
  attempts bigint not null,
  tries bigint not null,
  next_ms bigint not null,
  created_ms bigint not null,
  done_ms bigint,
  primary key (tenant_id, id)
);
create index webhook_deliveries_next on webhook_deliveries (tenant_id, lane_id, seq) where state = 'waiting';
create index webhook_deliveries_queue on webhook_deliveries (tenant_id, webhook_id, created_ms) where state = 'waiting';
create index webhook_deliveries_log on webhook_deliveries (tenant_id, webhook_id, id);
create index webhook_deliveries_failed on webhook_deliveries (tenant_id, webhook_id, id) where state = 'failed';
create index webhook_deliveries_conversation on webhook_deliveries (tenant_id, conversation_id)
  where conversation_id is not null;
create index webhook_deliveries_age on webhook_deliveries (tenant_id, done_ms) where done_ms is not null;

create table webhook_attempts (
  tenant_id text not null,
  delivery_id text not null,
  number bigint not null,
  at_ms bigint not null,
  took_ms bigint not null,
  status bigint,
  answer text,
  problem text,
  primary key (tenant_id, delivery_id, number)
);
create index webhook_attempts_age on webhook_attempts (tenant_id, at_ms);

-- A change shows what was there before and after it, and where it came from.
alter table audit add column was text;
alter table audit add column became text;
alter table audit add column address text;
alter table audit add column user_agent text;
create index audit_actor on audit (tenant_id, actor, id);
create index audit_target on audit (tenant_id, target, id);
