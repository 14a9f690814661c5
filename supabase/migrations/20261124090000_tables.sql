-- Tables of the queue, with their indexes. A database that already has the 15-column job_queue keeps
-- every row: hence "if not exists".

-- Jobs --------------------------------------------------------------------------------------------

create table if not exists public.job_queue (
    id            uuid        primary key default gen_random_uuid(),
    job_type      text        not null check (job_type <> ''),
    payload       jsonb       not null default '{}' check (jsonb_typeof(payload) = 'object'),
    status        text        not null default 'pending'
                  check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    attempts      int         not null default 0 check (attempts >= 0),
    max_attempts  int         not null default 3 check (max_attempts >= 1),
    scheduled_at  timestamptz not null default now(),
    started_at    timestamptz,
    completed_at  timestamptz,
    error_message text,
    error_details jsonb,
    created_by    uuid,
    priority      int         not null default 0,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now()
);
comment on table public.job_queue is 'Every job and its status. Changed only by the functions of this schema, except that users may cancel their pending jobs.';
comment on column public.job_queue.attempts is 'Claims so far. (id, attempts) identifies the current claim; a writer with another number has lost it.';
comment on column public.job_queue.priority is 'Higher priorities are claimed first.';
comment on column public.job_queue.error_details is 'Details of the last error; under "attempts" the failed attempts, oldest first, as append_attempt_error writes them.';

-- No foreign key and no second index: both would slow down every claim. Only the functions of the queue
-- write leases, and there are no more rows than running jobs.
create table if not exists public.job_leases (
    job_id       uuid        primary key,
    attempt      int         not null,
    worker_id    uuid,
    heartbeat_at timestamptz not null
);
comment on table public.job_leases is 'Worker and last heartbeat of each processing job. One row per claim, deleted when the claim ends.';

-- Apart from error_details, which the user of a job reads and Realtime sends.
create table public.attempt_workers (
    job_id  uuid not null,
    attempt int  not null,
    worker  text not null,
    primary key (job_id, attempt)
);
comment on table public.attempt_workers is 'Which worker, as worker_of gives it, ran each attempt that ended with an error. For operators.';

create table if not exists public.workers (
    id                 uuid        primary key,
    kind               text        not null check (kind in ('worker', 'process-jobs', 'process-generation')),
    host               text        not null,
    pid                int         not null,
    process_started_at timestamptz not null,
    version            text        not null,
    job_types          text[]      not null,
    concurrency        int         not null check (concurrency >= 1),
    processed          bigint      not null default 0,
    errors             bigint      not null default 0,
    started_at         timestamptz not null default now(),
    last_seen_at       timestamptz not null default now(),
    stopped_at         timestamptz,
    storage_error      text,
    storage_failed_at  timestamptz,
    blocked_types      text[]      not null default '{}'
);
comment on column public.workers.storage_error is 'Why its storage refuses files (storage_failed_at: since when); null if it accepts them.';
comment on column public.workers.blocked_types is 'Its job_types that it does not claim while its storage fails, because they need it.';
comment on column public.workers.process_started_at is 'When the operating system started the process. With host and pid, it distinguishes a restarted process from its predecessor.';

-- Calls of process-jobs by cron leave 1,440 rows a day; who is alive is asked every few seconds.
create index if not exists workers_seen_idx on public.workers (last_seen_at);

-- Generations -------------------------------------------------------------------------------------

-- An existing deployment may have columns of its own, which applications read.
create function public.fill_existing_columns() returns trigger
language plpgsql set search_path = ''
as $$
declare
    v_row   constant jsonb := to_jsonb(new);
    v_given constant jsonb := v_row -> 'parameters';
    v_asked constant jsonb := v_row -> 'size' -> 'requested';
