-- Is the queue healthy? Live jobs by partial indexes, finished ones of the last day by completion time.

-- name: health
-- Per type and status: live jobs now, and what finished in the last 24 hours.
-- Columns: job_type, status, count, avg_seconds (run time, finished jobs only), oldest, newest (timestamptz).
select
    job_type,
    status,
    count(*) as count,
    avg(extract(epoch from completed_at - started_at))::double precision as avg_seconds,
    min(created_at) as oldest,
    max(created_at) as newest
from (
    select job_type, status, started_at, null::timestamptz as completed_at, created_at
    from public.job_queue where status = 'pending'
    union all
    select job_type, status, started_at, null, created_at
    from public.job_queue where status = 'processing'
    union all
    select job_type, status, started_at, completed_at, created_at
    from public.job_queue
    where status in ('completed', 'failed', 'cancelled') and completed_at > now() - interval '24 hours'
) jobs
group by job_type, status
order by job_type, array_position(array['pending', 'processing', 'completed', 'failed', 'cancelled'], status);

-- name: now^
-- The state in one row. Counts; oldest_due_seconds: longest wait of a due job; last_hour_*: jobs
-- that ended in the last hour; wait_seconds: their mean wait from due to start; paused: types of
-- jobs, * for all; down: providers whose breaker is open.
select
    (select count(*) from public.job_queue where status = 'pending') as pending,
    (select count(*) from public.job_queue where status = 'pending' and scheduled_at <= now()) as due,
    (
        select extract(epoch from now() - min(scheduled_at))::double precision
        from public.job_queue where status = 'pending' and scheduled_at <= now()
    ) as oldest_due_seconds,
    (select count(*) from public.job_queue where status = 'processing') as processing,
    (select count(*) from public.stuck_jobs) as stuck,
    array(select job_type from public.queue_pauses order by job_type) as paused,
    (
        select coalesce(
            jsonb_agg(jsonb_build_object(
                'provider', provider,
                'since', to_char(opened_at at time zone 'UTC', 'HH24:MI "UTC"'),
                'reason', reason
            ) order by opened_at), '[]'
        )
        from public.provider_breakers where open_until is not null
    ) as down,
    finished.*,
    (
        -- A call of process-jobs stands for the cron schedule that makes one every minute.
        select count(*) from public.workers
        where (stopped_at is null and last_seen_at > now() - interval '1 minute')
           or (kind = 'process-jobs' and last_seen_at > now() - interval '2 minutes')
    ) as workers_alive
from (
    select
        count(*) filter (where status = 'completed') as last_hour_completed,
        count(*) filter (where status = 'failed') as last_hour_failed,
        (
            avg(extract(epoch from started_at - scheduled_at)) filter (where status = 'completed')
        )::double precision as last_hour_wait_seconds
    from public.job_queue
    where status in ('completed', 'failed', 'cancelled') and completed_at > now() - interval '1 hour'
) finished;

-- name: throughput
-- Jobs that ended in each minute of the last hour, by status; minutes without any are absent.
select date_trunc('minute', completed_at) as minute, status, count(*) as jobs
from public.job_queue
where status in ('completed', 'failed', 'cancelled') and completed_at > now() - interval '1 hour'
group by 1, 2
order by 1, 2;

-- name: workers
-- Workers of the last hour, living ones first. state: alive, silent (no sign for a minute), stopped.
select
    w.kind,
    w.host,
    w.pid,
    case
        when w.stopped_at is not null then 'stopped'
        when w.last_seen_at > now() - interval '1 minute' then 'alive'
        else 'silent'
    end as state,
    (select count(*) from public.job_leases l where l.worker_id = w.id) as running,
    w.concurrency,
    w.processed,
    w.errors,
    w.started_at,
    w.last_seen_at
from public.workers w
where w.last_seen_at > now() - interval '1 hour'
order by w.stopped_at desc nulls first, w.last_seen_at desc
limit 20;

-- name: has_sample_data$
-- Whether sample history was loaded; asked of the embedded database, whose users are few.
select exists (select from auth.users where email = 'sample-user-01@example.invalid');
