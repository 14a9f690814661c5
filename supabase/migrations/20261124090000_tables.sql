-- Tables of the queue. Written so that a database which already holds the
-- 15-column job_queue keeps every row.

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
comment on table public.job_queue is 'Every job and where it is. Changed only by the functions of this schema.';
comment on column public.job_queue.attempts is 'Claims so far. (id, attempts) identifies the current claim: a writer with another number has lost it.';
comment on column public.job_queue.priority is 'Higher is claimed first.';
comment on column public.job_queue.error_details is 'Details of the last error; under "attempts" the errors of all attempts, oldest first.';

create table if not exists public.models (
    id                 text        primary key check (id <> ''),
    display_name       text        not null,
    version            text,
    default_parameters jsonb       not null default '{}' check (jsonb_typeof(default_parameters) = 'object'),
    enabled            boolean     not null default true,
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now()
);
comment on column public.models.id is 'The model at Replicate, as owner/name.';
comment on column public.models.version is 'Version id at Replicate for community models; null for official models, which run without one.';

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
    error_message text,
    prediction_id text,
    source        text        not null default 'app' check (source in ('app', 'test', 'sample')),
    created_at    timestamptz not null default now(),
    started_at    timestamptz,
    completed_at  timestamptz,
    updated_at    timestamptz not null default now()
);
comment on column public.image_generations.source is 'app: a user''s request; test: submitted by an operator; sample: invented history of the embedded default.';
comment on column public.image_generations.prediction_id is 'The prediction at Replicate, stored before anything else so that a retry follows it instead of paying again.';

create table if not exists public.job_leases (
    job_id       uuid        primary key references public.job_queue (id) on delete cascade,
    attempt      int         not null,
    worker_id    uuid,
    heartbeat_at timestamptz not null
);
comment on table public.job_leases is 'Who works on a processing job and when it last showed life. One row per claim, gone when the claim ends.';

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
    stopped_at         timestamptz
);
comment on column public.workers.process_started_at is 'When the operating system started the process: with host and pid it tells a restarted process from its predecessor.';

create table if not exists public.user_limits (
    user_id      uuid        primary key references auth.users (id) on delete cascade,
    daily_limit  int         check (daily_limit >= 0),
    hourly_limit int         check (hourly_limit >= 0),
    updated_at   timestamptz not null default now()
);
comment on table public.user_limits is 'Limits of users who differ from the defaults of get_user_limits; null keeps the default.';

create table if not exists public.idempotency_keys (
    scope         text        not null,
    key           text        not null check (length(key) between 1 and 255),
    request       jsonb       not null,
    generation_id uuid        not null,
    job_id        uuid        not null,
    created_at    timestamptz not null default now(),
    primary key (scope, key)
);
comment on table public.idempotency_keys is 'Answers of start_generation kept for a day, so that a repeated request gets the first answer.';

create table if not exists public.audit_log (
    id       bigint      generated always as identity primary key,
    at       timestamptz not null default now(),
    actor    text        not null check (actor <> ''),
    action   text        not null,
    affected int         not null,
    details  jsonb       not null default '{}'
);
comment on table public.audit_log is 'What operators did, to how many jobs, and who did it.';

-- Live duplicates of older deployments would refuse the unique index below: the oldest stays live.
update public.job_queue q
set status = 'cancelled',
    completed_at = now(),
    updated_at = now(),
    error_message = 'Cancelled by migration: an older job for the same generation is still live.'
where q.status = 'pending'
  and exists (
      select from public.job_queue older
      where older.status in ('pending', 'processing')
        and older.payload ->> 'generation_id' = q.payload ->> 'generation_id'
        and (older.status = 'processing', q.created_at, q.id)
            > (q.status = 'processing', older.created_at, older.id)
  );

create index if not exists job_queue_pending_idx
    on public.job_queue (priority desc, scheduled_at, created_at) where status = 'pending';
create index if not exists job_queue_processing_idx
    on public.job_queue (started_at) where status = 'processing';
create index if not exists job_queue_failed_idx
    on public.job_queue (completed_at) where status = 'failed';
create index if not exists job_queue_finished_idx
    on public.job_queue (completed_at) where status in ('completed', 'failed', 'cancelled');
create unique index if not exists job_queue_live_generation_key
    on public.job_queue ((payload ->> 'generation_id')) where status in ('pending', 'processing');

create index if not exists image_generations_user_idx on public.image_generations (user_id, created_at desc);
create index if not exists image_generations_test_idx
    on public.image_generations (created_at desc) where source = 'test';
create index if not exists job_leases_worker_idx on public.job_leases (worker_id);
create index if not exists audit_log_at_idx on public.audit_log (at desc);

-- Every job is updated at least twice and the live ones are few: vacuum by count, not by share of the table.
alter table public.job_queue set (
    autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, fillfactor = 85
);
alter table public.job_leases set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
