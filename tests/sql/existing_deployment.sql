-- A deployment that others made, as many are: the 15 columns, functions and views of their own.
create function public.touch() returns trigger language plpgsql as $$
begin
    new.updated_at = now();
    return new;
end;
$$;

create table public.job_queue (
    id uuid primary key default gen_random_uuid(),
    job_type text not null,
    payload jsonb not null default '{}',
    status text not null default 'pending',
    attempts integer default 0,
    max_attempts integer default 3,
    scheduled_at timestamptz default now(),
    started_at timestamptz,
    completed_at timestamptz,
    error_message text,
    error_details jsonb,
    created_by uuid references auth.users (id),
    priority integer default 0,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);
create trigger touch before update on public.job_queue for each row execute function public.touch();

create table public.models (
    id varchar(200) primary key,
    name text not null default 'a model',
    is_active boolean default true
);
grant select on public.models to authenticated;
insert into public.models (id) values ('black-forest-labs/flux-schnell'), ('somebody/own-model');
grant select on public.models to anon, authenticated;

create table public.image_generations (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references auth.users (id),
    prompt text not null,
    width integer,
    status text default 'pending',
    image_url text,
    created_at timestamptz default now()
);

create function public.enqueue_job(job_type text, payload jsonb, priority integer default 0)
returns uuid language sql as $$
    insert into public.job_queue (job_type, payload, priority) values ($1, $2, $3) returning id;
$$;
create function public.claim_next_job() returns table (job_id uuid, job_payload jsonb)
language sql as $$ select id, payload from public.job_queue where status = 'pending' limit 1 $$;
create function public.claim_next_job(worker text) returns setof public.job_queue
language sql as $$ select * from public.job_queue where status = 'pending' limit 1 $$;
create function public.complete_job(p_job_id uuid, p_success boolean) returns void
language sql as $$ update public.job_queue set status = 'completed' where id = $1 $$;
create function public.get_user_limits(uid uuid) returns json
language sql as $$ select '{"daily": 5}'::json $$;

create view public.queue_health as select status, count(*) as n from public.job_queue group by 1;
create view public.stuck_jobs as select id from public.job_queue where status = 'processing';
create materialized view public.failed_jobs_recent as
select id, error_message from public.job_queue where status = 'failed';
create view public.own_report as select n from public.queue_health;

insert into auth.users (id) values ('00000000-0000-4000-8000-000000000001');
insert into public.image_generations (user_id, prompt, width, status)
select '00000000-0000-4000-8000-000000000001', 'prompt ' || n, 512, 'completed'
from generate_series(1, 30) n;
insert into public.job_queue (job_type, payload, status, created_by, attempts)
select 'generate-image',
       jsonb_build_object('generation_id', g.id, 'prompt', g.prompt, 'model_id', 'somebody/own-model'),
       (array['pending', 'completed', 'failed'])[1 + row_number() over () % 3],
       g.user_id, 1
from public.image_generations g;