begin
    return jsonb_populate_record(new, (
        select coalesce(jsonb_object_agg(c.name, c.value), '{}')
        from (values
            ('name', v_row -> 'display_name'),
            ('replicate_id', v_row -> 'id'),
            ('id', v_row -> 'replicate_id'),
            ('display_name', v_row -> 'name'),
            ('model', v_row -> 'model_id'),
            ('width', coalesce(v_asked -> 'width', v_given -> 'width')),
            ('height', coalesce(v_asked -> 'height', v_given -> 'height')),
            ('steps', coalesce(v_given -> 'num_inference_steps', v_given -> 'steps')),
            ('guidance_scale', coalesce(v_given -> 'guidance_scale', v_given -> 'guidance')),
            ('negative_prompt', v_given -> 'negative_prompt'),
            ('style', v_given -> 'style'),
            ('seed', v_given -> 'seed')
        ) as c (name, value)
        where v_row -> c.name = 'null' and c.value <> 'null'
    ) || case when v_row ->> 'model_id' = '' and v_row ->> 'model' <> ''
              then jsonb_build_object('model_id', v_row -> 'model') else '{}' end);
exception when data_exception then
    return new;
end;
$$;
comment on function public.fill_existing_columns is
    'Fills the columns that a table of an existing deployment has beside ours, such as model, from ours, where they are null and the value fits.';

-- An existing deployment's models stay as they are, in another schema: their ids are often no names of models.
select public.set_aside_existing('models');

create table public.models (
    id                 text        primary key check (id <> ''),
    display_name       text        not null,
    version            text,
    default_parameters jsonb       not null default '{}' check (jsonb_typeof(default_parameters) = 'object'),
    enabled            boolean     not null default true,
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now(),
    price_per_image    numeric(10, 5) check (price_per_image >= 0),
    provider           text        not null default 'replicate',
    input_schema       jsonb       check (jsonb_typeof(input_schema) = 'object'),
    output_shape       text        check (output_shape in ('uri', 'uri[]')),
    size_rules         jsonb       not null default '{}' check (jsonb_typeof(size_rules) = 'object'),
    operator_fields    text[]      not null default '{disable_safety_checker}',
    deadline_seconds   int         check (deadline_seconds > 0),
    refreshed_at       timestamptz
);
-- Those models become ours too. As everybody may read ours, other columns than users could read stay behind.
do $$
declare
    v_column record;
    v_model  record;
    v_theirs text[] := '{}'::text[];
    v_hidden text[] := '{}'::text[];
begin
    if pg_catalog.to_regclass('before_darkroom.models') is null then
        return;
    end if;

    for v_column in
        select a.attname::text as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as kind, exists (
            select from pg_catalog.pg_class c, pg_catalog.pg_roles u
            where c.oid = a.attrelid and u.rolname in ('anon', 'authenticated')
              and has_column_privilege(u.oid, c.oid, a.attnum, 'select')
              and (not c.relrowsecurity or exists (
                  select from pg_catalog.pg_policy p, unnest(p.polroles) r (role)
                  where p.polrelid = c.oid and p.polpermissive and p.polcmd in ('r', '*')
                    and (r.role = 0 or pg_has_role(u.oid, r.role, 'usage'))
              ))
        ) as is_readable
        from pg_catalog.pg_attribute a
        where a.attrelid = 'before_darkroom.models'::regclass and a.attnum > 0 and not a.attisdropped
          and a.attname not in (
              select o.attname from pg_catalog.pg_attribute o where o.attrelid = 'public.models'::regclass
              union all
              -- Generated, further on.
              values ('parameter_schema'), ('sizes')
          )
        order by a.attnum
    loop
        if not v_column.is_readable then
            v_hidden := v_hidden || v_column.name;
            continue;
        end if;
        execute format('alter table public.models add %I %s', v_column.name, v_column.kind);
        v_theirs := v_theirs || format('%1$I = r.%1$I', v_column.name);
    end loop;
    create trigger models_existing_columns before insert on public.models
        for each row execute function public.fill_existing_columns();

    for v_model in
        select distinct on (n.id) n.id, n.version, m.said
        from (select to_jsonb(e) as said from before_darkroom.models e) m
        cross join lateral (
            select split_part(c.name, ':', 1) as id, nullif(split_part(c.name, ':', 2), '') as version
            from (values (1, m.said ->> 'replicate_id'), (2, m.said ->> 'model_id'), (3, m.said ->> 'id')) as c (place, name)
            where c.name ~ '^[a-zA-Z0-9][a-zA-Z0-9._-]*/[a-zA-Z0-9][a-zA-Z0-9._-]*(:[0-9a-f]{64})?$'
            order by c.place limit 1
        ) n
        order by n.id
    loop
        -- Models that Darkroom knows get its own defaults further on; theirs may not be what a model accepts.
        insert into public.models (id, display_name, version, enabled, default_parameters)
        values (
            v_model.id,
            coalesce(v_model.said ->> 'display_name', (v_model.said - v_hidden) ->> 'name', v_model.id),
            coalesce(v_model.version, substring(v_model.said ->> 'version' from '^[0-9a-f]{64}$')),
            coalesce(v_model.said -> 'is_active', v_model.said -> 'enabled', 'true') <> 'false',
            jsonb_strip_nulls(jsonb_build_object(
                'width', v_model.said -> 'default_width', 'height', v_model.said -> 'default_height',
                'num_inference_steps', v_model.said -> 'default_steps',
                'guidance_scale', v_model.said -> 'default_guidance_scale'
            ))
        );
        if v_theirs <> '{}' then
            execute format(
                'update public.models m set %s from jsonb_populate_record(null::public.models, $1) r where m.id = $2',
                array_to_string(v_theirs, ', ')
            ) using v_model.said - 'id', v_model.id;
        end if;
    end loop;
    if v_hidden <> '{}' then
        insert into public.audit_log (actor, action, affected, details)
        values (current_user, 'adopt_database', 0, jsonb_build_object('changes', jsonb_build_array(format(
            'not copied from before_darkroom.models, because users could not read it: %s', array_to_string(v_hidden, ', ')
        ))));
    end if;
