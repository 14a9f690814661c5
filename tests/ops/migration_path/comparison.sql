-- What queries/migration_path.sql says, from every row.

-- name: fill#
-- Three days of both paths, some retried, some cancelled, some of another type, some still running.
insert into public.job_queue (
    job_type, payload, status, attempts, max_attempts, scheduled_at, started_at, completed_at, created_at
)
select
    case when n % 37 = 0 then 'other' else 'generate-image' end,
    jsonb_build_object('prompt', n, 'model_id', 'm/' || n % 3),
    status, 1 + n % 2, 3, at,
    case when n % 50 <> 1 then at + n % 7 * interval '1 second' end,
    -- Some end in an hour after the one in which they were asked for.
    at + n % 7 * interval '1 second' + (n % 1000) * interval '2.5 seconds', at
from generate_series(1, 4000) n
cross join lateral (
    select now() - n * interval '65 seconds' - interval '45 minutes' as at,
           case when n % 20 = 0 then 'failed' when n % 50 = 1 then 'cancelled' else 'completed' end as status
) j;
insert into public.job_queue (job_type, payload) values ('generate-image', '{"model_id": "m/1"}');
with made as (
    insert into public.image_generations (prompt, model_id, created_at)
    select 'sync', 'm/' || n % 3, now() - n * interval '100 seconds' from generate_series(1, 1500) n
    returning id, model_id, created_at
)
insert into public.sync_generations (generation_id, model_id, started_at)
select id, model_id, created_at from made;

-- name: end_some!
-- Ends up to 400 synchronous generations.
select public.end_sync_generation(
    s.generation_id, case when n %% 9 = 0 then 'failed' when n %% 31 = 0 then 'cancelled' else 'completed' end,
    case when n %% 9 = 0 then 'code ' || n %% 2 end
)
from (
    select s.generation_id, row_number() over (order by s.started_at) as n from public.sync_generations s
    where s.ended_at is null limit 400
) s;

-- name: move_ended!
-- Moves what ended in this hour to the past, by whole hours.
with moved as (
    update public.sync_generations
    set started_at = started_at - make_interval(hours => :hours), ended_at = ended_at - make_interval(hours => :hours)
    where ended_at > date_trunc('hour', now(), 'UTC')
)
update public.path_rollup
set hour = hour - make_interval(hours => :hours)
where path = 'sync' and hour = date_trunc('hour', now(), 'UTC');

-- name: compared
with ended as (
    select 'async' as path, payload ->> 'model_id' as model_id, status as outcome,
           completed_at as ended_at, extract(epoch from completed_at - created_at)::double precision as seconds
    from public.job_queue
    where job_type = 'generate-image' and completed_at is not null
    union all
    select 'sync', s.model_id, s.outcome, s.ended_at, extract(epoch from s.ended_at - s.started_at)::double precision
    from public.sync_generations s where s.ended_at is not null
), span as (
    select since, until from public.bucket_span(:start, :length, :bucket)
)
select
    path, model_id,
    count(*) filter (where outcome = 'completed') as completed,
    count(*) filter (where outcome = 'failed') as failed,
    count(*) filter (where outcome = 'cancelled') as cancelled,
    avg(seconds) filter (where outcome = 'completed') as mean_seconds,
    percentile_disc(0.5) within group (order by seconds) filter (where outcome = 'completed') as p50_seconds,
    percentile_disc(0.95) within group (order by seconds) filter (where outcome = 'completed') as p95_seconds
from ended, span
where ended_at >= span.since and ended_at < span.until
group by grouping sets ((path), (path, model_id));

-- name: steps
-- Columns: at, path, failed (share), p50, p95.
with ended as (
    select 'async' as path, payload ->> 'model_id' as model_id, status as outcome,
           completed_at as ended_at, extract(epoch from completed_at - created_at)::double precision as seconds
    from public.job_queue
    where job_type = 'generate-image' and completed_at is not null
    union all
    select 'sync', s.model_id, s.outcome, s.ended_at, extract(epoch from s.ended_at - s.started_at)::double precision
    from public.sync_generations s where s.ended_at is not null
), span as (
    select since, until from public.bucket_span(:start, :length, :bucket)
)
select
    date_trunc(:bucket, ended_at, 'UTC') as at, path,
    count(*) filter (where outcome = 'failed')
        / nullif(count(*) filter (where outcome in ('completed', 'failed')), 0)::double precision as failed,
    percentile_disc(0.5) within group (order by seconds) filter (where outcome = 'completed') as p50,
    percentile_disc(0.95) within group (order by seconds) filter (where outcome = 'completed') as p95
from ended, span
where ended_at >= span.since and ended_at < span.until and (:model::text is null or model_id = :model)
group by 1, 2;

-- name: sync_errors
select s.error_code, count(*) as generations
from public.sync_generations s, public.bucket_span(:start, :length, :bucket) span
where s.outcome = 'failed' and s.ended_at >= span.since and s.ended_at < span.until
group by 1;

-- name: folded^
-- How many generations the folded times hold, and how many rows there are of those.
select
    (select coalesce(sum(generations), 0) from public.path_rollup where path = 'async')::bigint as held,
    (
        select count(*) from public.job_queue
        where status = 'completed' and job_type = 'generate-image' and completed_at < s.totals_until
    ) as completed
from public.rollup_state s;
