-- The life of a job: enqueued, claimed, kept alive by heartbeats, completed, failed, released, rescued.
-- Error codes: DR404 (no such job), DR409 (not in a state that allows it), 22023 (bad argument).

-- State machine -----------------------------------------------------------------------------------

create function public.refuse_transition() returns trigger
language plpgsql set search_path = ''
as $$
begin
    raise exception 'job % is %: it cannot become %', old.id, old.status, new.status
        using errcode = 'DR409', hint = 'Use the queue functions. They allow only valid status changes.';
end;
$$;
comment on function public.refuse_transition is 'Refuses invalid changes of status.';

-- The function runs for illegal transitions only, so that legal ones pay for the condition alone.
create trigger job_queue_legal_transition
    before update of status on public.job_queue
    for each row
    when (
        old.status <> new.status
        and not (
            (old.status = 'pending' and new.status in ('processing', 'cancelled'))
            or old.status = 'processing'
            or (old.status in ('failed', 'cancelled') and new.status = 'pending')
        )
    )
    execute function public.refuse_transition();

-- Enqueue -----------------------------------------------------------------------------------------

select public.set_aside_existing('enqueue_job');
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
    if current_user = 'authenticated' then
        return public.enqueue_for_user(p_job_type, p_payload, p_priority, p_scheduled_at, p_max_attempts, p_created_by);
    end if;
    if p_job_type is null or btrim(p_job_type) = '' then
        raise exception 'job_type is empty: name the job type, for example ''generate-image''' using errcode = '22023';
    end if;
    if length(p_job_type) > 200 then
        raise exception 'job_type has % characters: choose a name of at most 200', length(p_job_type) using errcode = '22023';
    end if;
    if p_job_type = '*' then
        raise exception 'job_type * is reserved for all types: choose another name' using errcode = '22023';
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
    on conflict (public.generation_of(payload), left(job_type, 200)) where status in ('pending', 'processing') do nothing
    returning id into v_id;

    if v_id is null then
        raise exception 'generation % already has a pending or running job of type %', p_payload ->> 'generation_id', p_job_type
            using errcode = 'DR409';
    end if;
    perform pg_notify('job_queue', p_job_type);
    return v_id;
end;
$$;
comment on function public.enqueue_job is
    'Adds a job and notifies the workers. Returns its id. A time before 1970 (-infinity) is taken as 1970, one after 2200 (infinity) as 2200. For a signed-in user, it is enqueue_for_user.';

-- Retries -----------------------------------------------------------------------------------------

create function public.worker_of(p_job_id uuid, p_attempt int) returns text
language sql stable set search_path = ''
as $$
    select w.host || ', pid ' || w.pid
    from public.job_leases l join public.workers w on w.id = l.worker_id
    where l.job_id = p_job_id and l.attempt = p_attempt;
$$;
comment on function public.worker_of is
    'Host and process of the worker that runs an attempt, as text, because its row is deleted a day after it stops. Null without a lease or a registered worker.';

create function public.keep_attempt_worker(p_job_id uuid, p_attempt int) returns void
language sql volatile set search_path = ''
as $$
    insert into public.attempt_workers (job_id, attempt, worker)
    select p_job_id, p_attempt, w.worker from (select public.worker_of(p_job_id, p_attempt) as worker) w
    where w.worker is not null
    on conflict do nothing;
$$;
comment on function public.keep_attempt_worker is
    'Records which worker ran an attempt that ends with an error. Called while its lease is still there.';

-- The caller has locked the job.
create function public.append_attempt_error(p_job public.job_queue, p_error text, p_details jsonb) returns jsonb
language sql stable set search_path = ''
as $$
    select d.details || jsonb_build_object(
        'attempts',
        case when jsonb_typeof(p_job.error_details -> 'attempts') = 'array'
             then p_job.error_details -> 'attempts' else '[]'::jsonb end
        || jsonb_build_object(
            'attempt', p_job.attempts, 'due_at', p_job.scheduled_at, 'started_at', p_job.started_at,
            'at', clock_timestamp(), 'error', left(p_error, 16000), 'details', d.details
        )
    )
    from (
        select case
            when octet_length(p_details::text) > 16000 then jsonb_build_object(
                'code', left(p_details ->> 'code', 200),
                'permanent', coalesce(p_details -> 'permanent' = 'true', false),
                'details', left(p_details::text, 16000)
            )
            when jsonb_typeof(p_details) = 'object' then p_details
            when p_details <> 'null' then jsonb_build_object('details', p_details)
            else '{}'
        end as details
    ) d;
$$;
comment on function public.append_attempt_error(public.job_queue, text, jsonb) is
    'error_details of a job after one more failed attempt: always an object. The attempt''s entry says when it was due, started and ended (at). Details that are not an object are kept under "details"; null counts as no details. The error is cut at 16,000 characters; details longer than that are kept as text, cut, under "details", with their code.';

select public.set_aside_existing('retry_delay');
create function public.retry_delay(p_job_type text, p_attempt int, p_retry_after_seconds numeric default 0)
returns interval
language sql volatile set search_path = ''
as $$
    select make_interval(secs => least(
        greatest(least(t.base * 2 ^ (least(greatest(p_attempt, 1), 30) - 1), t.ceiling), coalesce(p_retry_after_seconds, 0))
        * (1 + random()::numeric * t.jitter),
        30 * 86400
    )::double precision)
    from (
        select coalesce(max(j.backoff_base_seconds), 10) as base, coalesce(max(j.backoff_max_seconds), 3600) as ceiling,
               coalesce(max(j.backoff_jitter), 0.25) as jitter
        from public.job_types j where j.job_type = p_job_type
    ) t;
