-- Lists of conversations are read by one index each, however many there are: by state, by group, by agent, by contact.
drop index conversations_recent;
create index conversations_state on conversations (tenant_id, live, status, last_activity_ms, id);
create index conversations_group on conversations (tenant_id, group_id, last_activity_ms, id);
create index conversations_assignee on conversations (tenant_id, assignee_id, last_activity_ms, id)
  where assignee_id is not null;
create index conversations_contact on conversations (tenant_id, contact_id);
-- A timeline is read in its own order.
drop index events_conversation;
create index events_conversation on events (tenant_id, conversation_id, at_ms, seq, id);
