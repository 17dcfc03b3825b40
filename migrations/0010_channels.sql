-- How a channel is doing: one row per channel, so that nobody counts tables that grow. The counts are added up in memory
-- and written every few seconds; `problem` is the vendor's last refusal, `report` what the vendor said about the account
-- when it was last asked, both JSON.
create table channel_health (
  tenant_id text not null,
  channel_id text not null,
  received bigint not null,
  stored bigint not null,
  quarantined bigint not null,
  sent bigint not null,
  failed bigint not null,
  last_inbound_ms bigint,
  last_sent_ms bigint,
  problem text,
  problem_ms bigint,
  report text,
  checked_ms bigint,
  primary key (tenant_id, channel_id)
);
