-- Rolling back from the queue and returning to it. Counts come from the indexes of live jobs.

-- name: state^
-- What the steps depend on. Columns: now; id, reason, started_by, started_at, rollout_before of the
-- open rollback (null: none); paused_by, paused_at (null: the queue is not paused); percentage of
-- users on the queue; waiting, arrived (of these since the pause), running; cron_active,
-- cron_stopped: pg_cron jobs that call process-jobs, and those paused by the rollback; to_settle:
-- jobs it cancelled that have not been restored, up to 100,001; told: notes of who was notified.
select
    clock_timestamp() as now, r.id, r.reason, r.started_by, r.started_at, r.rollout_before,
    p.paused_by, p.paused_at, a.percentage, live.waiting, live.arrived, live.running,
    cron.cron_active, cron.cron_stopped,
    (
        select count(*) from (
            select from public.rollback_jobs j
            where j.rollback_id = r.id and j.settled_at is null
            limit 100001
        ) u
    ) as to_settle,
    (
        select count(*) from public.audit_log n
        where n.action = 'note_notified' and n.at >= r.started_at
    ) as told
from public.async_rollout a
left join public.rollbacks r on r.ended_at is null
left join public.queue_pauses p on p.job_type = '*'
cross join lateral (
    select
        (select count(*) from public.job_queue q where q.status = 'pending') as waiting,
        (
            select count(*) from public.job_queue q
            where q.status = 'pending' and q.created_at > p.paused_at
        ) as arrived,
        (select count(*) from public.job_queue q where q.status = 'processing') as running
) live
cross join lateral (
    select
        count(*) filter (where c.active) as cron_active,
        count(*) filter (where not c.active and c.job_id = any (r.cron_jobs)) as cron_stopped
    from public.cron_jobs() c
    where c.wakes_queue
) cron;

-- name: done
-- Actions since :since (timestamptz), newest first, up to 200. Columns: at, actor, action,
-- affected, who and message (of a note of who was notified).
select l.at, l.actor, l.action, l.affected, l.details ->> 'who' as who, l.details ->> 'message' as message
from public.audit_log l
where l.at >= :since
order by l.at desc, l.id desc
limit 200;

-- name: ended
-- The last twenty finished rollbacks. Columns: started_at, started_by, reason, ended_at, ended_by.
select r.started_at, r.started_by, r.reason, r.ended_at, r.ended_by
from public.rollbacks r
where r.ended_at is not null
order by r.started_at desc
limit 20;

-- name: failed
-- All permanently failed jobs before the position (:before, timestamptz, and :before_id), newest
-- first, up to :most. Columns: those of failed_jobs_recent.
select
    q.id, q.job_type, q.payload, q.error_message, q.error_details, q.attempts, q.max_attempts,
    q.created_by, q.created_at, q.started_at, q.completed_at
from public.job_queue q
where q.status = 'failed' and q.completed_at <= :before::timestamptz
  and (q.completed_at, q.id) < (:before::timestamptz, :before_id::uuid)
order by q.completed_at desc, q.id desc
limit :most;

-- name: health
-- The view queue_health.
select job_type, status, count, oldest_job, newest_job, avg_duration_seconds, avg_attempts
from public.queue_health
order by job_type, status;

-- name: start!
select public.start_rollback(:actor, :reason);

-- name: to_synchronous$
-- The previous percentage.
select public.roll_back_to_synchronous(:actor, :rollback::uuid);

-- name: restore_rollout$
-- The new percentage.
select public.restore_rollout(:actor, :rollback::uuid);

-- name: stop_cron$
select public.stop_cron(:actor, :rollback::uuid);

-- name: restart_cron$
select public.restart_cron(:actor, :rollback::uuid);

-- name: cancel$
-- Number of jobs of a :status created up to :until that were cancelled; 0 when none is left.
select public.cancel_for_rollback(:actor, :rollback::uuid, :status, :until::timestamptz);

-- name: put_back^
-- Columns: looked_at (0 when none is left), put_back.
select looked_at, put_back from public.put_back_cancelled(:actor, :rollback::uuid);

-- name: note_told!
select public.note_notified(:actor, :rollback::uuid, :who, :message);

-- name: end!
select public.end_rollback(:actor, :rollback::uuid);
