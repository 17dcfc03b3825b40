-- What is true of the whole installation: one row per fact.
create table installation (
  name text not null primary key,
  value text not null
);
