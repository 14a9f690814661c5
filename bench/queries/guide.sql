-- The twelve questions of an operator as a deployment guide answers them: each one plain query over
-- job_queue, without rollups. What the pages cost is compared with these.

-- name: jobs_by_status
select status, count(*) from public.job_queue group by status;

-- name: pending_count
select count(*) from public.job_queue where status = 'pending';

-- name: oldest_pending
select id, job_type, created_at, now() - created_at as age
from public.job_queue
where status = 'pending'
order by created_at
limit 1;

-- name: processing_too_long
select id, job_type, started_at, now() - started_at as running_for
from public.job_queue
where status = 'processing' and started_at < now() - interval '10 minutes'
order by started_at;

-- name: failed_last_day
select id, job_type, error_message, attempts, completed_at
from public.job_queue
where status = 'failed' and completed_at > now() - interval '24 hours'
order by completed_at desc;

-- name: success_rate_by_type
select
    job_type,
    count(*) filter (where status = 'completed') as completed,
    count(*) filter (where status = 'failed') as failed,
    round(
        100.0 * count(*) filter (where status = 'completed')
        / nullif(count(*) filter (where status in ('completed', 'failed')), 0), 2
    ) as success_percent
from public.job_queue
group by job_type;

-- name: average_duration_by_type
select job_type, avg(completed_at - started_at) as average
from public.job_queue
where status = 'completed'
group by job_type;

-- name: durations_by_model
select
    payload ->> 'model_id' as model_id,
    count(*),
    avg(completed_at - started_at) as average,
    min(completed_at - started_at) as shortest,
    max(completed_at - started_at) as longest
from public.job_queue
where status = 'completed'
group by 1
order by 2 desc;

-- name: hourly_throughput
select date_trunc('hour', completed_at) as hour, count(*)
from public.job_queue
where status = 'completed' and completed_at > now() - interval '24 hours'
group by 1
order by 1;

-- name: errors_grouped
select error_message, count(*), max(completed_at) as last_seen
from public.job_queue
where status = 'failed'
group by error_message
order by 2 desc
limit 20;

-- name: jobs_per_user_today
select created_by, count(*)
from public.job_queue
where created_at >= current_date
group by created_by
order by 2 desc
limit 20;

-- name: duplicates_by_generation
select payload ->> 'generation_id' as generation_id, count(*)
from public.job_queue
group by 1
having count(*) > 1
order by 2 desc
limit 100;
