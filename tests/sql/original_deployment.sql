-- The database of the application that Darkroom replaces, rebuilt in our own words from what is known of it: its
-- tables with their constraints, its functions and views, and rows in every state.

create table public.profiles (
    id uuid primary key references auth.users (id) on delete cascade,
    username varchar(50) not null,
    credits integer not null default 10
);

create table public.models (
    id uuid primary key default gen_random_uuid(),
    name varchar(100) not null,
    replicate_id varchar(200) not null unique,
    default_width integer not null,
    default_height integer not null,
    default_steps integer not null,
    default_guidance_scale numeric(4, 2) not null,
    category varchar(50) not null,
    is_active boolean not null default true
);

create table public.image_generations (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references public.profiles (id) on delete cascade,
    prompt varchar(2000) not null,
    negative_prompt text,
    model varchar(100) not null,
    style varchar(50),
    width integer not null,
    height integer not null,
    steps integer,
    guidance_scale numeric(4, 2),
    generation_time_seconds double precision,
    status varchar(20) not null default 'pending'
        check (status in ('pending', 'queued', 'processing', 'downloading', 'completed', 'failed')),
    error_message varchar(500),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table public.images (
    id uuid primary key default gen_random_uuid(),
    generation_id uuid references public.image_generations (id) on delete cascade,
    user_id uuid references public.profiles (id),
    model_id uuid references public.models (id),
    filename varchar(255) not null,
    storage_path varchar(500) not null,
    public_url text not null,
    file_size bigint,
    width integer,
    height integer,
    format varchar(10),
    prompt text,
    model varchar(100)
);

create table public.job_queue (
    id uuid primary key default gen_random_uuid(),
    job_type text not null
        check (job_type in ('generate-image', 'download-image', 'process-webhook', 'cleanup-storage')),
    payload jsonb not null default '{}',
    status text not null default 'pending'
        check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    attempts integer not null default 0,
    max_attempts integer not null default 3,
    scheduled_at timestamptz not null default now(),
    started_at timestamptz,
    completed_at timestamptz,
    error_message text,
    error_details jsonb,
    created_by uuid references auth.users (id) on delete set null,
    priority integer default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index job_queue_pending_idx on public.job_queue (priority, scheduled_at) where status = 'pending';

create function public.set_updated_at() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end;
$$;
create trigger update_job_queue_updated_at before update on public.job_queue
    for each row execute function public.set_updated_at();
create trigger update_image_generations_updated_at before update on public.image_generations
    for each row execute function public.set_updated_at();

-- Stands for a webhook of the project: it must hear of no row because of the migration.
create table public.heard (generation_id uuid, status text);
create function public.hear() returns trigger language plpgsql security definer as $$
begin
    insert into public.heard values (new.id, new.status);
    return null;
end;
$$;
create trigger hear after insert or update of status on public.image_generations
    for each row when (new.status <> 'downloading') execute function public.hear();

create function public.enqueue_job(
    p_job_type text, p_payload jsonb, p_priority integer default 0, p_scheduled_at timestamptz default now(),
    p_max_attempts integer default 3
) returns uuid language plpgsql security definer as $$
declare
    new_id uuid;
begin
    insert into public.job_queue (job_type, payload, priority, scheduled_at, max_attempts, created_by)
    values (p_job_type, p_payload, p_priority, p_scheduled_at, p_max_attempts, auth.uid())
    returning id into new_id;
    return new_id;
end;
$$;
create function public.claim_next_job(p_job_types text[] default null) returns setof public.job_queue
language plpgsql security definer as $$
begin
    return query
    update public.job_queue j set status = 'processing', started_at = now(), attempts = j.attempts + 1
    where j.id = (
        select n.id from public.job_queue n
        where n.status = 'pending' and n.scheduled_at <= now() and (p_job_types is null or n.job_type = any (p_job_types))
        order by n.priority desc nulls last, n.created_at limit 1 for update skip locked
    )
    returning j.*;
end;
$$;
create function public.complete_job(p_job_id uuid, p_error_message text default null, p_error_details jsonb default null)
returns void language plpgsql security definer as $$
begin
    update public.job_queue j
    set status = case when p_error_message is null then 'completed'
                      when j.attempts < j.max_attempts then 'pending' else 'failed' end,
        scheduled_at = now() + make_interval(secs => power(2, j.attempts)),
        completed_at = case when p_error_message is null or j.attempts >= j.max_attempts then now() end,
        error_message = p_error_message, error_details = p_error_details
    where j.id = p_job_id;
end;
$$;
create function public.get_user_limits(p_user_id uuid) returns json language sql security definer as $$
    select json_build_object(
        'can_generate', p.credits > 0, 'limit_reason', case when p.credits <= 0 then 'no credits' end,
        'daily_limit', p.credits, 'daily_used', 0, 'hourly_limit', p.credits, 'hourly_used', 0
    ) from public.profiles p where p.id = p_user_id;
$$;

create view public.queue_health as
select job_type, status, count(*) as count, min(created_at) as oldest_job, max(created_at) as newest_job,
       avg(extract(epoch from completed_at - started_at)) as avg_duration_seconds, avg(attempts) as avg_attempts
from public.job_queue group by job_type, status;
create view public.failed_jobs_recent as
select id, job_type, payload, attempts, error_message, created_at, completed_at
from public.job_queue where status = 'failed' and created_at > now() - interval '1 day';
create view public.stuck_jobs as
select id, job_type, payload, started_at, extract(epoch from now() - started_at) / 60 as minutes_stuck
from public.job_queue where status = 'processing' and started_at < now() - interval '10 minutes';
-- The application's own, on columns whose type changes, and one on top of it.
create view public.gallery with (security_invoker = true) as
select g.id, g.user_id, g.prompt, g.status, g.model, i.public_url
from public.image_generations g left join public.images i on i.generation_id = g.id;
comment on view public.gallery is 'What users see.';
create view public.gallery_by_status as select status, count(*) as n from public.gallery group by status;
create view public.model_names as select m.id, m.name from public.models m;
grant select on public.gallery to authenticated;
grant select on public.queue_health, public.failed_jobs_recent, public.stuck_jobs, public.model_names to authenticated;

alter table public.job_queue enable row level security;
alter table public.image_generations enable row level security;
alter table public.models enable row level security;
create policy "Users can view their own jobs" on public.job_queue for select using (auth.uid() = created_by);
create policy "Service role has full access" on public.job_queue for all using (auth.role() = 'service_role');
create policy "Users can view their own generations" on public.image_generations
    for select using (auth.uid() = user_id);
create policy "Users can change what is not done" on public.image_generations
    for update to authenticated using (auth.uid() = user_id and status <> 'completed');
create policy "Models are public" on public.models for select using (is_active);
grant select on public.models, public.profiles, public.images to anon, authenticated;

-- One user with a profile, one without.
insert into auth.users (id) values
    ('00000000-0000-4000-8000-000000000001'), ('00000000-0000-4000-8000-000000000002');
insert into public.profiles (id, username) values ('00000000-0000-4000-8000-000000000001', 'first');
insert into public.models
    (name, replicate_id, default_width, default_height, default_steps, default_guidance_scale, category)
values
    ('Flux Schnell', 'black-forest-labs/flux-schnell', 1024, 1024, 28, 3.5, 'fast'),
    ('Ours', 'somebody/own-model:' || repeat('ab', 32), 768, 768, 20, 7.5, 'own'),
    ('Nowhere', 'no model id', 1, 1, 1, 1, 'odd');
update public.models set is_active = false where name = 'Nowhere';

-- A generation and its job of each state; the input stands flat in the payload.
insert into public.image_generations (id, user_id, prompt, model, width, height, steps, status, created_at, updated_at)
select ('00000000-0000-4000-9000-0000000000' || s.n)::uuid, '00000000-0000-4000-8000-000000000001', 'Prompt ' || s.n,
       'black-forest-labs/flux-schnell', 512, 768, 4, s.generation, now() - s.age, now() - s.age
from (values
    ('01', 'queued', interval '5 minutes'), ('02', 'pending', interval '4 minutes'),
    ('03', 'processing', interval '30 minutes'), ('04', 'processing', interval '1 minute'),
    ('05', 'completed', interval '2 hours'), ('06', 'failed', interval '3 hours'),
    ('07', 'downloading', interval '3 minutes'), ('08', 'failed', interval '4 hours'),
    ('09', 'completed', interval '40 days')
) as s (n, generation, age);
insert into public.job_queue (id, job_type, payload, status, attempts, started_at, completed_at, error_message, created_by,
                              priority, created_at, updated_at)
select ('00000000-0000-4000-a000-0000000000' || s.n)::uuid, s.job_type,
       jsonb_build_object(
           'generation_id', g.id, 'user_id', g.user_id, 'prompt', g.prompt, 'model_id', g.model, 'width', g.width,
           'height', g.height, 'num_inference_steps', g.steps, 'seed', 42, 'guidance_scale', null, 'style', null
       ),
       s.status, s.attempts, case when s.attempts > 0 then g.created_at + interval '1 second' end,
       case when s.status in ('completed', 'failed') then g.created_at + interval '20 seconds' end,
       s.error, s.created_by::uuid, s.priority, g.created_at, g.updated_at
from (values
    ('01', 'generate-image', 'pending', 0, null, '00000000-0000-4000-8000-000000000001', 0),
    ('02', 'generate-image', 'pending', 1, 'once failed', null, null),
    ('03', 'generate-image', 'processing', 1, null, null, 5),
    ('04', 'generate-image', 'processing', 1, null, null, 0),
    ('05', 'generate-image', 'completed', 1, null, null, 0),
    ('06', 'generate-image', 'failed', 3, 'it broke', null, 0),
    ('07', 'download-image', 'pending', 0, null, null, 0),
    ('08', 'generate-image', 'cancelled', 0, null, null, null),
    ('09', 'generate-image', 'completed', 1, null, null, 0)
) as s (n, job_type, status, attempts, error, created_by, priority)
join public.image_generations g on g.id = ('00000000-0000-4000-9000-0000000000' || s.n)::uuid;
insert into public.images (generation_id, user_id, filename, storage_path, public_url, format, model)
select g.id, g.user_id, g.id || '.webp', g.user_id || '/' || g.id || '.webp', 'https://example.com/' || g.id || '.webp',
       'webp', g.model
from public.image_generations g where g.status = 'completed';
delete from public.heard;
