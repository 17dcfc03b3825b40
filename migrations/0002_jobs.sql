-- Work that comes round: one row per tenant and job, made by the workers. `ready_ms` is when the job may run next, and
-- the end of the lease while a worker has it; `token` fences a worker whose lease ran out. `attempts` counts the runs
-- that were begun since one ended well. The table of the first migration was never written to.
drop table jobs;
create table jobs (
  tenant_id text not null,
  name text not null,
  ready_ms bigint not null,
  leased boolean not null,
  owner text,
  token bigint not null,
  attempts bigint not null,
  last_run_ms bigint,
  last_took_ms bigint,
  last_outcome text,
  last_problem text,
  primary key (tenant_id, name)
);
create index jobs_ready on jobs (ready_ms);
create index jobs_owned on jobs (owner) where leased;