end;
$$;

-- Not a column of models, which everybody may read.
create table public.model_servers (
    model_id text primary key references public.models on delete cascade,
    url      text not null
);
comment on table public.model_servers is
    'Addresses of the servers that run models; none for a provider with one address for all its models. Users may not read them.';

comment on column public.models.id is 'The model, as owner/name: at Replicate, or as it was named when a server of one''s own was added.';
comment on column public.models.provider is 'Who runs it: replicate, or cog for a Cog server of one''s own.';
comment on column public.models.version is 'Version id at Replicate for community models; null for official models, which run without one.';
comment on column public.models.default_parameters is 'What is sent unless a request says otherwise; the rest has the defaults of the model.';
comment on column public.models.input_schema is
    'What the model takes: each input by name as a JSON schema without references, with required (true), x-order, x-cog-secret and enum_partial (choices known, others may exist). Null: not known, so inputs are passed on unchecked.';
comment on column public.models.output_shape is 'uri: one file; uri[]: a list; null where it is not known.';
comment on column public.models.size_rules is
    'What the schema does not say about sizes. multiple: of width and height; megapixels (of 1024 x 1024 pixels): where no input says so, 1 by default; sizes: width and height in pixels by aspect ratio, at that area.';
comment on column public.models.operator_fields is 'Inputs that only default_parameters and tests of operators set, not requests of users.';
comment on column public.models.deadline_seconds is 'How long a prediction may take; null: as the worker is set.';
comment on column public.models.refreshed_at is 'When the schema was last fetched from the provider; null: as shipped.';
comment on column public.models.price_per_image is 'In US dollars, for estimates; null where it is not known.';

create table if not exists public.image_generations (
    id            uuid        primary key default gen_random_uuid(),
    user_id       uuid        references auth.users (id) on delete cascade,
    prompt        text        not null,
    model_id      text        not null,
    parameters    jsonb       not null default '{}' check (jsonb_typeof(parameters) = 'object'),
    status        text        not null default 'queued'
                  check (status in ('queued', 'processing', 'completed', 'failed', 'cancelled')),
    progress      int         not null default 0 check (progress between 0 and 100),
    image_url     text,
    storage_path  text,
    thumbnail_path text,
    error_message text,
    prediction_id text,
    source        text        not null default 'app' check (source in ('app', 'test', 'sample')),
    created_at    timestamptz not null default now(),
    started_at    timestamptz,
    completed_at  timestamptz,
    updated_at    timestamptz not null default now(),
    notices       text[],
    size          jsonb,
    error_code    text,
    application   text        check (length(application) between 1 and 100),
    metadata      jsonb       check (jsonb_typeof(metadata) = 'object')
);
do $$
begin
    if exists (
        select from pg_catalog.pg_attribute a
        where a.attrelid = 'public.image_generations'::regclass and not a.attisdropped
          and a.attname in ('model', 'width', 'height', 'steps', 'guidance_scale', 'negative_prompt', 'style', 'seed')
    ) then
        create trigger image_generations_existing_columns before insert on public.image_generations
            for each row execute function public.fill_existing_columns();
    end if;
