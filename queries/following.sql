-- How is the generation that an application waits for?

-- name: generation(id)^
-- A generation by its id, or no row. progress in percent; started_at is when its latest attempt
-- started, null before the first.
select status, progress, image_url, error_message, started_at
from public.image_generations
where id = :id;
