-- Input images of generations.

-- name: uploads
-- Files that were uploaded as input images, those of :ids that still exist. Columns: id; storage_path;
-- content_type; width and height in pixels, null if unknown; bytes.
select u.id, u.storage_path, u.content_type, u.width, u.height, u.bytes
from public.uploads u
where u.id = any (:ids::uuid[]);