$$;
comment on function public.retry_delay(text, int, numeric) is
    'Backoff after the p_attempt-th attempt that failed: doubles up to the maximum of the type, is at least what the provider asked for, plus jitter; never more than 30 days.';

create function public.failed_attempts(p_job public.job_queue) returns int
language sql stable set search_path = ''
as $$
    select case when jsonb_typeof(p_job.error_details -> 'attempts') = 'array'
                then jsonb_array_length(p_job.error_details -> 'attempts') else 0 end;
$$;
comment on function public.failed_attempts(public.job_queue) is
    'How many attempts of a job have failed: fewer than attempts when a stopping worker or a busy server gave it back.';

-- Circuit breakers --------------------------------------------------------------------------------

create function public.breaker_of(p_job_type text, p_model text) returns text
language sql stable set search_path = ''
as $$
    select coalesce(
        (
            select m.provider || ' at ' || s.url from public.model_servers s join public.models m on m.id = s.model_id
            where s.model_id = p_model
        ),
        t.provider
    )
    from public.job_types t where t.job_type = p_job_type and t.provider is not null;
$$;
comment on function public.breaker_of is
    'The circuit breaker that counts for a job: of its model''s own server, or else of the provider of its type; null for a type without a provider.';

create function public.record_provider_failure(p_provider text, p_reason text) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    -- Five failures in a row are no coincidence. The wait starts at 30 s, about the length of a deployment,
    -- and ends at 5 min, the longest delay after a recovery that anyone should notice.
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
comment on function public.record_provider_failure is 'Counts a failure of a provider. Opens its circuit breaker after five in a row or a failed probe.';

create function public.record_provider_success(p_provider text) returns void
language sql volatile set search_path = ''
as $$
    -- Writes nothing while the breaker is closed, or all jobs would contend for this row.
    update public.provider_breakers b
    set failures = 0, openings = 0, opened_at = null, open_until = null, probing = false, reason = null
    where b.provider = p_provider and (b.failures > 0 or b.open_until is not null);
$$;
comment on function public.record_provider_success is 'Records that a provider responded, and closes its circuit breaker.';

-- Claims ------------------------------------------------------------------------------------------

create function public.barred_job_types() returns text[]
language sql stable set search_path = ''
as $$
    select array(
        select p.job_type from public.queue_pauses p
        union all
        -- Or a user could raise an alarm that never ends.
        select t.job_type from public.job_types t
        where t.for_users and t.job_type <> 'generate-image'
          and not exists (select from public.workers w where t.job_type = any (w.job_types))
    );
$$;
comment on function public.barred_job_types is
    'Types of jobs whose wait is no fault: paused ones (* for all), and those that users may enqueue but no worker of the last day runs. pending_lines knows by itself which providers are down.';

create function public.down_models() returns text[]
language sql stable set search_path = ''
as $$
    select array(
        select m.id from public.model_servers s
        join public.models m on m.id = s.model_id
        join public.provider_breakers b on b.provider = m.provider || ' at ' || s.url
        where b.open_until is not null
    );
$$;
comment on function public.down_models is 'Models whose own server is down: the jobs of all others are claimed.';

create function public.slow_start() returns interval
language sql immutable parallel safe set search_path = ''
return interval '10 seconds';
comment on function public.slow_start() is 'How long after a rate limit the jobs of a model are claimed only a few at a time.';

create type public.pending_line as (line bytea, priority int, first_at timestamptz, model text, most int);
comment on type public.pending_line is
    'Pending jobs of one priority, type and model. first_at: when the first of them is due; most: how many may be claimed now, null for no limit, 0 also if none is due.';

