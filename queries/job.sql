-- One job and what explains its state.

-- name: job^
-- A job by its own id or its generation's, with everything that explains its state. Seconds are
-- relative to now; null if not applicable. due_in_seconds: until scheduled_at, negative once due.
-- silent_seconds: since the last heartbeat while running. leased: whether a worker holds a lease.
-- pause_type, paused_by, pause_reason, paused_seconds: a pause of its type or, as *, of all types.
-- held_seconds, hold_reason: remaining rate limit of its model. provider, down_seconds,
-- probe_in_seconds, down_reason: its provider, if the circuit breaker is open. workers_alive:
-- workers alive that run its type. storage_hosts, storage_error, storage_seconds: if none of them
-- claims it because their storage takes no files. ahead: due jobs that will be claimed before it, up
-- to 1,001, of the first 1,000 lines (pending_lines). payload and error_details: text as stored, up
-- to 100,000 characters.
select
    q.id,
    q.status,
    q.job_type,
    q.payload ->> 'model_id' as model_id,
    q.attempts,
    q.max_attempts,
    q.priority,
    q.created_by,
    q.created_at,
    q.scheduled_at,
    q.started_at,
    q.completed_at,
    q.updated_at,
    q.error_message,
    q.error_details ->> 'code' as error_code,
    coalesce(q.error_details -> 'permanent' = 'true', false) as permanent,
    left(jsonb_pretty(q.payload), 100000) as payload,
    left(jsonb_pretty(
        case when jsonb_typeof(q.error_details) = 'object' then q.error_details - 'attempts'
             else q.error_details end
    ), 100000) as error_details,
    extract(epoch from q.scheduled_at - clock_timestamp())::double precision as due_in_seconds,
    extract(epoch from q.started_at - q.scheduled_at)::double precision as wait_seconds,
    extract(
        epoch from coalesce(q.completed_at, clock_timestamp()) - q.started_at
    )::double precision as run_seconds,
    extract(
        epoch from clock_timestamp() - greatest(coalesce(q.started_at, q.updated_at), l.heartbeat_at)
    )::double precision as silent_seconds,
    extract(epoch from public.stuck_after())::double precision as stuck_after_seconds,
    l.job_id is not null as leased,
    l.heartbeat_at,
    w.host || ', pid ' || w.pid as worker,
    pause.job_type as pause_type,
    pause.paused_by,
    pause.reason as pause_reason,
    extract(epoch from clock_timestamp() - pause.paused_at)::double precision as paused_seconds,
    extract(epoch from h.held_until - clock_timestamp())::double precision as held_seconds,
    h.reason as hold_reason,
    b.provider,
    extract(epoch from clock_timestamp() - b.opened_at)::double precision as down_seconds,
    extract(epoch from b.open_until - clock_timestamp())::double precision as probe_in_seconds,
    b.reason as down_reason,
    (
        select count(*) from public.live_workers a where q.job_type = any(a.job_types)
    ) as workers_alive,
    storage.hosts as storage_hosts,
    storage.error as storage_error,
    extract(epoch from clock_timestamp() - storage.failed_at)::double precision as storage_seconds,
    ahead.jobs as ahead,
    g.id as generation_id,
    g.user_id,
    g.status as generation_status,
    g.progress,
    g.prompt,
    g.prediction_id,
    g.image_url,
    g.storage_path,
    g.source
from (
    select coalesce(
        (select j.id from public.job_queue j where j.id = :id),
        (
            select j.id from public.job_queue j
            where j.status in ('pending', 'processing') and public.generation_of(j.payload) = :id
        ),
        (
            select j.id
            from public.image_generations g
            join public.job_queue j
                on j.status in ('completed', 'failed', 'cancelled') and j.completed_at = g.completed_at
            where g.id = :id and public.generation_of(j.payload) = g.id
            limit 1
        )
    ) as id
) found
join public.job_queue q on q.id = found.id
left join public.image_generations g on g.id = public.generation_of(q.payload)
left join public.job_leases l on l.job_id = q.id and l.attempt = q.attempts
left join public.workers w on w.id = l.worker_id
left join lateral (
    select p.* from public.queue_pauses p
    where p.job_type in (q.job_type, '*')
    order by p.job_type = '*' desc
    limit 1
) pause on true
left join public.model_holds h on h.model_id = public.model_of(q.payload) and h.held_until > clock_timestamp()
left join public.job_types t on t.job_type = q.job_type
left join public.provider_breakers b on b.provider = t.provider and b.open_until is not null
left join lateral (
    select
        array_agg(distinct a.host) as hosts,
        min(a.storage_failed_at) as failed_at,
        (array_agg(a.storage_error order by a.storage_failed_at))[1] as error
    from public.live_workers a
    where q.job_type = any (a.job_types)
    having bool_and(q.job_type = any (a.blocked_types))
) storage on true
left join lateral (
    select count(*) as jobs
    from (
        select
        from unnest(public.pending_lines(1000, p_barred => public.barred_job_types())) l
        cross join lateral (
            select
            from public.job_queue p
            where p.status = 'pending' and public.line_of(p.priority, p.job_type, p.payload) = l.line
              and p.scheduled_at <= now()
              and (p.scheduled_at, p.created_at)
                  < (case when l.priority > coalesce(q.priority, 0) then 'infinity' else q.scheduled_at end, q.created_at)
        ) p
        where l.most is null and l.priority >= coalesce(q.priority, 0)
        limit 1001
    ) a
) ahead on q.status = 'pending';

-- name: attempts
-- Attempts that ended with an error, oldest first. Columns: attempt, at (as recorded), error, code.
select a.value ->> 'attempt' as attempt, a.value ->> 'at' as at, a.value ->> 'error' as error,
       a.value -> 'details' ->> 'code' as code
from public.job_queue q
cross join lateral jsonb_array_elements(
    case when jsonb_typeof(q.error_details -> 'attempts') = 'array'
         then q.error_details -> 'attempts' else '[]' end
) with ordinality as a (value, place)
where q.id = :id
order by a.place
limit 200;

-- name: predictions
-- Predictions at the provider for a generation, oldest first. Columns: attempt, provider_id,
-- status, error, created_at (requested), started_at, ended_at, predict_seconds, log.
select p.attempt, p.provider_id, p.status, p.error, p.created_at, p.started_at, p.ended_at, p.predict_seconds, p.log
from public.predictions p
where p.generation_id = :generation_id
order by p.created_at
limit 200;

-- name: operators
-- Operator actions on the job, among the last 200 actions since it was created. Columns: at, actor,
-- action.
select l.at, l.actor, l.action
from (
    select a.at, a.actor, a.action, a.details from public.audit_log a
    where a.at >= :created_at
    order by a.at desc
    limit 200
) l
where l.details -> 'job_ids' ? :id::text
order by l.at;
