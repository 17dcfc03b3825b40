-- The runs of a conversation are those of its events; only where the rules saw another one it stands here, too. An index
-- of all of them cost a page for each message.
drop index runs_conversation;
create index runs_elsewhere on runs (tenant_id, conversation_id) where conversation_id is not null;
