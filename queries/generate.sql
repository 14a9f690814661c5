-- Does a generation run through, now, with this model?

-- name: models
-- Models that may be chosen, by name.
select id, display_name, default_parameters from public.models where enabled order by display_name;

-- name: last_tests
-- The last twenty test generations with their jobs. wait and run in seconds.
select
    g.id,
    g.status,
    g.progress,
    g.prompt,
    g.model_id,
    g.parameters,
    g.image_url,
    g.storage_path,
    g.error_message,
    g.created_at,
    extract(epoch from coalesce(g.started_at, now()) - g.created_at)::double precision as wait_seconds,
    extract(
        epoch from coalesce(g.completed_at, now()) - g.started_at
    )::double precision as run_seconds
from public.image_generations g
where g.source = 'test'
order by g.created_at desc
limit 20;
