-- Rules that are tried on what was stored: backtests, which end, and shadows, which go on until they are switched off.
-- `place` says how far a trial is: the last conversation of a backtest, the last event of a shadow. Whoever moves it
-- names the place it moves from, so that two workers never count the same twice.
create table trials (
  tenant_id text not null,
  id text not null,
  kind text not null,
  rule_id text not null,
  source text not null,
  against_version_id text,
  state text not null,
  from_ms bigint not null,
  until_ms bigint,
  place text not null,
  events_total bigint not null,
  counts text not null,
  problem text,
  author text not null,
  created_ms bigint not null,
  updated_ms bigint not null,
  ended_ms bigint,
  primary key (tenant_id, id)
);
create index trials_rule on trials (tenant_id, rule_id, kind, id);
create index trials_running on trials (tenant_id, kind, id) where state = 'running';

-- What a trial found, as far as it is kept: where the tried text does something else than what runs.
create table trial_findings (
  tenant_id text not null,
  trial_id text not null,
  event_id text not null,
  conversation_id text not null,
  kind text not null,
  body text not null,
  at_ms bigint not null,
  primary key (tenant_id, trial_id, event_id)
);
create index trial_findings_conversation on trial_findings (tenant_id, conversation_id);
create index trial_findings_age on trial_findings (tenant_id, at_ms);
