-- Live views: workers, live jobs, stuck and failed jobs. For operators and their tools, such as psql,
-- Supabase Studio and Grafana; docs/views.md lists all views with their columns.

-- Workers -----------------------------------------------------------------------------------------

select public.set_aside_existing('live_workers');
create view public.live_workers with (security_invoker = true) as
select
    w.id, w.kind, w.host, w.pid, w.version, w.job_types, w.concurrency, w.started_at, w.last_seen_at,
    extract(epoch from now() - w.last_seen_at)::double precision as silent_seconds,
    not w.running as stands_for_cron,
    w.storage_error, w.storage_failed_at, w.blocked_types
from (
    select *, stopped_at is null and last_seen_at > now() - interval '1 minute' as running from public.workers
) w
-- Cron calls process-jobs every minute: between two calls the last one stands for the next.
where w.running or (w.kind = 'process-jobs' and w.last_seen_at > now() - interval '2 minutes');
comment on view public.live_workers is
'Which workers are alive? A worker is alive while it runs and sent a heartbeat in the last minute; a call to process-jobs also for two minutes after its last heartbeat, because cron calls it every minute.

- id: of the worker
- kind: worker (a process that keeps running), process-jobs or process-generation (one call)
- host: name of its machine
- pid: its process id there
- version: of Darkroom
- job_types: types of jobs that it runs
- concurrency: jobs that it runs at once
- started_at: when it started
- last_seen_at: its last heartbeat
- silent_seconds: seconds since then
- stands_for_cron: true for a call to process-jobs that has ended; cron is expected to make the next one
- storage_error: why its storage takes no files now, null while it does
- storage_failed_at: since when
- blocked_types: types of jobs that it does not claim meanwhile

Cost: reads the table of workers, which keeps one day.';

-- Live jobs ---------------------------------------------------------------------------------------

select public.set_aside_existing('live_jobs');
create view public.live_jobs with (security_invoker = true) as
select
    q.job_type, q.status, count(*) as count, min(q.created_at) as oldest, max(q.created_at) as newest,
    sum(q.attempts) as attempts
from public.job_queue q where q.status = 'pending' group by q.job_type, q.status
union all
select q.job_type, q.status, count(*), min(q.created_at), max(q.created_at), sum(q.attempts)
from public.job_queue q where q.status = 'processing' group by q.job_type, q.status;
comment on view public.live_jobs is
'How many jobs are pending and running, by type?

- job_type: type of the jobs
- status: pending or processing (running)
- count: jobs
- oldest: when the oldest job was created
- newest: when the newest job was created
- attempts: total number of attempts so far

Cost: reads the live jobs by their partial indexes, never the finished ones.';

select public.set_aside_existing('stuck_jobs');
create view public.stuck_jobs with (security_invoker = true) as
select
    s.*, clock_timestamp() - s.last_heartbeat_at as silent_for,
    (extract(epoch from clock_timestamp() - s.started_at) / 60)::double precision as minutes_stuck
from (
    select
        q.id, q.job_type, q.payload, q.attempts, q.max_attempts, q.priority, q.created_by, q.created_at,
        q.started_at, l.worker_id,
        greatest(coalesce(q.started_at, q.updated_at), l.heartbeat_at) as last_heartbeat_at
    from public.job_queue q
    left join public.job_leases l on l.job_id = q.id and l.attempt = q.attempts
    where q.status = 'processing'
) s
where s.last_heartbeat_at < clock_timestamp() - public.stuck_after();
comment on view public.stuck_jobs is
'Which running jobs are stuck, that is without a start or a heartbeat for stuck_after()?

- id: of the job
- job_type: its type
- payload: its input
- attempts: attempts so far, the current one included
- max_attempts: attempts that it may use
- priority: higher runs first
- created_by: user who created it, null for none
- created_at: when it was created
- started_at: when the current attempt started
- worker_id: worker that holds it, null without a lease
- last_heartbeat_at: start or last heartbeat of the attempt, the later one
- silent_for: time since then
- minutes_stuck: minutes since the attempt started, null without a start

Cost: reads the running jobs by their partial index.';