end;
$$;

comment on column public.image_generations.parameters is 'What is sent beside the prompt and the model''s defaults, under the model''s own names once notices is set.';
comment on column public.image_generations.notices is 'What was ignored or changed of the request, a sentence each; null until its input is resolved (resolve_input).';
comment on column public.image_generations.size is
    'asked: width, height or aspect_ratio of the request; sent: what they became; expected: width and height in pixels of the image, exact or about, null where it depends on the source image.';
comment on column public.image_generations.error_code is 'Kind of the error in error_message, such as refused; null without one.';
comment on column public.image_generations.application is 'The application that asked, by its own name for itself.';
comment on column public.image_generations.metadata is 'What the application wants back with the generation, such as ids of its own.';
comment on column public.image_generations.thumbnail_path is 'The image at no more than 512 pixels a side, a WebP in the same storage; null where there is none.';
comment on column public.image_generations.source is 'app: a user''s request; test: submitted by an operator; sample: simulated history of the embedded default.';
comment on column public.image_generations.prediction_id is 'The prediction at Replicate, stored before anything else so that a retry follows it instead of paying again.';

create table public.predictions (
    id              uuid        primary key default gen_random_uuid(),
    provider        text        not null,
    provider_id     text,
    model_id        text        not null,
    version         text,
    generation_id   uuid        not null references public.image_generations (id) on delete cascade,
    job_id          uuid,
    attempt         int,
    worker          text,
    input           jsonb       not null,
    status          text        not null default 'intended' check (status in (
        'intended', 'starting', 'processing', 'succeeded', 'failed', 'canceled', 'aborted', 'expired', 'unknown'
    )),
    created_at      timestamptz not null default clock_timestamp(),
    started_at      timestamptz,
    ended_at        timestamptz,
    predict_seconds double precision,
    error           text,
    log             text,
    outputs         int,
    application     text,
    metadata        jsonb,
    given_files     jsonb
);
comment on table public.predictions is
    'Every prediction that a provider may charge for, one row each. A row is written as an intent before the request and completed with the response, so that no attempt creates a prediction again.';
comment on column public.predictions.provider_id is 'The provider''s id; null while unknown.';
comment on column public.predictions.attempt is 'The attempt that sent or last repeated the request.';
comment on column public.predictions.worker is 'The worker of that attempt, as worker_of gives it.';
comment on column public.predictions.input is 'Input as sent, with references as of data_reference or of uploads in place of files.';
comment on column public.predictions.given_files is 'The addresses at the provider that took the places of references in the input.';
comment on column public.predictions.status is
    'intended: the provider''s id is unknown; it may or may not have started. unknown: that could not be determined in time, so another prediction may be paid for the same generation. expired: its outputs were deleted before they were stored. Otherwise the provider''s status.';
comment on column public.predictions.created_at is 'Time before the request was sent.';
comment on column public.predictions.application is 'As in image_generations when the prediction was intended; likewise metadata.';
comment on column public.predictions.log is 'The end of the provider''s log, 16,000 characters at most.';
comment on column public.predictions.outputs is 'How many files its output has; null until it has ended.';

create unique index predictions_provider_key on public.predictions (provider, provider_id) where provider_id is not null;
create index predictions_generation_idx on public.predictions (generation_id, created_at);
create index predictions_unknown_idx on public.predictions (created_at) where status = 'unknown';

create table public.outputs (
    generation_id  uuid        not null references public.image_generations (id) on delete cascade,
    index          int         not null check (index >= 0),
    prediction_id  uuid,
    user_id        uuid,
    url            text        not null,
    storage_path   text        not null,
    media_type     text        not null,
    width          int,
    height         int,
    bytes          bigint      not null,
    thumbnail_path text,
    created_at     timestamptz not null default clock_timestamp(),
    primary key (generation_id, index)
);
-- For row-level security.
create index outputs_user_idx on public.outputs (user_id, created_at);
comment on table public.outputs is
    'The stored files of each generation, all of one prediction. While it is processing, those stored so far. image_generations has the first one too.';
