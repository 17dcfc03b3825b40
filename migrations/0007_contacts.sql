-- Contacts as people work with them. `phone_key` is the same for all variants of one number, `name_key` the name in
-- lower case, `email_key` the e-mail attribute in lower case: for finding and for telling duplicates. A contact that
-- was merged into another keeps its row, so that merging can be undone; one that was erased keeps id and times only.
alter table contacts add column phone_key text;
alter table contacts add column name_key text;
alter table contacts add column email_key text;
alter table contacts add column version bigint not null default 1;
alter table contacts add column merged_into text;
alter table contacts add column erased_ms bigint;
alter table identities add column phone_key text;
create index contacts_phone on contacts (tenant_id, phone_key) where phone_key is not null;
create index contacts_email on contacts (tenant_id, email_key) where email_key is not null;
create index contacts_merged on contacts (tenant_id, merged_into) where merged_into is not null;
create index identities_contact on identities (tenant_id, contact_id);
create index identities_phone on identities (tenant_id, phone_key) where phone_key is not null;
create index identities_scoped on identities (tenant_id, scoped_id) where scoped_id is not null;

-- What is needed to undo a merge is in `body`, as JSON.
create table contact_merges (
  tenant_id text not null,
  id text not null,
  into_id text not null,
  from_id text not null,
  actor text not null,
  body text not null,
  at_ms bigint not null,
  undone_ms bigint,
  primary key (tenant_id, id)
);
create index contact_merges_into on contact_merges (tenant_id, into_id);
create index contact_merges_from on contact_merges (tenant_id, from_id);

-- Erasing under way and done, of a contact or of one conversation. A job works them off step by step; `body` holds
-- what it still needs to know, and is emptied at the end.
create table erasures (
  tenant_id text not null,
  id text not null,
  kind text not null,
  target_id text not null,
  actor text not null,
  state text not null,
  body text not null,
  rows_gone bigint not null,
  created_ms bigint not null,
  done_ms bigint,
  primary key (tenant_id, id)
);
create index erasures_open on erasures (tenant_id, created_ms) where state <> 'done';

-- Who was erased but must not be written to: a keyed hash of the identity, which tells nothing to whoever reads it.
create table suppressions (
  tenant_id text not null,
  hash text not null,
  channel_kind text not null,
  blocked_ms bigint,
  opted_out_ms bigint,
  source text,
  primary key (tenant_id, hash)
);
