-- Migration from calling the model inside the request (synchronous) to the queue (asynchronous): which users
-- already use the queue, what the synchronous path did, and how long both take from request to image.

-- Rollout to users --------------------------------------------------------------------------------

create table public.async_rollout (
    only_row   boolean     primary key default true check (only_row),
    percentage int         not null default 0 check (percentage between 0 and 100),
    changed_by text,
    changed_at timestamptz
);
comment on table public.async_rollout is 'Percentage of users on the queue. Changed by set_async_rollout.';

insert into public.async_rollout default values;

create function public.rollout_position(p_user_id uuid) returns double precision
language sql immutable parallel safe set search_path = ''
-- SHA-256, because the hash functions of PostgreSQL may change with its version.
return ('x' || encode(substr(sha256(convert_to('async rollout ' || p_user_id, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint
    / 42949672.96::double precision;
comment on function public.rollout_position is
    'Position of a user from 0 to below 100: constant, and evenly distributed. The user is on the queue if the percentage is greater.';

create function public.use_async_for_user(p_user_id uuid) returns boolean
language sql stable set search_path = ''
as $$
    -- Requests without a user cannot be told apart, so they move together, at 100 percent.
    select coalesce(public.rollout_position(p_user_id), 99.999) < r.percentage from public.async_rollout r;
$$;
comment on function public.use_async_for_user is
    'Whether a user''s generations go through the queue. The result is stable; a higher percentage only adds users. Requests without a user (null) are on the queue only at 100.';

create function public.set_async_rollout(p_actor text, p_percentage int) returns public.async_rollout
language plpgsql volatile set search_path = ''
as $$
declare
    v_before int;
    v_after  public.async_rollout;
begin
    perform public.require_actor(p_actor);
    if p_percentage is null or p_percentage not between 0 and 100 then
        raise exception 'percentage is %: choose 0 (nobody) to 100 (everybody)', coalesce(p_percentage::text, 'null')
            using errcode = '22023';
    end if;
    select r.percentage into v_before from public.async_rollout r for update;
    update public.async_rollout r
    set percentage = p_percentage, changed_by = p_actor, changed_at = clock_timestamp()
    returning * into v_after;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'set_async_rollout', 1, jsonb_build_object('before', v_before, 'after', p_percentage));
    return v_after;
end;
$$;
comment on function public.set_async_rollout is
    'Sets the percentage of users on the queue, from their next request. Records the previous one.';

-- The synchronous path ----------------------------------------------------------------------------

-- A table of its own for what only this path needs, so that image_generations, which every job of the queue
-- writes, stays narrow.
create table public.sync_generations (
    generation_id uuid        primary key references public.image_generations (id) on delete cascade,
    model_id      text        not null,
    started_at    timestamptz not null default clock_timestamp(),
    ended_at      timestamptz,
    outcome       text        check (outcome in ('completed', 'failed', 'cancelled')),
    error_code    text,
    check ((ended_at is null) = (outcome is null))
);
comment on table public.sync_generations is
    'Generations that ran inside a request. One without an end was lost with its process.';

create index sync_generations_unended_idx on public.sync_generations (started_at) where ended_at is null;

create table public.path_rollup (
    hour            timestamptz not null,
    path            text        not null check (path in ('sync', 'async')),
    model_id        text        not null,
    outcome         text        not null check (outcome in ('completed', 'failed', 'cancelled')),
    error_code      text        not null default '',
    generations     bigint      not null,
    total_us        numeric     not null,
    total_histogram numeric     not null,
    primary key (hour, path, model_id, outcome, error_code)
) with (fillfactor = 70);
comment on table public.path_rollup is
    'Generations by the hour in which they ended. sync: all, counted as they end. async: the completed ones of hours before rollup_state.totals_until; failed jobs are in job_rollup.';
comment on column public.path_rollup.total_us is 'Sum of the times from the request to the end, in microseconds; total_histogram as in job_rollup.';

create function public.start_sync_generation(
    p_user_id uuid, p_prompt text, p_model_id text, p_parameters jsonb default '{}', p_source text default 'app',
    p_provider text default 'replicate'
) returns table (generation_id uuid, prediction uuid, version text, input jsonb)
language plpgsql volatile set search_path = ''
as $$
declare
    v_model  public.models;
    v_input  record;
    v_limits jsonb;
    v_id     uuid;
begin
    perform public.refuse_reserved_inputs(p_parameters, p_source);
    -- The same lock as in start_generation, because both paths share the limits.
    perform pg_advisory_xact_lock(hashtextextended('start_generation:' || coalesce(p_user_id::text, p_source), 0));
    select * into v_model from public.models m where m.id = p_model_id and m.enabled and m.provider = p_provider;
    if not found then
        raise exception 'there is no enabled model % of the provider %', p_model_id, p_provider using errcode = 'DR404';
    end if;
    if coalesce(btrim(p_prompt), '') = '' and coalesce(v_model.input_schema ? 'prompt', true) then
        raise exception 'the prompt is empty: describe the image' using errcode = '22023';
    end if;
    v_input := public.resolve_input(v_model, p_prompt, p_parameters, p_source = 'test');
    if p_source <> 'test' then
        v_limits := public.get_user_limits(p_user_id);
        if not (v_limits ->> 'can_generate')::boolean then
            raise exception 'the generation limit has been reached' using errcode = 'DR429', detail = (
                v_limits || jsonb_build_object('retry_after_seconds', public.limit_resets_in(p_user_id, v_limits))
            )::text;
        end if;
    end if;
    insert into public.image_generations (
        user_id, prompt, model_id, parameters, source, status, started_at, notices, size
    ) values (
        p_user_id, coalesce(p_prompt, ''), p_model_id, v_input.parameters, p_source, 'processing', clock_timestamp(),
        v_input.notices, v_input.size
    )
    returning id into v_id;
    perform public.use_uploads(v_id, p_user_id, p_source, v_model.input_schema, v_input.parameters, p_parameters);
    insert into public.sync_generations (generation_id, model_id) values (v_id, p_model_id);
    return query
        select v_id, p.id, p.version, public.input_to_send(p) from public.intend_prediction(null, null, v_id, p_provider) p;
end;
$$;
comment on function public.start_sync_generation is
    'Records that a generation begins inside a request, within the user''s limits, and intends its prediction: gives what the provider needs. Errors: 22023 empty prompt, DR404 model, DR422 input (problems in DETAIL), DR429 limit (limits in DETAIL).';

create function public.end_sync_generation(
    p_generation_id uuid, p_outcome text,
    p_error_code text default null, p_error_message text default null,
    p_image_url text default null, p_storage_path text default null, p_prediction_id text default null,
    p_thumbnail_path text default null, p_outputs jsonb default null
) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_ended public.sync_generations;
    v_us    bigint;
begin
    update public.sync_generations s
    set ended_at = clock_timestamp(), outcome = p_outcome, error_code = p_error_code
    where s.generation_id = p_generation_id and s.ended_at is null
    returning * into v_ended;
    if not found then
        return false;
    end if;
    update public.image_generations g
    set status = p_outcome, progress = case when p_outcome = 'completed' then 100 else g.progress end,
        image_url = p_image_url, storage_path = p_storage_path, thumbnail_path = p_thumbnail_path,
        prediction_id = p_prediction_id,
        error_message = left(p_error_message, 16000), error_code = p_error_code, completed_at = v_ended.ended_at, updated_at = v_ended.ended_at
    where g.id = p_generation_id;
    insert into public.outputs (
        generation_id, user_id, index, url, storage_path, media_type, width, height, bytes, thumbnail_path
    )
    select g.id, g.user_id, o.index, o.url, o.storage_path, o.media_type, o.width, o.height, o.bytes, o.thumbnail_path
    from public.image_generations g cross join jsonb_populate_recordset(null::public.outputs, p_outputs) o
    where g.id = p_generation_id;
    v_us := (extract(epoch from v_ended.ended_at - v_ended.started_at) * 1000000)::bigint;
    insert into public.path_rollup as r
    values (
        date_trunc('hour', v_ended.ended_at, 'UTC'), 'sync', left(v_ended.model_id, 200), p_outcome, left(coalesce(p_error_code, ''), 60),
        1, v_us, public.histogram_of(v_us)
    )
    on conflict (hour, path, model_id, outcome, error_code) do update
    set generations = r.generations + 1, total_us = r.total_us + excluded.total_us,
        total_histogram = r.total_histogram + excluded.total_histogram;
    return true;
end;
$$;
comment on function public.end_sync_generation is
    'Records how a generation inside a request ended, with its stored files (p_outputs: rows of the table), and counts it. False if it had already ended; then nothing changes.';

-- Times of the asynchronous path ------------------------------------------------------------------

create function public.async_totals(p_from timestamptz, p_to timestamptz)
returns table (hour timestamptz, model_id text, generations bigint, total_us numeric, total_histogram numeric)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
begin
    return query
    select j.hour, j.model_id, count(*), sum(j.us), sum(public.histogram_of(j.us))
    from (
        select
            date_trunc('hour', q.completed_at, 'UTC') as hour,
            left(coalesce(q.payload ->> 'model_id', ''), 200) as model_id,
            greatest((extract(epoch from q.completed_at - q.created_at) * 1000000)::bigint, 0) as us
        from public.job_queue q
        where q.status in ('completed', 'failed', 'cancelled') and q.status = 'completed'
          and q.job_type = 'generate-image' and q.completed_at >= p_from and q.completed_at < p_to
          and isfinite(q.created_at)
    ) j
    group by j.hour, j.model_id;
end;
$$;
comment on function public.async_totals is
    'Generations that the queue completed in a range of time, with durations from created to completed, including retries and waits.';

-- A completed job stays completed, so each hour is folded once, when it is closed.
create function public.fold_async_totals() returns trigger
language plpgsql set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_deadline constant timestamptz := clock_timestamp() + interval '1 second';
    v_first    timestamptz;
begin
    if new.folded_until = '-infinity' then
        -- Everything is folded again, except hours whose jobs have been purged.
        select date_trunc('hour', min(q.completed_at), 'UTC') into v_first from public.job_queue q
        where q.status in ('completed', 'failed', 'cancelled');
        if exists (select from public.job_rollup r where r.hour = v_first and r.purged) then
            v_first := v_first + interval '1 hour';
        end if;
        delete from public.path_rollup r where r.path = 'async' and r.hour >= v_first;
        new.totals_until := least(new.totals_until, v_first);
    end if;
    if new.totals_until > new.closed_until then  -- By rewind_rollup.
        delete from public.path_rollup r where r.path = 'async' and r.hour >= new.closed_until;
        new.totals_until := new.closed_until;
    end if;
    while new.totals_until < new.closed_until and clock_timestamp() < v_deadline loop
        select date_trunc('hour', min(q.completed_at), 'UTC') into v_first from public.job_queue q
        where q.status in ('completed', 'failed', 'cancelled')
          and q.completed_at >= new.totals_until and q.completed_at < new.closed_until;
        if v_first is null then
            new.totals_until := new.closed_until;
        else
            insert into public.path_rollup (hour, path, model_id, outcome, generations, total_us, total_histogram)
            select t.hour, 'async', t.model_id, 'completed', t.generations, t.total_us, t.total_histogram
            from public.async_totals(v_first, v_first + interval '1 hour') t;
            new.totals_until := v_first + interval '1 hour';
        end if;
    end loop;
    return new;
end;
$$;
comment on function public.fold_async_totals is
    'Folds the durations of hours that refresh_rollup has closed, for at most a second per refresh.';

create trigger rollup_state_refreshed
    before update of refreshed_at, folded_until on public.rollup_state
    for each row
    execute function public.fold_async_totals();

-- Both paths --------------------------------------------------------------------------------------

create function public.path_stats(p_from timestamptz, p_to timestamptz, p_bucket text)
returns table (
    bucket timestamptz, path text, model_id text, outcome text, error_code text,
    generations bigint, total_us numeric, total_histogram numeric
)
language plpgsql stable set search_path = '' set jit = off
as $$
declare
    v_until timestamptz := (select s.totals_until from public.rollup_state s);
begin
    return query
    select date_trunc(p_bucket, r.hour, 'UTC'), r.path, r.model_id,
           case when r.error_code = 'refused' then 'refused' else r.outcome end, r.error_code,
           r.generations, r.total_us, r.total_histogram
    from public.path_rollup r
    where r.hour >= p_from and r.hour < p_to
    union all
    select date_trunc(p_bucket, t.hour, 'UTC'), 'async', t.model_id, 'completed', '',
           t.generations, t.total_us, t.total_histogram
    from public.async_totals(greatest(p_from, v_until), p_to) t
    union all
    select j.bucket, 'async', j.model_id, j.status, '', j.jobs, null, null
    from public.job_stats_parts(p_from, p_to, p_bucket) j
    where j.job_type = 'generate-image' and j.status in ('failed', 'refused', 'cancelled');
end;
$$;
comment on function public.path_stats is
    'Generations of both paths that ended from p_from to p_to, which are whole hours or now, by hour or day; outcome refused is counted apart from failed. A key may have several rows. Generations that the queue did not complete have no times.';
