-- Uploaded input images. The SQL functions are documented in the migrations.

-- name: record_upload$
select public.record_upload(
    :id::uuid, :user_id::uuid, :source, :storage_path, :thumbnail_path, :content_type, :width, :height, :bytes
);

-- name: forget_uploads!
select public.forget_uploads(:ids::uuid[]);

-- name: expired(after_time, after_id, limit)
-- Uploads that can be deleted, after the last one of an earlier call (or null): not one that a generation is
-- about to use, which has locked it. Columns: id, storage_path, thumbnail_path, expires_at.
select u.id, u.storage_path, u.thumbnail_path, u.expires_at
from public.uploads u
where u.expires_at <= now()
  and (u.expires_at, u.id) > (coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::uuid, u.id))
order by u.expires_at, u.id
limit :limit
-- What a start that is not committed has just kept is locked.
for update skip locked;

-- name: upload(id, user_id, every)^
-- An upload of a user, or of anybody if every is true; no row for another's or an expired one.
select u.storage_path, u.thumbnail_path, u.content_type
from public.uploads u
where u.id = :id::uuid and (:every or u.user_id = :user_id::uuid) and coalesce(u.expires_at > now(), true);

-- name: of_generation(generation_id)
-- The uploads that a generation uses. Columns: reference, storage_path, content_type.
select 'upload:' || u.id as reference, u.storage_path, u.content_type
from public.generation_uploads g
join public.uploads u on u.id = g.upload_id
where g.generation_id = :generation_id::uuid;

-- name: file_inputs(model_id)
-- The inputs of a model that take files. Column: name.
select f.key as name
from public.models m
cross join lateral jsonb_each(m.input_schema) f
where m.id = :model_id and public.file_kind(f.value) is not null;
