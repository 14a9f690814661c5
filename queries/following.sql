-- State of a generation that an application follows.

-- name: generation(id)^
-- A generation by id, or no row. progress is in percent; started_at: start of the latest attempt,
-- null before the first. images: as the function says.
select g.status, g.progress, g.image_url, g.error_message, g.error_code, g.application, g.metadata,
       g.started_at, public.images(g) as images
from public.image_generations g
where g.id = :id;
