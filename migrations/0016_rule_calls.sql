-- Rules with a schedule. Ticks up to `after_ms` are over; `due_ms` is being given out, and `cursor` the last
-- conversation that has it. `cron`: what the row counts by; another schedule begins anew.
create table rule_ticks (
  tenant_id text not null,
  rule_id text not null,
  cron text not null,
  after_ms bigint not null,
  due_ms bigint,
  cursor text,
  ran_ms bigint,
  skipped_ms bigint,
  primary key (tenant_id, rule_id)
);

-- URLs of rules: who calls one raises `webhook.received` in the conversation that the payload names. `secrets` is sealed
-- JSON; `pointer` says where in the payload the conversation's id or the contact's number stands.
create table rule_hooks (
  tenant_id text not null,
  id text not null,
  name text not null,
  key text not null,
  secrets text not null,
  signed boolean not null,
  about text not null,
  pointer text not null,
  channel_id text,
  created_ms bigint not null,
  last_ms bigint,
  last_outcome text,
  primary key (tenant_id, id)
);
create unique index rule_hooks_key on rule_hooks (key);