select public.set_aside_existing('failed_jobs_recent');
create view public.failed_jobs_recent with (security_invoker = true) as
select
    q.id, q.job_type, q.payload, q.error_message, q.error_details, q.attempts, q.max_attempts,
    q.created_by, q.created_at, q.started_at, q.completed_at
from public.job_queue q
where q.status = 'failed' and q.completed_at > now() - interval '24 hours'
order by q.completed_at desc;
comment on view public.failed_jobs_recent is
'Which jobs failed in the last 24 hours, newest first? Refused ones are among them, with the code refused in error_details.

- id: of the job
- job_type: its type
- payload: its input
- error_message: the last error
- error_details: details of the last error; under "attempts" the errors of all attempts
- attempts: attempts used
- max_attempts: attempts that it could use
- created_by: user who created it, null for none
- created_at: when it was created
- started_at: when the last attempt started
- completed_at: when it failed

Cost: one row for each failed job of the day, by the partial index of failed jobs; add a limit to read less.';

-- Jobs by type and status -------------------------------------------------------------------------

select public.set_aside_existing('queue_health');
-- Equals one GROUP BY over all of job_queue plus the purged jobs, without reading finished jobs.
create view public.queue_health with (security_invoker = true) as
select
    h.job_type,
    h.status,
    sum(h.jobs)::bigint as count,
    round(sum(h.run_us) / 1000000 / nullif(sum(h.runs), 0), 3)::double precision as avg_duration_seconds,
    min(h.oldest) as oldest_job,
    max(h.newest) as newest_job,
    round(sum(h.attempts) / sum(h.jobs), 2)::double precision as avg_attempts
from (
    select l.job_type, l.status, l.count as jobs, 0 as runs, 0::numeric as run_us, l.oldest, l.newest, l.attempts
    from public.live_jobs l
    union all
    -- Jobs of an existing deployment that finished without a completed_at.
    select q.job_type, q.status, count(*), 0, 0, min(q.created_at), max(q.created_at), sum(q.attempts)
    from public.job_queue q
    where q.status in ('completed', 'failed', 'cancelled') and q.completed_at is null
    group by q.job_type, q.status
    union all
    select s.job_type, s.status, s.jobs, s.runs, round((s.run_seconds * 1000000)::numeric), s.oldest, s.newest, s.attempts
    from public.job_stats('-infinity', 'infinity', 'all') s
) h
group by h.job_type, h.status;
comment on view public.queue_health is
'How many jobs are there of each type and status, and how long do they run? All time, purged jobs included.

- job_type: type of the jobs
- status: pending, processing (running), completed, failed, refused (failed in job_queue, but counted apart) or cancelled
- count: jobs
- avg_duration_seconds: mean run time of the finished ones, in seconds; null for live ones
- oldest_job: when the oldest job was created
- newest_job: when the newest job was created
- avg_attempts: mean number of attempts so far

Cost: live jobs by their partial indexes, finished ones from the daily rollup: it grows with the days of history, not with the jobs.';

select public.set_aside_existing('queue_health_recent');
create view public.queue_health_recent with (security_invoker = true) as
select l.job_type, l.status, l.count, null::double precision as avg_seconds, l.oldest, l.newest
from public.live_jobs l
union all
select
    p.job_type, p.status, sum(p.jobs)::bigint, (sum(p.run_us) / 1000000 / nullif(sum(p.runs), 0))::double precision,
    min(p.oldest), max(p.newest)
from public.job_stats_parts(date_trunc('hour', now(), 'UTC') - interval '24 hours', now(), 'all') p
group by p.job_type, p.status;
comment on view public.queue_health_recent is
'How many jobs of each type are pending and running now, and how many ended in the last 24 full hours or the current one? Purged jobs included.

- job_type: type of the jobs
- status: pending, processing (running), completed, failed, refused (failed in job_queue, but counted apart) or cancelled
- count: jobs
- avg_seconds: mean run time of the finished ones, in seconds; null for live ones
- oldest: when the oldest job was created
- newest: when the newest job was created

Cost: live jobs by their partial indexes, a day of the hourly rollup, and the jobs that ended since it was last folded.';
