-- The life of a job: enqueued, claimed, kept alive, completed, given back, reset.
-- Errors use DR404 (no such job), DR409 (not in a state that allows it) and 22023 (bad argument).

create function public.stuck_after() returns interval
language sql immutable parallel safe set search_path = ''
return interval '10 minutes';
comment on function public.stuck_after() is 'Silence after which a processing job counts as stuck.';

create function public.generation_of(p_payload jsonb) returns uuid
language sql immutable parallel safe set search_path = ''
return case when p_payload ->> 'generation_id' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
            then (p_payload ->> 'generation_id')::uuid end;
comment on function public.generation_of(jsonb) is 'The generation that a payload names; null when it names none.';

create function public.append_attempt_error(
    p_error_details jsonb, p_attempt int, p_error text, p_details jsonb
) returns jsonb
language sql stable set search_path = ''
return coalesce(p_details, '{}') || jsonb_build_object(
    'attempts',
    case when jsonb_typeof(p_error_details -> 'attempts') = 'array'
         then p_error_details -> 'attempts' else '[]'::jsonb end
    || jsonb_build_object(
        'attempt', p_attempt, 'at', clock_timestamp(), 'error', p_error,
        'details', coalesce(p_details, '{}')
    )
);
comment on function public.append_attempt_error(jsonb, int, text, jsonb) is 'error_details of a job after one more failed attempt.';

-- Doubles from 10 seconds up to an hour; jitter and a provider's own delay are added, never subtracted.
create function public.retry_delay(p_attempt int, p_retry_after_seconds numeric default 0) returns interval
language sql volatile set search_path = ''
return make_interval(secs =>
    greatest(least(10 * 2 ^ (least(p_attempt, 20) - 1), 3600), coalesce(p_retry_after_seconds, 0))::double precision
    * (1 + random() * 0.25)
);
comment on function public.retry_delay(int, numeric) is 'Wait before the next attempt after attempt number p_attempt failed.';

create function public.enqueue_job(
    p_job_type     text,
    p_payload      jsonb,
    p_priority     int default 0,
    p_scheduled_at timestamptz default now(),
    p_max_attempts int default 3,
    p_created_by   uuid default null
) returns uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_id uuid;
begin
    if p_job_type is null or btrim(p_job_type) = '' then
        raise exception 'job_type is empty: name the kind of job, for example ''generate-image''' using errcode = '22023';
    end if;
    if p_payload is null or jsonb_typeof(p_payload) <> 'object' then
        raise exception 'payload must be a JSON object' using errcode = '22023';
    end if;
    if coalesce(p_max_attempts, 3) not between 1 and 100 then
        raise exception 'max_attempts is %: choose 1 to 100', p_max_attempts using errcode = '22023';
    end if;

    insert into public.job_queue (job_type, payload, priority, scheduled_at, max_attempts, created_by)
    values (p_job_type, p_payload, coalesce(p_priority, 0), coalesce(p_scheduled_at, now()),
            coalesce(p_max_attempts, 3), p_created_by)
    on conflict ((payload ->> 'generation_id')) where status in ('pending', 'processing') do nothing
    returning id into v_id;

    if v_id is null then
        raise exception 'generation % already has a job that is waiting or running', p_payload ->> 'generation_id'
            using errcode = 'DR409';
    end if;
    perform pg_notify('job_queue', p_job_type);
    return v_id;
end;
$$;
comment on function public.enqueue_job is 'Adds a job and wakes the workers. Returns its id.';

-- The rows are locked by the caller.
create function public.start_attempts(p_job_ids uuid[], p_worker_id uuid) returns setof public.job_queue
language sql volatile set search_path = ''
as $$
    with claimed as (
        update public.job_queue q
        set status = 'processing', attempts = q.attempts + 1, started_at = clock_timestamp(),
            completed_at = null, updated_at = clock_timestamp()
        where q.id = any (p_job_ids) and q.status = 'pending'
        returning q.*
    ), leased as (
        insert into public.job_leases as l (job_id, attempt, worker_id, heartbeat_at)
        select c.id, c.attempts, p_worker_id, clock_timestamp() from claimed c
        on conflict (job_id) do update
        set attempt = excluded.attempt, worker_id = excluded.worker_id, heartbeat_at = excluded.heartbeat_at
    )
    select * from claimed order by priority desc, scheduled_at, created_at;
$$;
comment on function public.start_attempts is 'Turns locked pending jobs into claims of a worker.';

create function public.claim_jobs(
    p_limit int, p_job_types text[] default null, p_worker_id uuid default null
) returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
begin
    if p_limit is null or p_limit < 1 then
        raise exception 'limit is %: claim at least one job', p_limit using errcode = '22023';
    end if;
    return query select * from public.start_attempts(array(
        select q.id from public.job_queue q
        where q.status = 'pending' and q.scheduled_at <= now()
          and (p_job_types is null or q.job_type = any (p_job_types))
        order by q.priority desc, q.scheduled_at, q.created_at
        limit p_limit
        for update skip locked
    ), p_worker_id);
