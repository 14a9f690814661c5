-- What may be claimed now: pauses by operators, a provider that is down, a model that asked for a rest.

create table public.job_types (
    job_type             text    primary key check (job_type <> ''),
    provider             text,
    backoff_base_seconds numeric not null default 10 check (backoff_base_seconds > 0),
    backoff_max_seconds  numeric not null default 3600 check (backoff_max_seconds > 0),
    backoff_jitter       numeric not null default 0.25 check (backoff_jitter between 0 and 1)
);
comment on table public.job_types is 'Types of jobs that differ from the defaults; a type without a row has no provider and the default backoff.';
comment on column public.job_types.backoff_jitter is 'Share of the wait that is added at random, never subtracted.';
insert into public.job_types (job_type, provider) values ('generate-image', 'replicate');

create table public.queue_pauses (
    job_type  text        primary key check (job_type <> ''),
    paused_at timestamptz not null default now(),
    paused_by text        not null,
    reason    text
);
comment on table public.queue_pauses is 'Types of jobs that no worker claims for now; the type * stands for all.';

create table public.provider_breakers (
    provider   text        primary key,
    failures   int         not null default 0,
    openings   int         not null default 0,
    opened_at  timestamptz,
    open_until timestamptz,
    probing    boolean     not null default false,
    reason     text
);
comment on table public.provider_breakers is
    'Circuit breakers. Closed while open_until is null; open until then; afterwards one job at a time probes the provider.';
comment on column public.provider_breakers.failures is 'Failures of the provider in a row while closed.';
comment on column public.provider_breakers.openings is 'Openings in a row: each doubles the wait.';

create table public.model_holds (
    model_id   text        primary key,
    held_until timestamptz not null,
    reason     text
);
comment on table public.model_holds is 'Models whose provider asked for a rest: their jobs are not claimed before.';

drop function public.retry_delay(int, numeric);
create function public.retry_delay(p_job_type text, p_attempt int, p_retry_after_seconds numeric default 0)
returns interval
language sql volatile set search_path = ''
as $$
    select make_interval(secs => (
        greatest(least(t.base * 2 ^ (least(greatest(p_attempt, 1), 30) - 1), t.ceiling), coalesce(p_retry_after_seconds, 0))
        * (1 + random()::numeric * t.jitter)
    )::double precision)
    from (
        select coalesce(max(j.backoff_base_seconds), 10) as base, coalesce(max(j.backoff_max_seconds), 3600) as ceiling,
               coalesce(max(j.backoff_jitter), 0.25) as jitter
        from public.job_types j where j.job_type = p_job_type
    ) t;
$$;
comment on function public.retry_delay(text, int, numeric) is
    'Wait before the next attempt after attempt number p_attempt failed: doubles up to the type''s maximum, at least what the provider asked for, plus jitter.';

create function public.pause_queue(p_actor text, p_job_type text default '*', p_reason text default null)
returns setof public.queue_pauses
language plpgsql volatile set search_path = ''
as $$
begin
    perform public.require_actor(p_actor);
    insert into public.queue_pauses (job_type, paused_by, reason) values (p_job_type, p_actor, p_reason)
    on conflict (job_type) do nothing;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'pause_queue', 1, jsonb_build_object('job_type', p_job_type, 'reason', p_reason));
    return query select * from public.queue_pauses p where p.job_type = p_job_type;
end;
$$;
comment on function public.pause_queue is 'Stops the claiming of a type of jobs, or of all; running jobs go on. A pause that stands is kept.';

create function public.resume_queue(p_actor text, p_job_type text default '*') returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_found boolean;
begin
    perform public.require_actor(p_actor);
    delete from public.queue_pauses p where p.job_type = p_job_type;
    v_found := found;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'resume_queue', v_found::int, jsonb_build_object('job_type', p_job_type));
    perform pg_notify('job_queue', 'resumed');
    return v_found;
end;
$$;
comment on function public.resume_queue is 'Lifts the pause of a type of jobs, or the pause of all; pauses of single types stay. False when there was none.';

