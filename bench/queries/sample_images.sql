-- Images of the sample history.

-- name: images
-- What each image shows. Columns: storage_path; prompt: the first by name; width, height: as requested.
select
    storage_path, min(prompt) as prompt, (parameters ->> 'width')::int as width,
    (parameters ->> 'height')::int as height
from public.image_generations
where storage_path is not null
group by 1, 3, 4
order by 1;