end;
$$;
comment on function public.claim_jobs is 'Claims up to p_limit due jobs: highest priority first, then the longest due.';

create function public.claim_next_job(p_job_types text[] default null, p_worker_id uuid default null)
returns setof public.job_queue
language sql volatile set search_path = ''
as $$ select * from public.claim_jobs(1, p_job_types, p_worker_id) $$;
comment on function public.claim_next_job is 'Claims the next due job; no row when nothing is due.';

create function public.claim_generation(p_generation_id uuid, p_worker_id uuid default null)
returns setof public.job_queue
language sql volatile set search_path = ''
as $$
    select * from public.start_attempts(array(
        select q.id from public.job_queue q
        where q.status = 'pending' and q.payload ->> 'generation_id' = p_generation_id::text
        for update skip locked
    ), p_worker_id);
$$;
comment on function public.claim_generation is 'Claims the pending job of one generation, whenever it is scheduled; no row when there is none.';

create function public.hold_claim(p_job_id uuid, p_attempt int) returns boolean
language sql volatile set search_path = ''
as $$
    select exists (
        select from public.job_queue q
        where q.id = p_job_id and q.attempts = p_attempt and q.status = 'processing'
        for update
    );
$$;
comment on function public.hold_claim is 'Whether the claim is still current; locks it until the transaction ends.';

create function public.heartbeat_jobs(p_worker_id uuid, p_job_ids uuid[], p_attempts int[])
returns setof uuid
language sql volatile set search_path = ''
as $$
    with asked as (
        select * from unnest(p_job_ids, p_attempts) as a (job_id, attempt)
    ), held as (
        select l.job_id from public.job_leases l join asked a using (job_id, attempt)
        where l.worker_id = p_worker_id
        order by l.job_id
        for update of l
    ), beat as (
        update public.job_leases l set heartbeat_at = clock_timestamp()
        from held where l.job_id = held.job_id
    )
    select job_id from asked where job_id not in (select job_id from held);
$$;
comment on function public.heartbeat_jobs is 'Shows that claims are alive. Returns the jobs whose claim the worker has lost.';

create function public.complete_job(
    p_job_id        uuid,
    p_success       boolean default true,
    p_error_message text default null,
    p_error_details jsonb default null,
    p_attempt       int default null,
    p_result        jsonb default null
) returns text
language plpgsql volatile set search_path = ''
as $$
declare
    v_job    public.job_queue;
    v_error  text;
    v_status text;
begin
    select * into v_job from public.job_queue q where q.id = p_job_id for update;
    if not found then
        raise exception 'there is no job %', p_job_id using errcode = 'DR404';
    end if;
    if p_attempt is not null and (v_job.status <> 'processing' or v_job.attempts <> p_attempt) then
        return 'lost';
    end if;
    if v_job.status <> 'processing' then
        raise exception 'job % is %: only a processing job can be completed', p_job_id, v_job.status
            using errcode = 'DR409';
    end if;

    if coalesce(p_success, true) then
        v_status := 'completed';
        update public.job_queue q
        set status = v_status, completed_at = clock_timestamp(), updated_at = clock_timestamp(), error_message = null
        where q.id = p_job_id;
    else
        v_error := coalesce(p_error_message, 'failed without a message');
        v_status := case
            when v_job.attempts >= v_job.max_attempts or p_error_details -> 'permanent' = 'true' then 'failed'
            else 'pending' end;
        update public.job_queue q
        set status = v_status,
            completed_at = case when v_status = 'failed' then clock_timestamp() end,
            scheduled_at = case when v_status = 'failed' then q.scheduled_at else clock_timestamp()
                + public.retry_delay(q.attempts, case
                    when jsonb_typeof(p_error_details -> 'retry_after_seconds') = 'number'
                    then (p_error_details ->> 'retry_after_seconds')::numeric end) end,
            error_message = v_error,
            error_details = public.append_attempt_error(q.error_details, q.attempts, v_error, p_error_details),
            updated_at = clock_timestamp()
        where q.id = p_job_id;
    end if;
    delete from public.job_leases l where l.job_id = p_job_id;
    perform public.follow_job(p_job_id, p_result);
    return v_status;
end;
$$;
comment on function public.complete_job is
    'Ends an attempt: completed, failed, pending again for a later attempt, or lost when p_attempt is no longer the current one (then nothing changed).';

create function public.follow_job(p_job_id uuid, p_result jsonb default null) returns void
language sql volatile set search_path = ''
as $$
    update public.image_generations g
    set status = case q.status when 'pending' then 'queued' else q.status end,
        progress = case q.status when 'completed' then 100 when 'pending' then 0 else g.progress end,
        image_url = coalesce(p_result ->> 'image_url', g.image_url),
        storage_path = coalesce(p_result ->> 'storage_path', g.storage_path),
        error_message = q.error_message,
        completed_at = q.completed_at,
        updated_at = clock_timestamp()
    from public.job_queue q
    where q.id = p_job_id
      and g.id = public.generation_of(q.payload)
      and g.status <> 'completed';
