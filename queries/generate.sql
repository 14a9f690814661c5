-- Test runs and their results.

-- name: models
-- Selectable models, by name. Columns: id; display_name; default_parameters, parameter_schema: see
-- the table's comments; price_per_image in US dollars, null if unknown; sizes: see the table's
-- comments; width, height: their schemas if the model makes any size, in pixels that are multiples of
-- multiple; has_schema: if false, it may take anything; takes_prompt; takes_seed; image_input: the
-- name of the input for the image to start from; matches_input: whether it can make an image of that
-- one's size; max_outputs: most images of a job.
select
    id, display_name, default_parameters, parameter_schema, price_per_image, sizes,
    input_schema is not null as has_schema,
    input_schema -> 'width' as width, input_schema -> 'height' as height,
    coalesce((size_rules ->> 'multiple')::int, 1) as multiple,
    coalesce(input_schema ? 'prompt', true) as takes_prompt,
    coalesce(input_schema ? 'seed', true) as takes_seed,
    public.image_input(input_schema) as image_input,
    coalesce(input_schema -> 'aspect_ratio' -> 'enum' ? 'match_input_image', false) as matches_input,
    coalesce((
        select (input_schema -> n ->> 'maximum')::int
        from unnest('{num_outputs,number_of_images,max_images}'::text[]) n
        where input_schema ? n
        limit 1
    ), 1) as max_outputs
from public.models
where enabled
order by display_name, id
limit 200;

-- name: usual
-- Typical run time of each model. run_p50: median in seconds of jobs completed in the last seven
-- days, within 5%%.
select p.model_id, public.histogram_percentile(sum(p.run_histogram), 0.5) as run_p50
from public.job_stats_parts(now() - interval '7 days', now(), 'all') p
where p.status = 'completed'
group by p.model_id
limit 200;

-- name: run^
-- A test run. Columns: those of the table; age_seconds; started: number of jobs started.
select
    r.id, r.actor, r.prompt, r.models, r.settings, r.jobs, r.created_at,
    extract(epoch from clock_timestamp() - r.created_at)::double precision as age_seconds,
    (select count(*) from public.test_run_jobs t where t.run_id = r.id) as started
from public.test_runs r
where r.id = :run;

