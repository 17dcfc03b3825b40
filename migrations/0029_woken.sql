-- Somebody asked for a run while one was under way, which may have looked before the change: it comes round at once.
alter table jobs add column woken boolean not null default false;
