-- Health of the queue, from views.

-- name: now^
-- The current state in one row; its columns are described in the view queue_state.
select * from public.queue_state;

-- name: hours
-- The last 24 full hours (UTC), oldest first.
select hour, pending, processing, completed, failed, failure_share, wait_p95 from public.queue_hours order by hour;

-- name: quarters
-- The last 24 hours by the quarter of an hour, oldest first.
select at, arrived, completed, failed, depth from public.queue_quarters order by at;

-- name: events
-- Alerts that fired, pauses of the queue and injected faults of the last :length, the newest 100 of each. Columns: kind (alert,
-- pause, fault); name (rule of an alert, job type of a pause or list of faults); began_at; ended_at (null: still going on).
with span as materialized (select now() - :length::interval as since)
(
    select 'alert' as kind, a.rule as name, a.fired_at as began_at, a.resolved_at as ended_at
    from span, public.alerts a
    where a.fired_at is not null and (a.resolved_at is null or a.resolved_at > since)
    order by a.fired_at desc limit 100
)
union all
(
    select 'pause', l.details ->> 'job_type', (l.details -> 'before' ->> 'paused_at')::timestamptz, l.at
    from span, public.audit_log l
    where l.action = 'resume_queue' and l.at > since and l.affected > 0
    order by l.at desc limit 100
)
union all
select 'pause', p.job_type, p.paused_at, null from public.queue_pauses p
union all
(
    select 'fault', l.details -> 'before' ->> 'faults', began.at, l.at
    from span, public.audit_log l
    cross join lateral (
        select b.at from public.audit_log b
        where b.action = 'inject_faults' and (b.at, b.id) < (l.at, l.id) order by b.at desc, b.id desc limit 1
    ) began
    where l.action = 'inject_faults' and l.at > since and l.details -> 'before' -> 'faults' <> '[]'
    order by l.at desc limit 100
)
union all
(
    select 'fault', f.details -> 'after' ->> 'faults', f.at, null
    from (
        select l.* from public.audit_log l where l.action = 'inject_faults' order by l.at desc, l.id desc limit 1
    ) f
    where f.details -> 'after' -> 'faults' <> '[]'
)
order by began_at;

-- name: failures
-- The three most frequent kinds of errors of the last hour (from a full hour on), with trend by the hour of the last day.
select key, error_group, error_code, jobs, trend, total, kinds
from public.failure_groups_between(date_trunc('hour', now() - interval '1 hour', 'UTC'), null)
limit 3;

-- name: running
-- The three jobs that started last and are running with a heartbeat. progress: 0 to 100; null if they report none.
select
    q.id, q.job_type, q.payload ->> 'model_id' as model_id, left(q.payload ->> 'prompt', 200) as prompt, g.progress,
    extract(epoch from now() - q.started_at)::double precision as seconds
from (
    select * from public.job_queue j
    where j.status = 'processing' and not exists (select from public.stuck_jobs s where s.id = j.id)
    order by j.started_at desc limit 3
) q
left join public.image_generations g on g.id = public.generation_of(q.payload)
order by q.started_at desc;

-- name: images
-- The twelve jobs that completed last with an image, of the 200 that ended last.
select q.id, g.prompt, g.model_id, g.thumbnail_path, g.storage_path, g.image_url, q.completed_at
from (
    select id, payload, status, completed_at
    from public.job_queue
    where status in ('completed', 'failed', 'cancelled')
    order by completed_at desc limit 200
) q
join public.image_generations g on g.id = public.generation_of(q.payload)
where q.status = 'completed' and (g.storage_path is not null or g.image_url is not null)
order by q.completed_at desc
limit 12;

-- name: health
-- Jobs by type and status. At most 200 rows, the most jobs first.
select job_type, status, count, avg_seconds, oldest, newest
from public.queue_health_recent
order by
    sum(count) over (partition by job_type) desc, job_type,
    array_position(array['pending', 'processing', 'completed', 'failed', 'cancelled'], status)
limit 200;

-- name: has_sample_data$
-- Whether sample history was loaded. For the embedded database only, where users are few.
select exists (select from auth.users where email = 'sample-user-01@example.invalid');

-- name: first_look$
-- Which welcome to show: sample while the newest generation is sample history, empty while no job
-- has ended and no generation was requested, null afterwards.
select case
    when newest.source = 'sample' then 'sample'
    when newest.source is null and not exists (select from public.job_rollup) then 'empty'
end
from (select) as one
left join lateral (
    select g.source from public.image_generations g order by g.created_at desc limit 1
) newest on true;