comment on column public.outputs.index is 'Place in the output of the prediction, from 0; what could not be stored is missing.';
-- No foreign key: each prediction that is deleted would look for its outputs.
comment on column public.outputs.prediction_id is 'The row of predictions that made it; null for the synchronous path.';
comment on column public.outputs.user_id is 'As in image_generations, for row-level security.';
comment on column public.outputs.width is 'In pixels, as height; null for an SVG without a size.';
comment on column public.outputs.thumbnail_path is 'As in image_generations; null for an SVG.';

create table if not exists public.user_limits (
    user_id      uuid        primary key references auth.users (id) on delete cascade,
    daily_limit  int         check (daily_limit >= 0),
    hourly_limit int         check (hourly_limit >= 0),
    updated_at   timestamptz not null default now()
);
comment on table public.user_limits is 'Limits of users that differ from the defaults of get_user_limits; null for the default.';

create table if not exists public.idempotency_keys (
    scope         text        not null,
    key           text        not null check (length(key) between 1 and 255),
    request       jsonb       not null,
    generation_id uuid        not null,
    job_id        uuid        not null,
    created_at    timestamptz not null default now(),
    primary key (scope, key)
);
create index if not exists idempotency_keys_created_idx on public.idempotency_keys (created_at);
comment on table public.idempotency_keys is 'Responses of start_generation, kept for a day, so that a repeated request gets the same response.';

-- What may be claimed: job types, pauses, circuit breakers, rate-limited models -------------------

create table public.job_types (
    job_type             text    primary key check (job_type <> ''),
    provider             text,
    backoff_base_seconds numeric not null default 10 check (backoff_base_seconds > 0),
    backoff_max_seconds  numeric not null default 3600 check (backoff_max_seconds > 0),
    backoff_jitter       numeric not null default 0.25 check (backoff_jitter between 0 and 1),
    for_users            boolean not null default false
                         check (not for_users or (job_type not in ('process-webhook', 'cleanup-storage')
                                                  and job_type not like 'self-test-%'))
);
comment on table public.job_types is 'Types of jobs that differ from the defaults; a type without a row has no provider and the default backoff, and is not for users.';
comment on column public.job_types.backoff_jitter is 'Maximum share of the backoff that is added at random.';
comment on column public.job_types.for_users is 'Whether signed-in users may enqueue it with enqueue_job; never an internal type.';

insert into public.job_types (job_type, provider, for_users)
values ('generate-image', 'replicate', true), ('download-image', null, true);

create table public.queue_pauses (
    job_type  text        primary key check (job_type <> ''),
    paused_at timestamptz not null default now(),
    paused_by text        not null,
    reason    text
);
comment on table public.queue_pauses is 'Paused types of jobs, which no worker claims; the type * stands for all.';

create table public.provider_breakers (
    provider   text        primary key,
    failures   int         not null default 0,
    openings   int         not null default 0,
    opened_at  timestamptz,
    open_until timestamptz,
    probing    boolean     not null default false,
    reason     text
);
comment on column public.provider_breakers.provider is 'As breaker_of gives it: the provider, with the address of a server of one''s own.';
comment on table public.provider_breakers is
    'Circuit breakers. Closed while open_until is null; open until then; afterwards one job at a time probes the provider.';
comment on column public.provider_breakers.failures is 'Failures of the provider in a row while closed.';
comment on column public.provider_breakers.openings is 'Openings in a row. Each doubles the time until the next probe.';

create table public.model_holds (
    model_id   text        primary key,
    held_until timestamptz not null,
    reason     text,
    allowance  int         not null default 1,
    busy       boolean     not null default false
);
comment on table public.model_holds is 'Rate-limited models, and those whose server is busy. Their jobs are not claimed until held_until, and then a few at a time (resume_model).';
comment on column public.model_holds.busy is 'Whether all that its server can run at once was running: then the end of one of its jobs ends the hold.';
comment on column public.model_holds.model_id is 'As model_of gives it.';
comment on column public.model_holds.allowance is 'How many jobs the first claim after the rate limit may take.';

