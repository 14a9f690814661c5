-- Workers, their claims and calls of process-jobs. Read from the small tables of workers and
-- leases.

-- name: workers
-- Workers of the last hour, and any that still hold jobs; calls of process-jobs and
-- process-generation only while they run or hold any. Up to 200, those with problems first. state:
-- lost (no heartbeat for a minute, or stopped, while holding jobs), alive, no heartbeat (for a
-- minute), stopped; holds: jobs claimed; oldest_claim_seconds: age of the oldest claim;
-- silent_seconds: since the last heartbeat; storage_error, storage_failed_seconds: why and for how
-- long its storage takes no files, or null.
select *
from (
    select
        w.id, w.kind, w.host, w.pid, w.version, w.job_types, w.concurrency, w.processed, w.errors,
        w.started_at, w.last_seen_at, w.stopped_at, w.storage_error,
        extract(epoch from now() - w.storage_failed_at)::double precision as storage_failed_seconds,
        extract(epoch from now() - w.last_seen_at)::double precision as silent_seconds,
        coalesce(held.jobs, 0) as holds,
        extract(epoch from now() - held.oldest)::double precision as oldest_claim_seconds,
        case
            when not live.stands_for_cron then 'alive'
            when held.jobs > 0 then 'lost'
            when w.stopped_at is null then 'no heartbeat'
            else 'stopped'
        end as state
    from public.workers w
    left join public.live_workers live on live.id = w.id
    left join (
        select l.worker_id, count(*) as jobs, min(q.started_at) as oldest
        from public.job_leases l join public.job_queue q on q.id = l.job_id
        group by l.worker_id
    ) held on held.worker_id = w.id
    where held.jobs > 0
       or (w.last_seen_at > now() - interval '1 hour' and (w.kind = 'worker' or w.stopped_at is null))
) w
order by array_position(array['lost', 'alive', 'no heartbeat', 'stopped'], w.state), w.last_seen_at desc
limit 200;

-- name: held
-- Claims of all workers, longest silent first, up to :most. claimed_at: start of the attempt;
-- heartbeat_at, silent_seconds: last heartbeat; worker: host and process, null if not registered;
-- total: number of claims.
select
    l.job_id as id, q.job_type, g.model_id, l.attempt, q.max_attempts, q.started_at as claimed_at,
    l.heartbeat_at, extract(epoch from now() - l.heartbeat_at)::double precision as silent_seconds,
    w.host || ', pid ' || w.pid as worker,
    count(*) over () as total
from public.job_leases l
join public.job_queue q on q.id = l.job_id
left join public.image_generations g on g.id = public.generation_of(q.payload)
left join public.workers w on w.id = l.worker_id
order by l.heartbeat_at, l.job_id
limit :most;

-- name: calls
-- The newest calls of process-jobs in the last day, up to :most; older records are deleted. state:
-- running, ended, or lost (never reported an end); seconds: duration, or time since the last
-- heartbeat.
select
    w.started_at, w.host, w.pid, w.processed, w.errors,
    case
        when w.stopped_at is not null then 'ended'
        when not live.stands_for_cron then 'running'
        else 'lost'
    end as state,
    extract(epoch from coalesce(w.stopped_at, now()) - w.started_at)::double precision as seconds
from public.workers w
left join public.live_workers live on live.id = w.id
where w.kind = 'process-jobs'
order by w.started_at desc
limit :most;

-- name: own_schedule^
-- Last time of each of a worker's periodic tasks: claimed_at (newest claim of a job that runs, or of
-- the hundred that ended last), seen_at (heartbeat), folded_at (history folded). Null if never. stuck_after_seconds: silence after which a
-- job is rescued, unless a setting says otherwise.
select
    greatest(
        (select max(started_at) from public.job_queue where status = 'processing'),
        (
            select max(e.started_at)
            from (
                select started_at from public.job_queue
                where status in ('completed', 'failed', 'cancelled') and completed_at is not null
                order by completed_at desc limit 100
            ) e
        )
    ) as claimed_at,
    (select max(last_seen_at) from public.workers where kind = 'worker') as seen_at,
    (select nullif(refreshed_at, '-infinity') from public.rollup_state) as folded_at,
    extract(epoch from public.stuck_after())::double precision as stuck_after_seconds;

-- name: pauses
-- Pauses, that of all types first. Columns: job_type (*: all), paused_by, reason, paused_at.
select job_type, paused_by, reason, paused_at from public.queue_pauses
order by job_type <> '*', job_type limit 200;

-- name: types
-- Job types that can be paused: those that workers of the last hour handle, and those with settings
-- of their own. Column: job_type.
select job_type from public.job_types
union
select unnest(w.job_types) from public.workers w where w.last_seen_at > now() - interval '1 hour'
order by job_type
limit 200;
