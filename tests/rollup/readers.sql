-- The rollups' readers, in the form of plain.sql.

-- name: job_stats
select
    bucket, job_type, model_id, status, jobs, runs, run_seconds, run_seconds_min, run_seconds_max,
    waits, wait_seconds, wait_seconds_max, oldest, newest,
    public.histogram_percentile(run_histogram, 0.5) as run_p50,
    public.histogram_percentile(run_histogram, 0.95) as run_p95,
    public.histogram_percentile(wait_histogram, 0.99) as wait_p99
from public.job_stats(:since, :until, :bucket)
order by 1, 2, 3, 4;

-- name: arrival_stats
select hour, job_type, model_id, jobs from public.arrival_stats(:since, :until) order by 1, 2, 3;

-- name: failure_stats
select
    hour, job_type, model_id, error_group, error_code,
    sum(jobs)::bigint as jobs, min(first_at) as first_at, max(last_at) as last_at, users
from (
    select
        f.*,
        array(
            select distinct u
            from public.failure_stats(:since, :until) o, unnest(o.users) u
            where (o.hour, o.job_type, o.model_id, o.error_group, o.error_code)
                = (f.hour, f.job_type, f.model_id, f.error_group, f.error_code)
            order by u
        ) as all_users
    from public.failure_stats(:since, :until) f
) parts (hour, job_type, model_id, error_group, error_code, jobs, first_at, last_at, some_users, users)
group by hour, job_type, model_id, error_group, error_code, users
order by 1, 2, 3, 4, 5;

-- name: queue_health
select job_type, status, count, avg_duration_seconds, oldest_job, newest_job, avg_attempts
from public.queue_health order by 1, 2;

-- name: recent_jobs
select
    minute, job_type, status, sum(jobs)::bigint as jobs, sum(runs)::bigint as runs, sum(run_us)::bigint as run_us,
    sum(waits)::bigint as waits, sum(wait_us)::bigint as wait_us
from public.recent_jobs(:since)
group by 1, 2, 3
order by 1, 2, 3;

-- name: recent_arrivals
select minute, sum(jobs)::bigint as jobs from public.recent_arrivals(:since) group by 1 order by 1;

-- name: minutes_since$
select public.minutes_since();

-- name: job_minutes
select * from public.job_minutes where minute >= public.minutes_since() order by 1, 2, 3;

-- name: arrival_minutes
select * from public.arrival_minutes where least(hour, created_minute) >= public.minutes_since() order by 1, 2, 3;

-- name: oldest_minute$
select min(m) from (
    select minute from public.job_minutes union all select hour from public.arrival_minutes
) kept (m);