-- Indexes -----------------------------------------------------------------------------------------

create function public.model_of(p_payload jsonb) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return left(p_payload ->> 'model_id', 200);
end;
$$;
comment on function public.model_of(jsonb) is 'The model in a payload, cut at 200 characters; null if there is none.';

-- Hashes, because an index takes no long keys and anything may be a type or a model.
create function public.line_of(p_priority int, p_job_type text, p_payload jsonb) returns bytea
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    -- The highest priority has the lowest bytes.
    return int4send(~coalesce(p_priority, 0) # (-2147483648))
        || int4send(hashtext(coalesce(p_job_type, '')))
        || int4send(hashtext(coalesce(public.model_of(p_payload), '')));
end;
$$;
comment on function public.line_of(int, text, jsonb) is
    'The line of a pending job, 12 bytes: its priority, the highest first, its type and its model.';

-- The only index of pending jobs. A claim finds each line by its first job, which is due before all others of
-- it, and passes by what is held, paused or not due without reading the rest.
create index if not exists job_queue_pending_idx
    on public.job_queue (public.line_of(priority, job_type, payload), scheduled_at, created_at)
    where status = 'pending';
create index if not exists job_queue_processing_idx
    on public.job_queue (started_at) where status = 'processing';
create index if not exists job_queue_failed_idx
    on public.job_queue (completed_at) where status = 'failed';
create index if not exists job_queue_finished_idx
    on public.job_queue (completed_at) where status in ('completed', 'failed', 'cancelled');

create function public.generation_of(p_payload jsonb) returns uuid
language sql immutable parallel safe set search_path = ''
return case when p_payload ->> 'generation_id' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
            then (p_payload ->> 'generation_id')::uuid end;
comment on function public.generation_of(jsonb) is 'The generation in a payload; null if there is none.';

-- An existing deployment may have live duplicates, which the unique index below would refuse. The oldest
-- job of each generation and type stays live.
update public.job_queue q
set status = 'cancelled',
    completed_at = now(),
    updated_at = now(),
    error_message = 'Cancelled by migration: an older job of the same type and generation is still pending or running.'
where q.status = 'pending'
  and exists (
      select from public.job_queue older
      where older.status in ('pending', 'processing') and older.job_type = q.job_type
        and older.payload ->> 'generation_id' = q.payload ->> 'generation_id'
        and (older.status = 'processing', q.created_at, q.id)
            > (q.status = 'processing', older.created_at, older.id)
  );

-- At most one live job per generation and type, however its id is spelled. Jobs without a generation do not count.
-- Cut, because an index takes no long keys.
create unique index job_queue_live_generation_key
    on public.job_queue (public.generation_of(payload), left(job_type, 200)) where status in ('pending', 'processing');

-- Counts what users enqueued besides generations, for their limits. The jobs of generations are not in it.
create index job_queue_user_jobs_idx on public.job_queue (created_by, created_at)
    where job_type <> 'generate-image' and created_by is not null;

create index if not exists image_generations_user_idx on public.image_generations (user_id, created_at desc);
create index if not exists image_generations_test_idx
    on public.image_generations (created_at desc) where source = 'test';

-- A change of status leaves this index alone (HOT): only inserting a generation pays for it.
create index image_generations_created_idx on public.image_generations (created_at desc, user_id);

-- Bounds of a job's columns -----------------------------------------------------------------------

-- A program may insert rows past enqueue_job: with infinite times to park a job or to put it first, or with
-- numbers that overflow at the next attempt. A single such row must stop neither claims nor figures.
create function public.bound_job() returns trigger
language plpgsql set search_path = ''
as $$
declare
    v_first constant timestamptz := timestamptz '1970-01-01 00:00:00+00';
    v_last  constant timestamptz := timestamptz '2200-01-01 00:00:00+00';
    v_most  constant int := 1000000000;
begin
    new.created_at := least(greatest(new.created_at, v_first), v_last);
    new.scheduled_at := least(greatest(new.scheduled_at, v_first), v_last);
    new.started_at := case when new.started_at is not null then least(greatest(new.started_at, v_first), v_last) end;
    new.completed_at := case when new.completed_at is not null then least(greatest(new.completed_at, v_first), v_last) end;
    new.updated_at := least(greatest(new.updated_at, v_first), v_last);
    new.attempts := least(new.attempts, v_most);
    new.max_attempts := least(new.max_attempts, v_most);
    new.error_message := left(new.error_message, 16000);
    return new;
end;
$$;
comment on function public.bound_job is
    'Limits the times of a job to the years 1970 to 2200, its attempts to a billion, and its error to 16,000 characters.';

-- The condition alone is paid for by every other job. Its numbers leave a claim a billion attempts until it
-- would be cut, so an attempt's number is never given twice.
create trigger job_queue_bounds
    before insert or update on public.job_queue
    for each row
    when (
        new.created_at not between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'
        or new.scheduled_at not between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'
        or new.started_at not between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'
        or new.completed_at not between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'
        or new.updated_at not between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'
        or new.attempts > 2000000000 or new.max_attempts > 2000000000
        or octet_length(new.error_message) > 16000
    )
    execute function public.bound_job();

-- The trigger brings the rows of an existing deployment within the bounds.
update public.job_queue q set id = q.id
where q.created_at not between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'
   or q.scheduled_at not between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'
   or q.started_at not between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'
   or q.completed_at not between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'
   or q.updated_at not between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'
   or q.attempts > 2000000000 or q.max_attempts > 2000000000
   or octet_length(q.error_message) > 16000;

-- What could not be done --------------------------------------------------------------------------

create table public.set_aside_jobs (
    job_id uuid        not null,
    step   text        not null check (step in ('claim', 'rescue', 'history')),
    error  text        not null,
    at     timestamptz not null default now(),
    primary key (job_id, step)
);
comment on table public.set_aside_jobs is
    'Jobs whose rows the database refuses to change, for example because of a custom trigger or constraint. Other jobs are not affected.';
comment on column public.set_aside_jobs.step is
    'Step that skips the job: claim, rescue (of a stuck job), or history (statistics of finished jobs).';
comment on column public.set_aside_jobs.at is 'When it was set aside; retried an hour later.';

create function public.is_passing_error(p_sqlstate text) returns boolean
language sql immutable set search_path = ''
-- Conflicts, lack of resources, a busy object, shutdown, and the system's own errors.
return left(p_sqlstate, 2) in ('40', '53', '55', '57', '58');
comment on function public.is_passing_error is 'Whether an error is caused by the server and not by the row, so that a retry may succeed.';

create function public.set_aside_job(p_job_id uuid, p_step text, p_error text) returns void
language sql volatile set search_path = ''
as $$
    insert into public.set_aside_jobs (job_id, step, error) values (p_job_id, p_step, left(p_error, 2000))
    on conflict (job_id, step) do update set error = excluded.error, at = now();
$$;
comment on function public.set_aside_job is 'Records that a step skips a job, and why.';

create table public.background_errors (
    task     text        primary key,
    error    text        not null,
    times    int         not null default 1,
    first_at timestamptz not null default now(),
    last_at  timestamptz not null default now()
);
comment on table public.background_errors is
    'Background tasks of workers and the app that failed recently and keep retrying: the last error, and failures in a row.';

create function public.report_background_error(p_task text, p_error text) returns void
language sql volatile set search_path = ''
as $$
    insert into public.background_errors as b (task, error) values (left(p_task, 100), left(p_error, 2000))
    on conflict (task) do update
    set error = excluded.error, last_at = now(),
        times = case when b.last_at < now() - interval '10 minutes' then 1 else b.times + 1 end,
        first_at = case when b.last_at < now() - interval '10 minutes' then now() else b.first_at end;
$$;
comment on function public.report_background_error is
    'Records that a background task failed. Failures more than ten minutes apart do not count as consecutive.';

-- Storage parameters ------------------------------------------------------------------------------

-- Every job is updated at least twice and few jobs are live: vacuum after a number of changed rows, not
-- after a share of the table.
alter table public.job_queue set (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, fillfactor = 85
);
alter table public.job_leases set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Index-only scans of the newest generations need a recently vacuumed table.
alter table public.image_generations set (
    autovacuum_vacuum_scale_factor = 0.005, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.005
);
