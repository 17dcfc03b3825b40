-- What a person was told is read newest first; what they did not read yet is counted whenever something happens.
drop index notifications_user;
create index notifications_person on notifications (tenant_id, user_id, id);
create index notifications_unread on notifications (tenant_id, user_id, id) where read_ms is null;
-- Messages that may leave a channel per second; null: as many as its provider says, 0: any number.
alter table channels add column messages_per_second bigint;
