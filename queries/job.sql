-- One job and what explains its state. All queries together read at most 100 rows.

-- name: job^
-- A job by its own id or its generation's, with everything that explains its state. Seconds are
-- relative to now; null if not applicable. due_in_seconds: until scheduled_at, negative once due.
-- ended_seconds: since it ended. silent_seconds: since the last heartbeat while running. leased:
-- whether a worker holds a lease. pause_type, paused_by, pause_reason, paused_seconds: a pause of
-- its type or, as *, of all types. held_seconds, hold_reason: remaining rate limit of its model;
-- hold_busy: not a limit, its server is busy.
-- provider, down_seconds, probe_in_seconds, down_reason: its provider, if the circuit breaker is
-- open. Only while it is pending: workers_alive, workers alive that run its type; storage_hosts,
-- storage_error, storage_seconds, if none of them claims it because their storage takes no files;
-- ahead, due jobs that will be claimed before it, up to 51; ahead_cut, whether there may be more,
-- in other lines than the first 20 (pending_lines). user_id, email: who asked for it. model_id,
-- prompt, parameters (JSON, empty if over 1,000,000 characters): what was asked for, by its generation,
-- else by its payload. payload and error_details: text as stored, up to 100,000 characters.
select
    q.id,
    q.status,
    q.job_type,
    coalesce(g.model_id, q.payload ->> 'model_id') as model_id,
    q.attempts,
    q.max_attempts,
    q.priority,
    coalesce(q.created_by, g.user_id) as user_id,
    u.email,
    q.created_at,
    q.scheduled_at,
    q.started_at,
    q.completed_at,
    q.updated_at,
    q.error_message,
    left(q.error_details ->> 'code', 200) as error_code,
    coalesce(q.error_details -> 'permanent' = 'true', false) as permanent,
    left(jsonb_pretty(q.payload), 100000) as payload,
    left(jsonb_pretty(
        case when jsonb_typeof(q.error_details) = 'object' then q.error_details - 'attempts'
             else q.error_details end
    ), 100000) as error_details,
    clock_timestamp() as seen_at,
    extract(epoch from q.scheduled_at - clock_timestamp())::double precision as due_in_seconds,
    extract(epoch from clock_timestamp() - q.completed_at)::double precision as ended_seconds,
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
    h.busy as hold_busy,
    b.provider,
    extract(epoch from clock_timestamp() - b.opened_at)::double precision as down_seconds,
    extract(epoch from b.open_until - clock_timestamp())::double precision as probe_in_seconds,
    b.reason as down_reason,
    alive.workers as workers_alive,
    case when alive.blocked then alive.hosts end as storage_hosts,
    case when alive.blocked then alive.error end as storage_error,
    case when alive.blocked
         then extract(epoch from clock_timestamp() - alive.failed_at)::double precision end as storage_seconds,
    ahead.jobs as ahead,
    ahead.cut as ahead_cut,
    g.id as generation_id,
    g.status as generation_status,
    g.progress,
    left(coalesce(g.prompt, q.payload ->> 'prompt'), 100000) as prompt,
    case when length(p.parameters::text) <= 1000000 then p.parameters::text else '{}' end as parameters,
    g.prediction_id,
    g.image_url,
    g.storage_path,
    g.size,
    g.notices,
    g.application,
    g.metadata,
    g.thumbnail_path,
    g.source
