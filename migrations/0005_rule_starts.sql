-- When each rule was last started in a conversation, JSON by rule; for the quota of starts per contact.
alter table conversations add column rule_starts text not null default '{}';
