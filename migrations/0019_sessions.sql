-- What is known of the phone that a channel is linked to. told_ms: the vendor's time of its last word; asked_ms: when
-- the vendor was asked last.
create table channel_sessions (
  tenant_id text not null,
  channel_id text not null,
  state text not null,
  reason text,
  account_name text,
  address text,
  picture_url text,
  since_ms bigint not null,
  told_ms bigint,
  asked_ms bigint,
  primary key (tenant_id, channel_id)
);
