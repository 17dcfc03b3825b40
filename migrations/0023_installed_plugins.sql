-- Plugins that were installed over the API. They belong to the installation and not to a tenant, win over files of the
-- same id, and lie here so that every process has them and a backup takes them along.
create table installed_plugins (
  plugin_id text not null primary key,
  version text not null,
  -- SHA-256 of the file, hex.
  digest text not null,
  -- The file, base64.
  wasm text not null,
  -- Id of the user or key.
  installed_by text not null,
  installed_ms bigint not null
);
