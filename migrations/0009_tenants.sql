-- A tenant that is being deleted takes no writes any more; a job removes everything it has, and the row last.
alter table tenants add column version bigint not null default 1;
alter table tenants add column deleting_ms bigint;
-- Somebody who signs in says who they are, not where they belong.
create index users_everywhere on users (email);
