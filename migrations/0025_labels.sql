-- Lists by channel run down an index, like the others.
create index conversations_channel on conversations (tenant_id, channel_id, last_activity_ms, id);
-- The labels of conversations once more, so that lists by label run down an index too. last_activity_ms: as there.
create table conversation_labels (
  tenant_id text not null,
  conversation_id text not null,
  label text not null,
  last_activity_ms bigint not null,
  primary key (tenant_id, conversation_id, label)
);
create index conversation_labels_activity on conversation_labels (tenant_id, label, last_activity_ms, conversation_id);
insert into conversation_labels (tenant_id, conversation_id, label, last_activity_ms)
  select distinct c.tenant_id, c.id, j.value, c.last_activity_ms from conversations c, json_each(c.labels) as j
  where c.labels <> '[]';
-- Calls made before a person had a message sent again: pauses begin anew then, the numbers of calls go on.
alter table effects add column attempts_before bigint not null default 0;