-- name: jobs
-- Jobs of a test run, up to 500, in the order they were started. status: that of the generation,
-- but processing as soon as the job is claimed; predicted: whether the provider has a prediction;
-- attempts: null once the job is purged; ahead: due jobs that will be claimed first, null if more
-- than 1,000 or not pending; rate_limited: whether its model is; due_in_seconds: negative once due.
-- wait_seconds: from due to the start of the last attempt, so far; run_seconds: from there to its
-- end, so far, null if not started; total_seconds: from due to its end, so far. outputs: all images
-- of a completed one, a list of objects with storage_path, thumbnail_path and image_url; empty if only
-- the first is known. seed: that was sent to the provider for a completed one, null if none.
with line as materialized (
    select d.id, row_number() over (order by d.priority desc, d.scheduled_at, d.created_at) - 1 as ahead
    from (
        select q.id, l.priority, q.scheduled_at, q.created_at
        from unnest(public.pending_lines(100)) l
        cross join lateral (
            select j.id, j.scheduled_at, j.created_at
            from public.job_queue j
            where j.status = 'pending' and public.line_of(j.priority, j.job_type, j.payload) = l.line
              and j.scheduled_at <= now()
            order by j.scheduled_at, j.created_at
            limit 1001
        ) q
        where l.most is null
        order by l.priority desc, q.scheduled_at, q.created_at
        limit 1001
    ) d
), jobs as (
    select
        t.place, t.generation_id, t.job_id, g.model_id, g.prompt, g.parameters, g.notices, g.progress, g.prediction_id,
        g.image_url, g.storage_path, g.thumbnail_path, g.error_message, g.completed_at, q.attempts, q.max_attempts,
        case when g.status = 'queued' and q.status = 'processing' then 'processing' else g.status end as status,
        case when g.status <> 'queued' then g.started_at end as started_at,
        coalesce(q.scheduled_at, t.due_at) as due_at,
        t.due_at as first_due_at
    from public.test_run_jobs t
    join public.image_generations g on g.id = t.generation_id
    left join public.job_queue q on q.id = t.job_id
    where t.run_id = :run
    order by t.place
    limit 500
)
select
    j.place, j.generation_id, j.job_id, j.model_id, j.prompt, j.parameters, j.notices, j.progress,
    j.prediction_id is not null as predicted,
    j.image_url, j.storage_path, j.thumbnail_path, j.error_message, j.completed_at, j.attempts, j.max_attempts, j.status, l.ahead,
    coalesce((
        select jsonb_agg(jsonb_build_object(
            'storage_path', o.storage_path, 'thumbnail_path', o.thumbnail_path, 'image_url', o.url
        ) order by o.index)
        from public.outputs o
        where o.generation_id = j.generation_id and j.status = 'completed'
    ), '[]') as outputs,
    case when j.status = 'completed' then (
        select p.input -> 'seed' from public.predictions p
        where p.generation_id = j.generation_id
        order by p.created_at desc limit 1
    ) end as seed,
    exists (
        select from public.model_holds h
        where h.model_id = left(j.model_id, 200) and h.held_until > clock_timestamp()
    ) as rate_limited,
    extract(epoch from j.due_at - clock_timestamp())::double precision as due_in_seconds,
    greatest(extract(
        epoch from coalesce(j.started_at, j.completed_at, clock_timestamp()) - j.due_at
    ), 0)::double precision as wait_seconds,
    extract(
        epoch from coalesce(j.completed_at, clock_timestamp()) - j.started_at
    )::double precision as run_seconds,
    greatest(extract(
        epoch from coalesce(j.completed_at, clock_timestamp()) - j.first_due_at
    ), 0)::double precision as total_seconds
from jobs j
left join line l on l.id = j.job_id
order by j.place;

-- name: run_count$
-- Number of test runs.
select count(*) from public.test_runs;

-- name: history
-- Test runs, newest first: :most after the first :skip. Columns: id; created_at; actor; prompt;
-- models; jobs: requested; started; live, completed, failed, cancelled: number of generations;
-- wait_mean: from due to the start of the last attempt, over started jobs; run_mean: from there to
-- the end, over completed ones; both in seconds. thumbnail_path, storage_path, image_url: of the
-- first image. load_test: whether the run is one.
select
    r.id, r.created_at, r.actor, r.prompt, r.models, r.jobs,
    coalesce(r.settings ->> 'load_test', '') = 'true' as load_test,
    s.started, s.live, s.completed, s.failed, s.cancelled, s.wait_mean, s.run_mean,
    i.thumbnail_path, i.storage_path, i.image_url
from (
    select * from public.test_runs
    order by created_at desc, id
    limit :most offset :skip
) r
cross join lateral (
    select
        count(*) as started,
        count(*) filter (where g.status in ('queued', 'processing')) as live,
        count(*) filter (where g.status = 'completed') as completed,
        count(*) filter (where g.status = 'failed') as failed,
        count(*) filter (where g.status = 'cancelled') as cancelled,
        (avg(greatest(extract(epoch from g.started_at - coalesce(q.scheduled_at, t.due_at)), 0)) filter (
            where g.status <> 'queued' and g.started_at is not null
        ))::double precision as wait_mean,
        (avg(extract(epoch from g.completed_at - g.started_at)) filter (
            where g.status = 'completed'
        ))::double precision as run_mean
    from public.test_run_jobs t
    join public.image_generations g on g.id = t.generation_id
    left join public.job_queue q on q.id = t.job_id
    where t.run_id = r.id
) s
left join lateral (
    select g.thumbnail_path, g.storage_path, g.image_url
    from public.test_run_jobs t
    join public.image_generations g on g.id = t.generation_id
    where t.run_id = r.id and g.status = 'completed'
    order by t.place
    limit 1
) i on true
order by r.created_at desc, r.id;