$$;
comment on function public.follow_job is 'Brings a job''s generation to the state of the job; a completed generation stays as it is.';

create function public.release_jobs(p_worker_id uuid, p_job_ids uuid[], p_attempts int[]) returns setof uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_id uuid;
begin
    for v_id in
        -- attempts never goes down, or two claims would share a number: the unused try is added to the maximum.
        update public.job_queue q
        set status = 'pending', max_attempts = q.max_attempts + 1, scheduled_at = now(), updated_at = clock_timestamp()
        from unnest(p_job_ids, p_attempts) as a (job_id, attempt), public.job_leases l
        where q.id = a.job_id and q.attempts = a.attempt and q.status = 'processing'
          and l.job_id = q.id and l.worker_id = p_worker_id
        returning q.id
    loop
        delete from public.job_leases l where l.job_id = v_id;
        perform public.follow_job(v_id);
        return next v_id;
    end loop;
    perform pg_notify('job_queue', 'released');
end;
$$;
comment on function public.release_jobs is 'Gives unfinished claims of a stopping worker back to the queue without using up a try.';

create function public.rescue_worker_jobs(p_worker_id uuid) returns setof uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_job public.job_queue;
    v_error constant text := 'The worker died while it ran this job.';
begin
    for v_job in
        select q.* from public.job_queue q
        where q.status = 'processing'
          and q.id in (select l.job_id from public.job_leases l where l.worker_id = p_worker_id)
        order by q.id
        for update
    loop
        update public.job_queue q
        set status = case when q.attempts >= q.max_attempts then 'failed' else 'pending' end,
            completed_at = case when q.attempts >= q.max_attempts then clock_timestamp() end,
            scheduled_at = now(),
            error_message = v_error,
            error_details = public.append_attempt_error(q.error_details, q.attempts, v_error, null),
            updated_at = clock_timestamp()
        where q.id = v_job.id
          and exists (select from public.job_leases l where l.job_id = q.id and l.worker_id = p_worker_id
                      and l.attempt = q.attempts);
        if found then
            delete from public.job_leases l where l.job_id = v_job.id;
            perform public.follow_job(v_job.id);
            return next v_job.id;
        end if;
    end loop;
    update public.workers w set stopped_at = clock_timestamp() where w.id = p_worker_id and w.stopped_at is null;
    perform pg_notify('job_queue', 'rescued');
end;
$$;
comment on function public.rescue_worker_jobs is 'Takes the claims of a worker that is known to be dead; the attempt counts.';

create function public.reset_stuck_jobs(p_actor text, p_job_ids uuid[] default null)
returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids uuid[];
    v_id  uuid;
begin
    if coalesce(btrim(p_actor), '') = '' then
        raise exception 'actor is empty: say who resets the jobs' using errcode = '22023';
    end if;
    -- Job first, then lease, as complete_job does: a late heartbeat waits here or is seen below.
    v_ids := array(
        select q.id from public.job_queue q
        where q.status = 'processing'
          and coalesce(q.started_at, q.updated_at) < clock_timestamp() - public.stuck_after()
          and (p_job_ids is null or q.id = any (p_job_ids))
        order by q.id for update skip locked
    );
    perform from public.job_leases l where l.job_id = any (v_ids) order by l.job_id for update;

    with stale as (
        select s.id, row_number() over (order by s.priority desc, s.created_at) as place,
               format('Reset by %s: no sign of life since %s.', p_actor, s.last_sign_of_life) as error
        from public.stuck_jobs s where s.id = any (v_ids)
    ), reset as (
        update public.job_queue q
        set status = 'pending',
            -- Spread out, so that a mass reset is no flood.
            scheduled_at = clock_timestamp() + least((s.place - 1) * interval '100 milliseconds', interval '1 minute'),
            error_message = s.error,
            error_details = public.append_attempt_error(q.error_details, q.attempts, s.error, null),
            updated_at = clock_timestamp()
        from stale s
        where q.id = s.id and q.status = 'processing'
        returning q.id
    )
    select coalesce(array_agg(r.id), '{}') into v_ids from reset r;
    delete from public.job_leases l where l.job_id = any (v_ids);
    foreach v_id in array v_ids loop
        perform public.follow_job(v_id);
    end loop;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'reset_stuck_jobs', cardinality(v_ids), jsonb_build_object('job_ids', to_jsonb(v_ids)));
    perform pg_notify('job_queue', 'reset');
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;
comment on function public.reset_stuck_jobs is
    'Puts stuck jobs (all, or those of p_job_ids that are still stuck) back to pending, attempts unchanged, and records who did it.';
