-- What assistants cost is counted by currency, so that another currency of the tenant does not change what was counted.
-- Until now nobody said which; vendors name their prices in US dollars.
alter table assistant_usage rename to assistant_usage_before;
create table assistant_usage (
  tenant_id text not null,
  day bigint not null,
  channel_id text not null,
  assistant_id text not null,
  currency text not null,
  runs bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cost_micros bigint not null,
  primary key (tenant_id, day, channel_id, assistant_id, currency)
);
insert into assistant_usage (tenant_id, day, channel_id, assistant_id, currency, runs, input_tokens, output_tokens, cost_micros)
  select tenant_id, day, channel_id, assistant_id, 'USD', runs, input_tokens, output_tokens, cost_micros
  from assistant_usage_before;
drop table assistant_usage_before;
