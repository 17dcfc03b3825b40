-- What left a conversation, and what people were told about it, is found when it is erased.
create index effects_conversation on effects (tenant_id, conversation_id);
create index notifications_conversation on notifications (tenant_id, conversation_id) where conversation_id is not null;