create function public.record_provider_failure(p_provider text, p_reason text) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    -- Five in a row are no accident; half a minute is what a deploy takes, five the longest anyone should wait.
    v_threshold constant int := 5;
    v_breaker   public.provider_breakers;
begin
    insert into public.provider_breakers (provider) values (p_provider) on conflict do nothing;
    select * into v_breaker from public.provider_breakers b where b.provider = p_provider for update;
    if v_breaker.open_until is not null and not v_breaker.probing then
        return;  -- A job that was claimed before the opening: it tells nothing new.
    end if;
    if v_breaker.open_until is null and v_breaker.failures + 1 < v_threshold then
        update public.provider_breakers b set failures = b.failures + 1, reason = p_reason where b.provider = p_provider;
        return;
    end if;
    update public.provider_breakers b
    set failures = 0, openings = b.openings + 1, probing = false, reason = p_reason,
        opened_at = coalesce(b.opened_at, clock_timestamp()),
        open_until = clock_timestamp() + least(30 * 2 ^ least(b.openings, 10), 300) * interval '1 second'
    where b.provider = p_provider;
end;
$$;
comment on function public.record_provider_failure is 'Counts a failure of a provider, and opens its breaker after five in a row or when a probe failed.';

create function public.record_provider_success(p_provider text) returns void
language sql volatile set search_path = ''
as $$
    -- Nothing is written while all is well, or every job would wait for this row.
    update public.provider_breakers b
    set failures = 0, openings = 0, opened_at = null, open_until = null, probing = false, reason = null
    where b.provider = p_provider and (b.failures > 0 or b.open_until is not null);
$$;
comment on function public.record_provider_success is 'Notes that a provider answered: closes its breaker.';

create function public.barred_job_types() returns text[]
language sql stable set search_path = ''
as $$
    select array(
        select p.job_type from public.queue_pauses p
        union all
        select t.job_type from public.job_types t
        join public.provider_breakers b using (provider) where b.open_until is not null
    );
$$;
comment on function public.barred_job_types is 'Types of jobs that are not claimed now: paused ones (* for all) and those of a provider that is down.';

-- One plan for all calls, and the only good one: along the index of pending jobs, in claim order.
-- Left to itself the planner sorts all of them, because it does not know how small the limit is.
create function public.pick_jobs(p_limit int, p_job_types text[], p_barred text[]) returns uuid[]
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan
    set enable_sort = off set enable_seqscan = off set enable_bitmapscan = off
as $$
declare
    v_held  text[] := array(select h.model_id from public.model_holds h where h.held_until > clock_timestamp());
    v_ids   uuid[] := '{}';
    v_found uuid[];
    v_resting uuid[];
begin
    loop
        v_found := array(
            select q.id from public.job_queue q
            where q.status = 'pending' and q.scheduled_at <= now()
              and (p_job_types is null or q.job_type = any (p_job_types))
              and q.job_type <> all (p_barred)
              and q.id <> all (v_ids)
            order by q.priority desc, q.scheduled_at, q.created_at
            limit p_limit - cardinality(v_ids)
            for update skip locked
        );
        exit when cardinality(v_found) = 0;
        if cardinality(v_held) = 0 then
            return v_ids || v_found;
        end if;
        -- Jobs of a resting model get out of the way until it is over, spread so that they do not return at once.
        with moved as (
            update public.job_queue q
            set scheduled_at = h.held_until + random() * interval '10 seconds', updated_at = clock_timestamp()
            from public.model_holds h
            where q.id = any (v_found) and h.model_id = q.payload ->> 'model_id' and h.held_until > clock_timestamp()
            returning q.id
        )
        select coalesce(array_agg(m.id), '{}') into v_resting from moved m;
        v_ids := v_ids || array(select f.id from unnest(v_found) as f (id) where f.id <> all (v_resting));
        exit when cardinality(v_ids) = p_limit or cardinality(v_resting) = 0;
    end loop;
    return v_ids;
end;
$$;
comment on function public.pick_jobs is 'Locks up to p_limit due jobs for a claim: highest priority first, then the longest due, without jobs of resting models.';