from (
    select coalesce(
        (select j.id from public.job_queue j where j.id = :id),
        (
            select j.id from public.job_queue j
            where j.status in ('pending', 'processing') and public.generation_of(j.payload) = :id
            order by j.job_type <> 'generate-image'
            limit 1
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
left join public.provider_breakers b
    on b.provider = public.breaker_of(q.job_type, public.model_of(q.payload)) and b.open_until is not null
left join auth.users u on u.id = coalesce(q.created_by, g.user_id)
cross join lateral (
    select case when jsonb_typeof(o.parameters) = 'object' then o.parameters else '{}' end as parameters
    from (select coalesce(g.parameters, q.payload -> 'parameters') as parameters) o
) p
-- Conditions inside, so that nothing is read for a job that is not pending.
left join lateral (
    select
        count(*) as workers,
        bool_and(q.job_type = any (a.blocked_types)) as blocked,
        array_agg(distinct a.host) as hosts,
        min(a.storage_failed_at) as failed_at,
        (array_agg(a.storage_error order by a.storage_failed_at))[1] as error
    from public.live_workers a
    where q.status = 'pending' and q.job_type = any (a.job_types)
) alive on true
left join lateral (
    select
        (
            select count(*)
            from (
                select
                from unnest(found.lines) l
                cross join lateral (
                    select
                    from public.job_queue o
                    where o.status = 'pending' and public.line_of(o.priority, o.job_type, o.payload) = l.line
                      and o.scheduled_at <= now()
                      and (o.scheduled_at, o.created_at) < (
                          case when l.priority > coalesce(q.priority, 0) then 'infinity' else q.scheduled_at end,
                          q.created_at
                      )
                ) o
                where l.most is null and l.priority >= coalesce(q.priority, 0)
                limit 51
            ) a
        ) as jobs,
        coalesce((found.lines[20]).priority >= coalesce(q.priority, 0), false) as cut
    from (
        select public.pending_lines(20, p_barred => public.barred_job_types()) as lines
        where q.status = 'pending'
        -- Or it would be called again for each use.
        offset 0
    ) found
) ahead on true;

-- name: images
-- The images of a completed generation, in order; one of an existing deployment has only its first.
-- Columns as in the table outputs, url as image_url; width, height, bytes, media_type null if
-- unknown. At most 100.
select o.url as image_url, o.storage_path, o.thumbnail_path, o.width, o.height, o.bytes, o.media_type
from public.outputs o
join public.image_generations g on g.id = o.generation_id
where o.generation_id = :generation_id and g.status = 'completed'
union all
select g.image_url, g.storage_path, g.thumbnail_path, null, null, null, null
from public.image_generations g
where g.id = :generation_id and g.status = 'completed'
  and (g.image_url is not null or g.storage_path is not null)
  and not exists (select from public.outputs o where o.generation_id = g.id)
limit 100;

-- name: attempts
-- The last 30 attempts that ended with an error, oldest first. Columns as recorded, which may be
-- anything or null: attempt, due_at, started_at, at (its end), code, up to 200 characters each;
-- error, up to 16,000. worker: null if not registered.
select e.attempt, e.due_at, e.started_at, e.at, w.worker, e.error, e.code
from (
    select
        a.place, left(a.value ->> 'attempt', 200) as attempt, left(a.value ->> 'due_at', 200) as due_at,
        left(a.value ->> 'started_at', 200) as started_at, left(a.value ->> 'at', 200) as at,
        left(a.value ->> 'error', 16000) as error,
        left(a.value -> 'details' ->> 'code', 200) as code
    from public.job_queue q
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof(q.error_details -> 'attempts') = 'array'
             then q.error_details -> 'attempts' else '[]' end
    ) with ordinality as a (value, place)
    where q.id = :id
    order by a.place desc
    limit 30
) e
left join public.attempt_workers w on w.job_id = :id and w.attempt::text = e.attempt
order by e.place;

-- name: predictions
-- The last 20 predictions at the provider for a generation, oldest first. Columns: attempt, worker
-- (which sent the request), provider_id, status, created_at (requested), started_at, ended_at,
-- predict_seconds; input (JSON): what was sent, of the last one only; provider, and provider_url: the
-- address of its model's own server, null without one.
select p.*
from (
    select
        p.attempt, p.worker, p.provider_id, p.status, p.created_at, p.started_at, p.ended_at, p.predict_seconds,
        p.provider, s.url as provider_url,
        case when row_number() over (order by p.created_at desc) = 1 and length(p.input::text) <= 100000
             then p.input::text end as input
    from public.predictions p
    left join public.model_servers s on s.model_id = p.model_id
    where p.generation_id = :generation_id
    order by p.created_at desc
    limit 20
) p
order by p.created_at;

-- name: log$
-- The last stored log of a generation's predictions: its end, up to 16,000 characters.
select p.log
from public.predictions p
where p.generation_id = :generation_id and p.log <> ''
order by p.created_at desc
limit 1;

-- name: operators
-- The last 20 operator actions on the job, newest first. Columns: at, actor, action.
select at, actor, action from public.actions_on_job(:id::uuid);