-- The settings here and below leave only one plan, scans of the index of pending jobs in its order: the
-- planner knows neither the limits nor how many jobs are pending by now.
create function public.pending_lines(
    p_most      int,
    p_enough    int default null,
    p_job_types text[] default null,
    p_barred    text[] default '{}',
    p_after     bytea default '',
    p_probe     text default null
) returns public.pending_line[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set enable_sort = off
as $$
declare
    v_holds  constant jsonb := (
        select jsonb_object_agg(
            h.model_id, case when h.held_until > clock_timestamp() then 0 else h.allowance end
        )
        from public.model_holds h
        where h.held_until > clock_timestamp() - public.slow_start() and h.allowance <= 500
    );
    v_open   constant text[] := array(select b.provider from public.provider_breakers b where b.open_until is not null);
    v_next   record;
    v_wanted boolean;
    v_closed boolean := true;
    v_line   public.pending_line;
    v_lines  public.pending_line[] := '{}'::public.pending_line[];
    v_after  bytea := p_after;
    v_found  int := 0;
begin
    for v_place in 1..p_most loop
        select
            public.line_of(q.priority, q.job_type, q.payload) as line, coalesce(q.priority, 0) as priority,
            q.scheduled_at as first_at, q.job_type, public.model_of(q.payload) as model
        into v_next
        from public.job_queue q
        where q.status = 'pending' and public.line_of(q.priority, q.job_type, q.payload) > v_after
        order by public.line_of(q.priority, q.job_type, q.payload), q.scheduled_at, q.created_at
        limit 1;
        exit when not found or (v_found >= p_enough and v_next.priority < v_line.priority);

        v_wanted := (p_job_types is null or v_next.job_type = any (p_job_types)) and v_next.job_type <> all (p_barred);
        if cardinality(v_open) > 0 then
            v_closed := case
                when p_probe is null then public.breaker_of(v_next.job_type, v_next.model) = any (v_open) is not true
                else public.breaker_of(v_next.job_type, v_next.model) is not distinct from p_probe
            end;
        end if;
        v_line := (
            v_next.line, v_next.priority, v_next.first_at, v_next.model,
            case when v_wanted and v_closed and v_next.first_at <= now() then (v_holds ->> v_next.model)::int else 0 end
        );
        v_lines := v_lines || v_line;
        v_found := v_found + (v_line.most is null)::int;
        -- Past all lines of the priority and of a type that is not wanted.
        v_after := case when v_wanted then v_next.line else substring(v_next.line for 8) || '\xffffffff' end;
    end loop;
    return v_lines;
end;
$$;
comment on function public.pending_lines is
    'The first p_most lines of pending jobs after one, in claim order. Ends with the priority at which p_enough lines may be claimed without limit. For types that are barred or not in p_job_types (null: all), returns only one line per priority, from which none may be claimed; nor from lines of a provider that is down, or with p_probe (a circuit breaker) from those of all others.';

-- A setting of the connection tells where to go on, for all claims would write to the same row of a table.
create function public.further_lines(
    p_after bytea, p_most int, p_enough int, p_job_types text[], p_barred text[], p_probe text
) returns public.pending_line[]
language plpgsql volatile set search_path = ''
as $$
declare
    v_lines constant public.pending_line[] := public.pending_lines(
        p_most, p_enough, p_job_types, p_barred,
        greatest(p_after, nullif(current_setting('darkroom.claims_go_on', true), '')::bytea), p_probe
    );
begin
    perform set_config('darkroom.claims_go_on', coalesce((v_lines[p_most]).line::text, ''), false);
    return v_lines;
end;
$$;
comment on function public.further_lines is
    'Up to p_most of the lines after one, in rotation, so that no line is skipped for long.';

create function public.resume_model(p_model text) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
    update public.model_holds h
    set held_until = clock_timestamp() + interval '1 second', allowance = h.allowance * 2
    where h.model_id = (
        select o.model_id from public.model_holds o
        where o.model_id = p_model and o.held_until <= clock_timestamp()
        for update skip locked
    );
    return found;
end;
$$;
comment on function public.resume_model is
    'Whether this claim may take jobs of a model after its rate limit. One claim per second may, each for twice as many jobs as the one before.';

create function public.shares_of_lines(p_lines public.pending_line[], p_limit int) returns int[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan
    set enable_sort = off set jit = off
as $$
begin
    return array(
        select count(n.place)::int
        from generate_subscripts(p_lines, 1) as place
        left join (
            select l.place
            from unnest(p_lines) with ordinality as l (line, priority, first_at, model, most, place)
            cross join lateral (
                select q.scheduled_at, q.created_at from public.job_queue q
                where q.status = 'pending' and public.line_of(q.priority, q.job_type, q.payload) = l.line
                  and q.scheduled_at between l.first_at and now()
                order by q.scheduled_at, q.created_at
                -- Of all lines no more than 5,000 jobs and two for each that is wanted.
                limit least(p_limit, l.most, (5000 + 2 * p_limit) / greatest(cardinality(p_lines), 1))
            ) q
            order by l.priority desc, q.scheduled_at, q.created_at
            limit p_limit
        ) n using (place)
        group by place order by place
    );
end;
$$;
comment on function public.shares_of_lines is 'How many of the next p_limit jobs come from each of these lines.';

-- Which jobs come next is read first and locked then, line by line, so that no more jobs are locked than are
-- taken: others would pass them by.
create function public.pick_jobs(p_limit int, p_job_types text[], p_barred text[], p_probe text default null)
returns uuid[]
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan
    set enable_sort = off set jit = off
as $$
declare
    v_aside  constant uuid[] := array(select a.job_id from public.set_aside_jobs a where a.step = 'claim');
    v_look   constant int := 100;
    v_enough int := p_limit;
    v_lines  public.pending_line[];
    v_line   public.pending_line;
    v_shares int[];
    v_place  int;
    v_ids    uuid[];
begin
    -- Often all pending jobs wait in one line, which is then at both ends of the index. The general way, below,
    -- takes twice as long.
    v_ids := array(
        select q.id
        from (
            select public.line_of(j.priority, j.job_type, j.payload) as line, j.scheduled_at as first_at, j.job_type
            from public.job_queue j where j.status = 'pending'
            order by public.line_of(j.priority, j.job_type, j.payload), j.scheduled_at, j.created_at
            limit 1
        ) first
        join (
            select public.line_of(j.priority, j.job_type, j.payload) as line
            from public.job_queue j where j.status = 'pending'
            order by public.line_of(j.priority, j.job_type, j.payload) desc, j.scheduled_at desc, j.created_at desc
            limit 1
        ) last using (line)
        cross join lateral (
            select j.id from public.job_queue j
            where j.status = 'pending' and public.line_of(j.priority, j.job_type, j.payload) = first.line
              and j.scheduled_at between first.first_at and now()
            order by j.scheduled_at, j.created_at
            limit p_limit
            for update skip locked
        ) q
        where (p_job_types is null or first.job_type = any (p_job_types)) and first.job_type <> all (p_barred)
          and not exists (
              select from public.model_holds h where h.held_until > clock_timestamp() - public.slow_start()
          )
          and not exists (select from public.provider_breakers b where b.open_until is not null)
    );
    if cardinality(v_ids) = p_limit then
        return v_ids;
    end if;

    loop
        v_lines := public.pending_lines(v_look, v_enough, p_job_types, p_barred, p_probe => p_probe);
        if cardinality(v_lines) = v_look then
            v_lines := v_lines
                || public.further_lines((v_lines[v_look]).line, v_look, v_enough, p_job_types, p_barred, p_probe);
        end if;
        v_shares := array[p_limit];
        if cardinality(v_lines) > 1 then
            v_lines := array(select l from unnest(v_lines) as l where l.most is distinct from 0);
            v_shares := public.shares_of_lines(v_lines, p_limit);
        end if;

        -- The second time takes whatever is left, when others hold some of what was to be taken.
        for v_time in 1..2 loop
            v_place := 0;
            foreach v_line in array v_lines loop
                v_place := v_place + 1;
                continue when v_time = 1 and v_shares[v_place] = 0;
                exit when cardinality(v_ids) = p_limit;
                continue when v_line.most is not null and (v_line.most = 0 or not public.resume_model(v_line.model));
                v_ids := v_ids || array(
                    select q.id from public.job_queue q
                    where q.status = 'pending' and public.line_of(q.priority, q.job_type, q.payload) = v_line.line
                      and q.scheduled_at between v_line.first_at and now()
                      -- Two types may share a hash, however seldom.
                      and (p_job_types is null or q.job_type = any (p_job_types)) and q.job_type <> all (p_barred)
                      and q.id <> all (v_ids) and q.id <> all (v_aside)
                    order by q.scheduled_at, q.created_at
                    limit least(
                        p_limit - cardinality(v_ids), v_line.most, case v_time when 1 then v_shares[v_place] end
                    )
                    for update skip locked
                );
            end loop;
            exit when cardinality(v_lines) <= 1
                   or cardinality(v_ids) >= (select sum(share) from unnest(v_shares) as share);
        end loop;
        exit when cardinality(v_ids) = p_limit or cardinality(v_lines) < p_limit or v_enough is null;
        v_enough := null;
    end loop;
    return v_ids;
end;
$$;
comment on function public.pick_jobs is
    'Locks up to p_limit due jobs for a claim: highest priority first, then the longest due, except jobs of rate-limited models and of providers that are down (with p_probe, of all but that one). Reads only the first 100 lines in claim order and, if there are more, 100 further ones, however many jobs are pending.';

-- The caller has locked the rows.
create function public.start_attempts(p_job_ids uuid[], p_worker_id uuid) returns setof public.job_queue
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan
as $$
begin
    return query
    with claimed as (
        update public.job_queue q
        set status = 'processing', attempts = q.attempts + 1, started_at = clock_timestamp(),
            completed_at = null, updated_at = clock_timestamp()
        -- The concatenation keeps the planner from the index of pending jobs, whose head is full of
        -- dead entries: the primary key is better.
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
comment on function public.start_attempts is 'Starts attempts of locked pending jobs for a worker.';

select public.set_aside_existing('claim_jobs');
-- Planning each call would cost more than a small claim itself.
create function public.claim_jobs(
    p_limit int, p_job_types text[] default null, p_worker_id uuid default null
) returns setof public.job_queue
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan
as $$
declare
    v_paused  text[] := array(select p.job_type from public.queue_pauses p);
    v_ids     uuid[] := '{}'::uuid[];
    v_breaker text;
begin
    if p_limit is null or p_limit < 1 then
        raise exception 'limit is %: claim at least one job', p_limit using errcode = '22023';
    end if;
    if '*' = any (v_paused) then
        return;
    end if;
    for v_breaker in
        select b.provider from public.provider_breakers b
        where b.open_until <= clock_timestamp() for update skip locked
    loop
        v_ids := public.pick_jobs(1, p_job_types, v_paused, v_breaker);
        if cardinality(v_ids) > 0 then
            -- If the worker of the probe dies, the next probe starts after a minute.
            update public.provider_breakers b
            set probing = true, open_until = clock_timestamp() + interval '1 minute'
            where b.provider = v_breaker;
            return query select * from public.start_attempts(v_ids, p_worker_id);
            return;
        end if;
        -- For so long nothing was there to probe with: its models get no more jobs, or are disabled. Its next job
        -- will tell.
        perform public.record_provider_success(b.provider)
        from public.provider_breakers b
        where b.provider = v_breaker and b.open_until < clock_timestamp() - interval '1 hour';
    end loop;
    return query select * from public.start_attempts(public.pick_jobs(p_limit, p_job_types, v_paused), p_worker_id);
end;
$$;
comment on function public.claim_jobs is 'Claims up to p_limit due jobs: highest priority first, then the longest due.';

select public.set_aside_existing('claim_next_job');
create function public.claim_next_job(p_job_types text[] default null, p_worker_id uuid default null)
returns setof public.job_queue
language sql volatile set search_path = ''
as $$ select * from public.claim_jobs(1, p_job_types, p_worker_id) $$;
comment on function public.claim_next_job is 'Claims the next due job; no row if none is due.';

-- Jobs that an existing deployment runs: its workers may still complete them, and what they leave is rescued.
insert into public.job_leases (job_id, attempt, heartbeat_at)
select q.id, q.attempts, q.started_at from public.job_queue q where q.status = 'processing';

create function public.claim_jobs_singly(
    p_limit int, p_job_types text[] default null, p_worker_id uuid default null
) returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_paused  text[] := array(select p.job_type from public.queue_pauses p);
    v_breaker text;
    v_id      uuid;
begin
    if '*' = any (v_paused) then
        return;
    end if;
    -- What was refused may be the probe of a provider. With it set aside, the next job is the probe.
    for v_breaker in
        select b.provider from public.provider_breakers b
        where b.open_until <= clock_timestamp() for update skip locked
    loop
        foreach v_id in array public.pick_jobs(1, p_job_types, v_paused, v_breaker) loop
            begin
                perform from public.start_attempts(array[v_id], p_worker_id);
                -- Enough is known: this is the probe of the next claim.
                raise exception using errcode = 'DR000';
            exception
                when sqlstate 'DR000' then null;
                when others then
                    if public.is_passing_error(sqlstate) then
                        raise;
                    end if;
                    perform public.set_aside_job(v_id, 'claim', sqlerrm);
            end;
        end loop;
    end loop;
    foreach v_id in array public.pick_jobs(p_limit, p_job_types, v_paused) loop
        begin
            return query select * from public.start_attempts(array[v_id], p_worker_id);
        exception when others then
            if public.is_passing_error(sqlstate) then
                raise;
            end if;
            perform public.set_aside_job(v_id, 'claim', sqlerrm);
        end;
    end loop;
end;
$$;
comment on function public.claim_jobs_singly is
    'Claims jobs one by one after claim_jobs was refused, and sets aside the jobs whose rows the database refuses to change.';

create function public.claim_generation(p_generation_id uuid, p_worker_id uuid default null)
returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_job public.job_queue;
begin
    select * into v_job from public.job_queue q
    where q.status = 'pending' and q.job_type = 'generate-image' and public.generation_of(q.payload) = p_generation_id
    for update skip locked;
    if not found then
        return;
    end if;
    if exists (select from public.queue_pauses p where p.job_type in ('*', v_job.job_type)) or exists (
        select from public.provider_breakers b
        where b.provider = public.breaker_of(v_job.job_type, public.model_of(v_job.payload)) and b.open_until is not null
    ) then
        raise exception 'jobs of type % cannot run now: the type is paused, or its provider is down', v_job.job_type
            using errcode = 'DR409';
    end if;
    return query select * from public.start_attempts(array[v_job.id], p_worker_id);
end;
$$;
comment on function public.claim_generation is
    'Claims the pending generate-image job of one generation, regardless of its scheduled time; no row if there is none. Error: DR409 while its type is paused or its provider is down.';

create function public.hold_claim(p_job_id uuid, p_attempt int) returns boolean
language sql volatile set search_path = ''
as $$
    select exists (
        select from public.job_queue q
        where q.id = p_job_id and q.attempts = p_attempt and q.status = 'processing'
        for update
    );
$$;
comment on function public.hold_claim is 'Whether the claim is still current. Locks it until the transaction ends.';

select public.set_aside_existing('heartbeat_jobs');
create function public.heartbeat_jobs(p_worker_id uuid, p_job_ids uuid[], p_attempts int[])
returns table (job_id uuid, attempt int, status text)
language sql volatile set search_path = ''
as $$
    with asked as (
        select * from unnest(p_job_ids, p_attempts) as a (job_id, attempt)
    ), held as (
        select l.job_id, l.attempt from public.job_leases l join asked a using (job_id, attempt)
        where l.worker_id = p_worker_id
        order by l.job_id
        for update of l
    ), beat as (
        update public.job_leases l set heartbeat_at = clock_timestamp()
        from held where l.job_id = held.job_id
    )
    select a.job_id, a.attempt, q.status
    from asked a left join public.job_queue q on q.id = a.job_id
    where not exists (select from held h where h.job_id = a.job_id and h.attempt = a.attempt);
$$;
comment on function public.heartbeat_jobs is
    'Records a heartbeat for claims. Returns the claims that the worker has lost, with the status of their jobs; null if a job was deleted.';

-- Ends of a claim ---------------------------------------------------------------------------------

create function public.is_being_generated(p_generation_id uuid) returns boolean
language sql stable set search_path = ''
as $$
    select exists (
        select from public.job_queue q
        where q.status in ('pending', 'processing') and public.generation_of(q.payload) = p_generation_id
          and q.job_type = 'generate-image'
    );
$$;
comment on function public.is_being_generated is 'Whether a generation has a pending or running generate-image job.';

create function public.follow_job(p_job_id uuid, p_result jsonb default null) returns void
language sql volatile set search_path = ''
as $$
    update public.image_generations g
    set status = case q.status when 'pending' then 'queued' else q.status end,
        progress = case q.status when 'completed' then 100 when 'pending' then 0 else g.progress end,
        image_url = coalesce(p_result ->> 'image_url', g.image_url),
        storage_path = coalesce(p_result ->> 'storage_path', g.storage_path),
        thumbnail_path = coalesce(p_result ->> 'thumbnail_path', g.thumbnail_path),
        notices = case when p_result ->> 'notice' is null then g.notices
                       else array_append(g.notices, p_result ->> 'notice') end,
        error_message = q.error_message,
        error_code = case when q.error_message is not null then q.error_details ->> 'code' end,
        completed_at = q.completed_at,
        updated_at = clock_timestamp()
    from public.job_queue q
    where q.id = p_job_id
      and g.id = public.generation_of(q.payload)
      and g.status <> 'completed'
      and (q.job_type = 'generate-image' or not public.is_being_generated(g.id))
      -- The original's functions store the image in a job of its own, which they enqueue before this one ends.
      and not (
          q.job_type = 'generate-image' and q.status = 'completed'
          and coalesce(p_result ->> 'image_url', g.image_url) is null
          and exists (
              select from public.job_queue d
              where d.status in ('pending', 'processing') and public.generation_of(d.payload) = g.id
                and d.job_type = 'download-image'
          )
      );
$$;
comment on function public.follow_job is
    'Updates the generation of a job to the status of the job. A completed generation does not change, nor does one with a live generate-image job by a job of another type; one without an image ends with its live download-image job.';

create function public.end_busy_holds(p_models text[]) returns void
language sql volatile set search_path = ''
as $$
    -- Reads and writes nothing unless a server is busy, or all ends of jobs would contend for its row.
    update public.model_holds h
    set held_until = clock_timestamp(), busy = false
    where h.busy and h.held_until > clock_timestamp() and h.model_id = any (p_models);
$$;
comment on function public.end_busy_holds is 'Lets the next jobs of models be claimed whose server was busy, because one of their jobs has ended.';

-- The caller has locked the row.
create function public.return_to_busy(p_job public.job_queue, p_reason text, p_seconds numeric) returns text
language plpgsql volatile set search_path = ''
as $$
begin
    -- It keeps its place: neither an attempt nor the order of requests is lost to a server that is busy.
    update public.job_queue q
    set status = 'pending', max_attempts = q.max_attempts + 1, updated_at = clock_timestamp()
    where q.id = p_job.id;
    insert into public.model_holds as h (model_id, held_until, reason, busy)
    select public.model_of(p_job.payload), clock_timestamp() + p_seconds * interval '1 second', left(p_reason, 2000), true
    where public.model_of(p_job.payload) is not null
    on conflict (model_id) do update
    set held_until = greatest(h.held_until, excluded.held_until), reason = excluded.reason, allowance = 1, busy = true;
    return 'pending';
end;
$$;
comment on function public.return_to_busy is
    'Ends a locked claim whose server runs as much as it can, or still starts: pending again without the use of an attempt, and the model held for so many seconds.';

-- The caller has locked the row.
create function public.fail_claim(p_job public.job_queue, p_error text, p_details jsonb) returns text
language plpgsql volatile set search_path = ''
as $$
declare
    v_code        text := p_details ->> 'code';
    v_model       text := public.model_of(p_job.payload);
    v_breaker     text := public.breaker_of(p_job.job_type, v_model);
    v_failed      int := 1 + public.failed_attempts(p_job);
    v_limited     boolean := coalesce(v_code = 'rate_limited', false);
    -- Not the fault of the job, so no attempt is used up: the provider did not even start, or may have, or what
    -- it made could not be stored. Each of the latter may be paid again after an hour, so it is not for ever; nor
    -- is a prompt check that breaks. Nor that a job was the one to find a provider still down.
    v_free        boolean := v_limited
                             or coalesce(v_code in ('storage_failed', 'outputs_expired', 'creation_unknown', 'prompt_check_failed')
                                         and v_failed < 30, false)
                             or coalesce(v_code in ('unreachable', 'provider_error') and v_failed < 30, false) and exists (
                                 select from public.provider_breakers b where b.provider = v_breaker and b.probing
                             );
    v_final       boolean := coalesce(p_details -> 'permanent' = 'true', false)
                             or (p_job.attempts >= p_job.max_attempts and not v_free);
    v_retry_after numeric := case when jsonb_typeof(p_details -> 'retry_after_seconds') = 'number'
                                  then greatest(least((p_details ->> 'retry_after_seconds')::numeric, 86400), 0) end;
begin
    if v_code = 'provider_busy' then
        perform public.record_provider_success(v_breaker);
        return public.return_to_busy(p_job, p_error, coalesce(v_retry_after, 5));
    end if;
    perform public.keep_attempt_worker(p_job.id, p_job.attempts);
    perform public.end_busy_holds(array[v_model]);
    update public.job_queue q
    set status = case when v_final then 'failed' else 'pending' end,
        completed_at = case when v_final then clock_timestamp() end,
        scheduled_at = case when v_final then q.scheduled_at
                            else clock_timestamp() + public.retry_delay(q.job_type, v_failed, v_retry_after) end,
        max_attempts = q.max_attempts + case when v_free and not v_final then 1 else 0 end,
        error_message = p_error,
        error_details = public.append_attempt_error(p_job, p_error, p_details),
        updated_at = clock_timestamp()
    where q.id = p_job.id;

    if v_code = 'outputs_expired' then
        -- The next attempt asks for a new prediction instead of this one.
        update public.predictions p set status = 'expired'
        from public.image_generations g
        where g.id = public.generation_of(p_job.payload) and p.generation_id = g.id and p.provider_id = g.prediction_id;
        update public.image_generations g set prediction_id = null where g.id = public.generation_of(p_job.payload);
    end if;
    if v_limited and v_model is not null then
        insert into public.model_holds as h (model_id, held_until, reason)
        -- Without a Retry-After, 10 s keeps all jobs from asking again at once.
        values (v_model, clock_timestamp() + coalesce(v_retry_after, 10) * interval '1 second', left(p_error, 2000))
        on conflict (model_id) do update
        set held_until = greatest(h.held_until, excluded.held_until), reason = excluded.reason, allowance = 1, busy = false;
    end if;
    if v_breaker is not null then
        if v_code in ('unreachable', 'provider_error', 'unauthorized', 'no_credit') then
            perform public.record_provider_failure(v_breaker, left(p_error, 2000));
        elsif v_code in ('model_not_found', 'invalid_input', 'prediction_failed', 'vendor_account', 'creation_unknown')
              -- A prompt check refuses without asking the provider.
              or v_code = 'refused' and exists (
                  select from public.image_generations g
                  where g.id = public.generation_of(p_job.payload) and g.prediction_id is not null
              )
        then
            perform public.record_provider_success(v_breaker);
        end if;
    end if;
    return case when v_final then 'failed' else 'pending' end;
end;
$$;
comment on function public.fail_claim is
    'Ends a locked claim with an error: failed, or pending again after its backoff. Records a rate limit of the model and counts for the provider''s circuit breaker.';

select public.set_aside_existing('complete_job');
create function public.complete_job(
    p_job_id        uuid,
    p_success       boolean default null,
    p_error_message text default null,
    p_error_details jsonb default null,
    p_attempt       int default null,
    p_result        jsonb default null,
    p_error         text default null
) returns text
language plpgsql volatile set search_path = ''
as $$
declare
    v_job    public.job_queue;
    v_error  constant text := coalesce(p_error_message, p_error);
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

    -- Callers of the original say with the error alone that the attempt failed.
    if coalesce(p_success, v_error is null) then
        v_status := 'completed';
        update public.job_queue q
        set status = v_status, completed_at = clock_timestamp(), updated_at = clock_timestamp(), error_message = null
        where q.id = p_job_id;
        perform public.record_provider_success(public.breaker_of(v_job.job_type, public.model_of(v_job.payload)));
        perform public.end_busy_holds(array[public.model_of(v_job.payload)]);
    else
        v_status := public.fail_claim(v_job, coalesce(v_error, 'failed without a message'), p_error_details);
    end if;
    delete from public.job_leases l where l.job_id = p_job_id;
    perform public.follow_job(p_job_id, p_result);
    return v_status;
end;
$$;
comment on function public.complete_job is
    'Ends an attempt: completed, failed, pending again for a later attempt, or lost if p_attempt is no longer the current one (nothing changes). Without p_success, an error means that it failed, and none that it succeeded; p_error is another name for p_error_message.';

select public.set_aside_existing('complete_jobs');
-- The settings force one plan, by primary key. Planning each call would cost more than a small batch itself.
create function public.complete_jobs(p_job_ids uuid[], p_attempts int[], p_results jsonb[])
returns table (job_id uuid, attempt int)
language plpgsql volatile set search_path = '' set plan_cache_mode = force_generic_plan
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_done uuid[];
begin
    with asked as (
        select a.* from unnest(p_job_ids, p_attempts, p_results) as a (job_id, attempt, result)
    ), held as (
        select q.id, a.result from public.job_queue q
        join asked a on q.id = a.job_id and q.attempts = a.attempt
        -- The concatenation keeps the planner from the index of processing jobs, most of whose entries
        -- are dead: the primary key is better.
        where q.status || '' = 'processing'
        order by q.id for update of q
    ), done as (
        update public.job_queue q
        set status = 'completed', completed_at = clock_timestamp(), updated_at = clock_timestamp(), error_message = null
        from held where q.id = held.id
        returning q.id, q.job_type, q.completed_at, q.payload, held.result
    ), freed as (
        delete from public.job_leases l using done where l.job_id = done.id
    ), followed as (
        update public.image_generations g
        set status = 'completed', progress = 100, error_message = null, error_code = null,
            image_url = coalesce(d.result ->> 'image_url', g.image_url),
            storage_path = coalesce(d.result ->> 'storage_path', g.storage_path),
            thumbnail_path = coalesce(d.result ->> 'thumbnail_path', g.thumbnail_path),
            notices = case when d.result ->> 'notice' is null then g.notices
                           else array_append(g.notices, d.result ->> 'notice') end,
            completed_at = d.completed_at, updated_at = clock_timestamp()
        from done d
        where d.payload ? 'generation_id' and g.id = public.generation_of(d.payload) and g.status <> 'completed'
          and (d.job_type = 'generate-image' or not public.is_being_generated(g.id))
    )
    select coalesce(array_agg(d.id), '{}') into v_done from done d;

    -- Which breakers and models these are is asked only when it can matter.
    if exists (select from public.provider_breakers b where b.failures > 0 or b.open_until is not null)
       or exists (select from public.model_holds h where h.busy and h.held_until > clock_timestamp()) then
        perform public.record_provider_success(e.breaker), public.end_busy_holds(array[e.model])
        from (
            select distinct public.breaker_of(q.job_type, public.model_of(q.payload)) as breaker, public.model_of(q.payload) as model
            from public.job_queue q where q.id = any (v_done)
        ) e;
    end if;
    if cardinality(v_done) < cardinality(p_job_ids) then
        return query
            select a.job_id, a.attempt from unnest(p_job_ids, p_attempts) as a (job_id, attempt)
            where not exists (
                select from public.job_queue q
                where q.id = a.job_id and q.attempts = a.attempt and q.id = any (v_done)
            );
    end if;
end;
$$;
comment on function public.complete_jobs is
    'Completes many claims; p_results as in complete_job, null for none. Returns the claims that were lost, which do not change.';

select public.set_aside_existing('release_jobs');
create function public.release_jobs(p_worker_id uuid, p_job_ids uuid[], p_attempts int[]) returns setof uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_id uuid;
begin
    for v_id in
        -- Lowering attempts would give two claims the same number, so the unused attempt is added to the
        -- maximum instead.
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
comment on function public.release_jobs is 'Returns unfinished claims of a stopping worker to the queue; the attempt does not count.';

-- Cancelled jobs ----------------------------------------------------------------------------------

-- Triggers, because jobs are also cancelled by UPDATE: by operators in SQL, and by users under the policy "Users
-- can cancel their own pending jobs". They run as the owner, because none of those may call auth.uid(), or write
-- leases, generations and the audit log. Jobs that do not become cancelled pay for the conditions alone.
create function public.note_cancellation() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    new.completed_at := clock_timestamp();
    new.updated_at := clock_timestamp();
    -- The time since the last attempt of a pending job is not run time and must not count in means and percentiles.
    new.started_at := case when old.status = 'processing' then new.started_at end;
    if new.error_message is not distinct from old.error_message then
        -- The user reads this: which operator it was stands in the audit log alone.
        new.error_message := case when new.created_by = auth.uid() then 'Cancelled by the user.'
                                  else 'Cancelled by an operator.' end;
    end if;
    return new;
end;
$$;
comment on function public.note_cancellation is 'Completes a job that an UPDATE cancels: when it ended, and who cancelled it.';

create trigger job_queue_cancelled
    before update of status on public.job_queue
    for each row
    when (new.status = 'cancelled' and old.status in ('pending', 'processing')
          and new.completed_at is not distinct from old.completed_at)
    execute function public.note_cancellation();

create function public.follow_cancellation() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    -- Without the lease, the worker learns at its next heartbeat that it lost the job.
    delete from public.job_leases l where l.job_id = new.id;
    -- Of duplicates, the generation follows the job that is kept.
    perform public.follow_job(new.id) where not public.is_being_generated(public.generation_of(new.payload));
    if new.created_by = auth.uid() then
        perform public.record_action('user ' || new.created_by, 'cancel_jobs', array[new.id], jsonb_build_object(
            'before', jsonb_build_object(old.status, 1), 'after', jsonb_build_object(new.status, 1)
        ));
    end if;
    return null;
end;
$$;
comment on function public.follow_cancellation is
    'Ends the lease of a cancelled job, updates its generation, and records its user in the audit log if they cancelled it themselves.';

create trigger job_queue_follow_cancellation
    after update of status on public.job_queue
    for each row
    when (new.status = 'cancelled' and old.status <> 'cancelled')
    execute function public.follow_cancellation();

-- Lost workers ------------------------------------------------------------------------------------

create function public.stuck_after() returns interval
language sql immutable parallel safe set search_path = ''
return interval '10 minutes';
comment on function public.stuck_after() is 'Time without a heartbeat after which a processing job counts as stuck.';

create function public.end_lost_attempt(p_job public.job_queue, p_error text, p_details jsonb, p_retry_at timestamptz)
returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_final constant boolean := p_job.attempts >= p_job.max_attempts;
begin
    perform public.keep_attempt_worker(p_job.id, p_job.attempts);
    update public.job_queue q
    set status = case when v_final then 'failed' else 'pending' end,
        completed_at = case when v_final then clock_timestamp() end,
        scheduled_at = case when v_final then q.scheduled_at else p_retry_at end,
        error_message = p_error,
        error_details = public.append_attempt_error(p_job, p_error, p_details),
        updated_at = clock_timestamp()
    where q.id = p_job.id;
    delete from public.job_leases l where l.job_id = p_job.id;
    perform public.follow_job(p_job.id);
    return true;
exception when others then
    if public.is_passing_error(sqlstate) then
        raise;
    end if;
    perform public.set_aside_job(p_job.id, 'rescue', sqlerrm);
    return false;
end;
$$;
comment on function public.end_lost_attempt is
    'Ends the attempt of a lost worker: failed, or pending again from p_retry_at. The caller has locked the job. False if the database refuses to change the row, and the job is set aside.';

create function public.rescue_worker_jobs(p_worker_id uuid) returns setof uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_job public.job_queue;
begin
    for v_job in
        select q.* from public.job_queue q
        where q.status = 'processing'
          and q.id in (select l.job_id from public.job_leases l where l.worker_id = p_worker_id)
        order by q.id
        for update
    loop
        -- The claim may have ended before the job was locked.
        continue when not exists (
            select from public.job_leases l
            where l.job_id = v_job.id and l.worker_id = p_worker_id and l.attempt = v_job.attempts
        );
        if public.end_lost_attempt(v_job, 'Worker lost while running this job.', null, now()) then
            return next v_job.id;
        end if;
    end loop;
    update public.workers w set stopped_at = clock_timestamp() where w.id = p_worker_id and w.stopped_at is null;
    perform pg_notify('job_queue', 'rescued');
end;
$$;
comment on function public.rescue_worker_jobs is 'Ends the claims of a worker that is known to be dead. The attempts count.';

create function public.rescue_stuck_jobs(p_silence interval default public.stuck_after(), p_limit int default 500)
returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_job   public.job_queue;
    v_since timestamptz;
    v_ids   uuid[] := '{}'::uuid[];
begin
    if p_silence is null or p_silence <= interval '0' then
        raise exception 'the time without a heartbeat is %: use a positive interval', p_silence using errcode = '22023';
    end if;
    for v_job in
        select q.* from public.job_queue q
        where q.status = 'processing' and q.started_at < clock_timestamp() - p_silence
          -- Without a lease no heartbeat is expected: an operator has to decide.
          and exists (
              select from public.job_leases l
              where l.job_id = q.id and l.attempt = q.attempts and l.heartbeat_at < clock_timestamp() - p_silence
          )
          and q.id not in (select a.job_id from public.set_aside_jobs a where a.step = 'rescue')
        order by q.id
        limit p_limit
        for update of q skip locked
    loop
        -- A heartbeat locks the lease, not the job, so one may have arrived since.
        select l.heartbeat_at into v_since from public.job_leases l where l.job_id = v_job.id for update;
        continue when not found or v_since >= clock_timestamp() - p_silence;
        if public.end_lost_attempt(
            v_job,
            format('No heartbeat from its worker since %s.', date_trunc('second', v_since)),
            '{"code": "worker_lost"}',
            clock_timestamp() + public.retry_delay(v_job.job_type, 1 + public.failed_attempts(v_job))
        ) then
            v_ids := v_ids || v_job.id;
        end if;
    end loop;
    if cardinality(v_ids) > 0 then
        perform pg_notify('job_queue', 'rescued');
    end if;
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;
comment on function public.rescue_stuck_jobs is
    'Ends the claims of workers without a heartbeat. The attempts count, so that a job that crashes its workers ends as failed.';
