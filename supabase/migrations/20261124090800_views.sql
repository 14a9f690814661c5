-- Views for operators and their tools, such as psql, Supabase Studio and Grafana.

-- Equals one GROUP BY over all of job_queue plus the purged jobs, without reading finished jobs.
create view public.queue_health with (security_invoker = true) as
select
    h.job_type,
    h.status,
    sum(h.jobs)::bigint as count,
    round(sum(h.run_us) / 1000000 / nullif(sum(h.runs), 0), 3)::double precision as avg_duration_seconds,
    min(h.oldest) as oldest,
    max(h.newest) as newest
from (
    select q.job_type, q.status, count(*) as jobs, 0 as runs, 0::numeric as run_us,
           min(q.created_at) as oldest, max(q.created_at) as newest
    from public.job_queue q where q.status = 'pending' group by q.job_type, q.status
    union all
    select q.job_type, q.status, count(*), 0, 0, min(q.created_at), max(q.created_at)
    from public.job_queue q where q.status = 'processing' group by q.job_type, q.status
    union all
    -- Jobs of an existing deployment that finished without a completed_at.
    select q.job_type, q.status, count(*), 0, 0, min(q.created_at), max(q.created_at)
    from public.job_queue q
    where q.status in ('completed', 'failed', 'cancelled') and q.completed_at is null
    group by q.job_type, q.status
    union all
    select s.job_type, s.status, s.jobs, s.runs, round((s.run_seconds * 1000000)::numeric), s.oldest, s.newest
    from public.job_stats('-infinity', 'infinity', 'all') s
) h
group by h.job_type, h.status;
comment on view public.queue_health is
    'Jobs per type and status, with the average run time of the finished ones: live jobs by index, finished ones from the rollup, purged ones included.';

create view public.failed_jobs_recent with (security_invoker = true) as
select
    q.id, q.job_type, q.payload, q.error_message, q.error_details, q.attempts, q.max_attempts,
    q.created_by, q.created_at, q.started_at, q.completed_at
from public.job_queue q
where q.status = 'failed' and q.completed_at > now() - interval '24 hours'
order by q.completed_at desc;
comment on view public.failed_jobs_recent is 'Jobs that failed for good in the last 24 hours, newest first.';

create view public.stuck_jobs with (security_invoker = true) as
select s.*, clock_timestamp() - s.last_sign_of_life as silent_for
from (
    select
        q.id, q.job_type, q.payload, q.attempts, q.max_attempts, q.priority, q.created_by, q.created_at,
        q.started_at, l.worker_id,
        greatest(coalesce(q.started_at, q.updated_at), l.heartbeat_at) as last_sign_of_life
    from public.job_queue q
    left join public.job_leases l on l.job_id = q.id and l.attempt = q.attempts
    where q.status = 'processing'
) s
where s.last_sign_of_life < clock_timestamp() - public.stuck_after();
comment on view public.stuck_jobs is 'Processing jobs that showed no sign of life, neither start nor heartbeat, for stuck_after().';
