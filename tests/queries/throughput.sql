-- The throughput page's answers, from all jobs that ever were, row by row.

-- name: ended
with ended as (
    select
        date_trunc(:bucket, completed_at, 'UTC') as at,
        case :by when 'status' then status when 'type' then job_type
                 else coalesce(payload ->> 'model_id', '') end as name
    from public.all_jobs
    where completed_at >= :since and completed_at < :until
)
select at, case when name in (
    select name from ended group by name order by count(*) desc, name limit 8
) then name end as name, count(*) as jobs
from ended
group by 1, 2;

-- name: times
select
    date_trunc(:bucket, completed_at, 'UTC') as at,
    percentile_disc(array[0.5, 0.95, 0.99]) within group (
        order by extract(epoch from completed_at - started_at)::float8
    ) filter (where status = 'completed') as run,
    percentile_disc(array[0.5, 0.95, 0.99]) within group (
        order by greatest(extract(epoch from started_at - scheduled_at)::float8, 0)
    ) filter (where started_at is not null) as wait
from public.all_jobs
where completed_at >= :since and completed_at < :until
group by 1;

-- name: fill_samples!
-- A sample for every minute of the last 31 days but each seventh and those of a day.
insert into public.queue_samples (minute, pending, due, processing)
select date_trunc('minute', now()) - n * interval '1 minute', n * 7919 %% 101, 0, n %% 5
from generate_series(0, 31 * 1440) n where n %% 7 <> 3 and n not between 1600 and 3040;

-- name: flow^
-- Of one bucket, and the longest queue sampled in it.
select
    (select count(*) from public.all_jobs where created_at >= :since and created_at < :until) as arrivals,
    (select count(*) from public.all_jobs where completed_at >= :since and completed_at < :until) as ends,
    (
        select max(pending + processing) from public.queue_samples where minute >= :since and minute < :until
    ) as queue;

-- name: live$
select count(*) from public.all_jobs where completed_at is null;

-- name: pace^
select
    count(*) filter (where status = 'pending' and scheduled_at <= now()) as due,
    count(*) filter (where status = 'processing') as processing,
    count(*) filter (where created_at >= date_trunc('minute', now() - interval '1 hour')) as arrived,
    count(*) filter (where completed_at >= date_trunc('minute', now() - interval '1 hour')) as ended,
    avg(extract(epoch from completed_at - started_at))
        filter (where completed_at >= date_trunc('minute', now() - interval '1 hour'))::float8 as run_seconds,
    avg(attempts) filter (where completed_at >= date_trunc('minute', now() - interval '1 hour') and started_at is not null)::float8
        as attempts
from public.all_jobs;
