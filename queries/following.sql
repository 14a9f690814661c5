-- State of a generation that an application follows.

-- name: generation(id)^
-- A generation by id, or no row. progress is in percent; started_at: start of the latest attempt,
-- null before the first.
select status, progress, image_url, error_message, error_code, application, metadata, started_at
from public.image_generations
where id = :id;
