-- What is deleted by age is found by tenant and age. Runs need no index of their own: the ids of their events begin
-- with the time.
drop index raw_webhooks_age;
create index raw_webhooks_age on raw_webhooks (tenant_id, received_ms) where outcome <> 'quarantined';
drop index inbox_age;
create index inbox_age on inbox (tenant_id, received_ms);
create index idempotency_age on idempotency (tenant_id, at_ms);
create index sessions_age on sessions (tenant_id, expires_ms);
create index signin_links_age on signin_links (tenant_id, expires_ms);
