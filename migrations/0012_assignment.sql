-- How groups hand out conversations, and how long contacts may wait; JSON.
alter table groups add column assignment text not null default '{}';
alter table groups add column targets text not null default '{}';

-- Live chats a person may have at once (none: as their group says); when a connection of theirs was last seen (none:
-- their presence is not watched); when they were last given a conversation.
alter table users add column chats_max bigint;
alter table users add column seen_ms bigint;
alter table users add column given_ms bigint not null default 0;
create index users_watched on users (seen_ms) where seen_ms is not null and presence <> 'offline';

-- Service clocks; and who a conversation waits for. `queue` is JSON, `queued_ms` its beginning, `holder_id` whose
-- place it takes: the assignee's of a live chat, or that of whoever it is offered to.
alter table conversations add column opened_ms bigint not null default 0;
alter table conversations add column waiting_since_ms bigint;
alter table conversations add column first_reply_ms bigint;
alter table conversations add column queue text;
alter table conversations add column queued_ms bigint;
alter table conversations add column holder_id text;
update conversations set opened_ms = created_ms;
create index conversations_queue on conversations (tenant_id, group_id, queued_ms)
  where queued_ms is not null and holder_id is null;
create index conversations_holder on conversations (tenant_id, holder_id) where holder_id is not null;

-- Conversations on their way to somebody: the command lies in the lane's inbox, and the turn that carries it out
-- deletes the row.
create table placements (
  tenant_id text not null,
  conversation_id text not null,
  agent_id text not null,
  at_ms bigint not null,
  primary key (tenant_id, conversation_id)
);
create index placements_agent on placements (tenant_id, agent_id);

-- Everybody who was told of the same escalation finds the same event, and who took it. A person has one unread notice
-- of new messages per conversation.
alter table notifications add column event_id text;
alter table notifications add column taken_by text;
alter table notifications add column taken_ms bigint;
create index notifications_event on notifications (tenant_id, event_id) where event_id is not null;
create unique index notifications_message on notifications (tenant_id, user_id, conversation_id)
  where kind = 'message' and read_ms is null;
