-- AI plugins as a tenant set them up. `secrets` is a sealed JSON object; `limits` JSON of `store::assistants::Limits`.
create table assistants (
  tenant_id text not null,
  id text not null,
  plugin text not null,
  name text not null,
  name_key text not null,
  settings text not null,
  secrets text not null,
  secrets_set text not null,
  allow_private_egress boolean not null,
  active boolean not null,
  instructions text not null,
  limits text not null,
  version bigint not null,
  created_ms bigint not null,
  primary key (tenant_id, id)
);
create unique index assistants_name on assistants (tenant_id, name_key);

-- An admin's consent that what is written on a channel goes to an assistant. No row: nothing goes.
create table channel_assistants (
  tenant_id text not null,
  channel_id text not null,
  assistant_id text not null,
  replies boolean not null,
  insights_at_end boolean not null,
  instructions text not null,
  tokens_per_day_max bigint,
  cost_micros_per_day_max bigint,
  version bigint not null,
  created_ms bigint not null,
  primary key (tenant_id, channel_id)
);

-- What assistants are told besides, where a group has the conversation.
create table group_instructions (
  tenant_id text not null,
  group_id text not null,
  instructions text not null,
  version bigint not null,
  primary key (tenant_id, group_id)
);

-- What assistants may know.
create table knowledge (
  tenant_id text not null,
  id text not null,
  title text not null,
  body text not null,
  version bigint not null,
  created_ms bigint not null,
  changed_ms bigint not null,
  primary key (tenant_id, id)
);

-- What assistants used, by UTC day (days since 1970-01-01).
create table assistant_usage (
  tenant_id text not null,
  day bigint not null,
  channel_id text not null,
  assistant_id text not null,
  runs bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cost_micros bigint not null,
  primary key (tenant_id, day, channel_id, assistant_id)
);