-- Two checks and an index for every claim, and no reader: leases are as few as running jobs, and
-- the functions here are the only ones that write them.
alter table public.job_leases drop constraint job_leases_job_id_fkey;
drop index public.job_leases_worker_idx;

create or replace function public.start_attempts(p_job_ids uuid[], p_worker_id uuid) returns setof public.job_queue
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan
as $$
begin
    return query
    with claimed as (
        update public.job_queue q
        set status = 'processing', attempts = q.attempts + 1, started_at = clock_timestamp(),
            completed_at = null, updated_at = clock_timestamp()
        -- By primary key: the planner must not take the index of pending jobs, whose head is full
        -- of entries that no longer count.
        where q.id = any (p_job_ids) and q.status || '' = 'pending'
        returning q.*
    ), leased as (
        insert into public.job_leases as l (job_id, attempt, worker_id, heartbeat_at)
        select c.id, c.attempts, p_worker_id, clock_timestamp() from claimed c
        on conflict (job_id) do update
        set attempt = excluded.attempt, worker_id = excluded.worker_id, heartbeat_at = excluded.heartbeat_at
    )
    select * from claimed order by priority desc, scheduled_at, created_at;
end;
$$;

create or replace function public.claim_jobs(
    p_limit int, p_job_types text[] default null, p_worker_id uuid default null
) returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_barred   text[] := public.barred_job_types();
    v_ids      uuid[] := '{}';
    v_provider text;
begin
    if p_limit is null or p_limit < 1 then
        raise exception 'limit is %: claim at least one job', p_limit using errcode = '22023';
    end if;
    if '*' = any (v_barred) then
        return;
    end if;
    if cardinality(v_barred) > 0 then
        for v_provider in
            select b.provider from public.provider_breakers b
            where b.open_until <= clock_timestamp() for update skip locked
        loop
            v_ids := public.pick_jobs(
                1,
                array(
                    select t.job_type from public.job_types t
                    where t.provider = v_provider and (p_job_types is null or t.job_type = any (p_job_types))
                ),
                array(select p.job_type from public.queue_pauses p)
            );
            if cardinality(v_ids) > 0 then
                -- One probe a minute, should its worker die.
                update public.provider_breakers b
                set probing = true, open_until = clock_timestamp() + interval '1 minute'
                where b.provider = v_provider;
                return query select * from public.start_attempts(v_ids, p_worker_id);
                return;
            end if;
        end loop;
    end if;
    return query select * from public.start_attempts(public.pick_jobs(p_limit, p_job_types, v_barred), p_worker_id);
end;
$$;

-- One live job per generation, however its id is spelled, and nothing for jobs without one.
drop index public.job_queue_live_generation_key;
create unique index job_queue_live_generation_key
    on public.job_queue (public.generation_of(payload)) where status in ('pending', 'processing');

create or replace function public.claim_generation(p_generation_id uuid, p_worker_id uuid default null)
returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_job public.job_queue;
begin
    select * into v_job from public.job_queue q
    where q.status = 'pending' and public.generation_of(q.payload) = p_generation_id
    for update skip locked;
    if not found then
        return;
    end if;
    if public.barred_job_types() && array['*', v_job.job_type] then
        raise exception 'jobs of type % are not run now: they are paused, or their provider is down', v_job.job_type
            using errcode = 'DR409';
    end if;
    return query select * from public.start_attempts(array[v_job.id], p_worker_id);
end;
$$;
comment on function public.claim_generation is
    'Claims the pending job of one generation, whenever it is scheduled; no row when there is none. Error: DR409 while its type is paused or its provider is down.';

create or replace function public.enqueue_job(
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
    on conflict (public.generation_of(payload)) where status in ('pending', 'processing') do nothing
    returning id into v_id;

    if v_id is null then
        raise exception 'generation % already has a job that is waiting or running', p_payload ->> 'generation_id'
            using errcode = 'DR409';
    end if;
    perform pg_notify('job_queue', p_job_type);
    return v_id;
end;
$$;
