-- Small pictures of images, by the id of the image's bytes: messages that share the bytes share the picture. `picture` is
-- the id of its bytes in the file store; null: none can be made.
create table thumbnails (
  tenant_id text not null,
  blob text not null,
  picture text,
  made_ms bigint not null,
  primary key (tenant_id, blob)
);
create index thumbnails_picture on thumbnails (tenant_id, picture) where picture is not null;

-- Files on their way to us in several requests, under the id of the attachment that each will become; then its row goes.
-- How far each is, its bytes on disk say.
create table uploads (
  tenant_id text not null,
  id text not null,
  uploader_id text not null,
  length_bytes bigint not null,
  content_type text,
  file_name text,
  created_ms bigint not null,
  primary key (tenant_id, id)
);
create index uploads_age on uploads (tenant_id, created_ms);
