-- Files of messages, and files that were uploaded to become one (no message yet). A file that a contact sent is `pending`
-- until it was fetched: the row is the duty itself, due at `next_ms`, and `owner` names the process that is at it.
-- `blob` names the bytes in the file store; rows of several messages may share them.
create table attachments (
  tenant_id text not null,
  id text not null,
  channel_id text,
  conversation_id text,
  message_id text,
  position bigint not null,
  family text not null,
  content_type text,
  file_name text,
  size_bytes bigint,
  source text,
  state text not null,
  problem text,
  blob text,
  attempts bigint not null,
  next_ms bigint not null,
  owner text,
  uploader_id text,
  created_ms bigint not null,
  primary key (tenant_id, id)
);
create index attachments_message on attachments (tenant_id, message_id) where message_id is not null;
create index attachments_conversation on attachments (tenant_id, conversation_id) where conversation_id is not null;
create index attachments_blob on attachments (tenant_id, blob) where blob is not null;
create index attachments_pending on attachments (next_ms) where state = 'pending';
