-- When a channel's list of templates was last read; none: it has to be read.
alter table channels add column templates_synced_ms bigint;
