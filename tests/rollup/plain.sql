-- The answers of the rollups' readers, from all jobs that ever were, row by row.

-- name: job_stats
select
    case :bucket when 'hour' then date_trunc('hour', completed_at, 'UTC')
                 when 'day' then date_trunc('day', completed_at, 'UTC') end as bucket,
    job_type,
    coalesce(payload ->> 'model_id', '') as model_id,
    status,
    count(*) as jobs,
    count(run) as runs,
    coalesce(sum(run), 0)::double precision as run_seconds,
    min(run)::double precision as run_seconds_min,
    max(run)::double precision as run_seconds_max,
    count(wait) as waits,
    coalesce(sum(wait), 0)::double precision as wait_seconds,
    max(wait)::double precision as wait_seconds_max,
    min(created_at) as oldest,
    max(created_at) as newest,
    percentile_disc(0.5) within group (order by run::double precision) as run_p50,
    percentile_disc(0.95) within group (order by run::double precision) as run_p95,
    percentile_disc(0.99) within group (order by wait::double precision) as wait_p99
from (
    select
        *,
        extract(epoch from completed_at - started_at) as run,
        case when started_at is not null
            then greatest(extract(epoch from started_at - scheduled_at), 0) end as wait
    from public.all_jobs
    where status in ('completed', 'failed', 'refused', 'cancelled') and completed_at >= :since and completed_at < :until
) finished
group by 1, 2, 3, 4
order by 1, 2, 3, 4;

-- name: arrival_stats
select
    date_trunc('hour', created_at, 'UTC') as hour,
    job_type,
    coalesce(payload ->> 'model_id', '') as model_id,
    count(*) as jobs
from public.all_jobs
where date_trunc('hour', created_at, 'UTC') >= date_trunc('hour', :since::timestamptz, 'UTC')
  and date_trunc('hour', created_at, 'UTC') < :until
group by 1, 2, 3
order by 1, 2, 3;

-- name: failure_stats
select
    date_trunc('hour', completed_at, 'UTC') as hour,
    job_type,
    coalesce(payload ->> 'model_id', '') as model_id,
    public.error_group(error_message, coalesce(payload ->> 'model_id', '')) as error_group,
    coalesce(error_details ->> 'code', '') as error_code,
    count(*) as jobs,
    min(completed_at) as first_at,
    max(completed_at) as last_at,
    array_remove(array_agg(distinct created_by order by created_by), null) as users
from public.all_jobs
where status in ('failed', 'refused') and completed_at >= :since and completed_at < :until
group by 1, 2, 3, 4, 5
order by 1, 2, 3, 4, 5;

-- name: queue_health
select
    job_type,
    status,
    count(*) as count,
    round(avg(extract(epoch from completed_at - started_at)), 3)::double precision as avg_duration_seconds,
    min(created_at) as oldest_job,
    max(created_at) as newest_job,
    round(avg(attempts), 2)::double precision as avg_attempts
from public.all_jobs
group by job_type, status
order by job_type, status;

-- name: recent_jobs
select
    date_trunc('minute', completed_at) as minute, job_type,
    case when status = 'failed' and error_details ->> 'code' = 'refused' then 'refused' else status end as status,
    count(*) as jobs, count(started_at) as runs,
    coalesce(sum(extract(epoch from completed_at - started_at) * 1000000), 0)::bigint as run_us,
    count(started_at) as waits,
    coalesce(sum(greatest(extract(epoch from started_at - scheduled_at), 0) * 1000000)
        filter (where started_at is not null), 0)::bigint as wait_us
from public.job_queue
where completed_at >= date_trunc('minute', :since::timestamptz)
group by 1, 2, 3
order by 1, 2, 3;

-- name: recent_arrivals
select date_trunc('minute', created_at) as minute, count(*) as jobs
from public.job_queue
where created_at >= date_trunc('minute', :since::timestamptz)
group by 1
order by 1;
