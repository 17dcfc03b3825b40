-- A draft that publishes itself at a moment, who said so, and why it could not be (JSON: code, detail).
alter table rules add column publish_ms bigint;
alter table rules add column publish_author text;
alter table rules add column publish_message text;
alter table rules add column publish_problem text;
create index rules_publish on rules (tenant_id, publish_ms) where publish_ms is not null;

-- Rules that fail: a row from the first failure until the next run that does not fail. A parked one stays until somebody
-- resumes it, or publishes another version.
create table rule_health (
  tenant_id text not null,
  rule_id text not null,
  version_id text not null,
  failures bigint not null,
  event_id text not null,
  problem text not null,
  last_ms bigint not null,
  parked_ms bigint,
  primary key (tenant_id, rule_id)
);

-- In which conversations the quota of starts held a rule back, and since when. Whether it still does is said by the
-- conversation itself.
create table rule_holds (
  tenant_id text not null,
  rule_id text not null,
  conversation_id text not null,
  since_ms bigint not null,
  primary key (tenant_id, rule_id, conversation_id)
);

-- How often what became of a rule, by day since 1970 (UTC). `what`: `fired`, `passed`, `failed`, `skipped:` and why,
-- `micros:` and a bound that the run stayed within.
create table rule_counts (
  tenant_id text not null,
  rule_id text not null,
  day bigint not null,
  what text not null,
  count bigint not null,
  last_ms bigint not null,
  primary key (tenant_id, rule_id, day, what)
);
