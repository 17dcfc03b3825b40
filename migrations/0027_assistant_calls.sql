-- Calls of assistants that are under way, with what each may use at most: caps count them from the beginning, so that
-- calls that begin at the same moment do not pass a cap together. A call that nobody ended counts until `until_ms`.
create table assistant_calls (
  tenant_id text not null,
  id text not null,
  day bigint not null,
  channel_id text not null,
  assistant_id text not null,
  tokens bigint not null,
  cost_micros bigint not null,
  until_ms bigint not null,
  primary key (tenant_id, id)
);
