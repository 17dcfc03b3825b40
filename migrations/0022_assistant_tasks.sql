-- What an assistant has said of a conversation, and what is under way. `assist` and `insights` are JSON.
alter table conversations add column sentiment text;
alter table conversations add column summary text;
alter table conversations add column insights text;
alter table conversations add column assist text;

-- Work for assistants. At most one of a kind for a conversation; a newer one takes the place of the older. Taken with a
-- lease: whoever takes it moves `next_ms` to the end of the lease.
create table assistant_tasks (
  tenant_id text not null,
  conversation_id text not null,
  kind text not null,
  id text not null,
  lane_id text not null,
  channel_id text not null,
  next_ms bigint not null,
  owner text,
  attempts bigint not null,
  primary key (tenant_id, conversation_id, kind)
);
create index assistant_tasks_due on assistant_tasks (next_ms);
