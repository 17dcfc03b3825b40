-- Webhooks that arrived while their channel's plugin was stopped, in the order in which they are read later.
create index raw_webhooks_waiting on raw_webhooks (tenant_id, channel_id, id) where outcome = 'waiting';
-- What is read of a channel's past: the last run of each.
create table backfills (
  tenant_id text not null,
  channel_id text not null,
  since_ms bigint not null,
  cursor text,
  state text not null,
  found bigint not null,
  added bigint not null,
  problem text,
  started_ms bigint not null,
  ended_ms bigint,
  primary key (tenant_id, channel_id)
);
