-- Input images of generations.

-- name: uploads
-- Files that were uploaded as input images, those of :ids that still exist. Columns as in the table.
select u.id, u.storage_path, u.thumbnail_path, u.content_type, u.width, u.height, u.bytes
from public.uploads u
where u.id = any (:ids::uuid[]);
