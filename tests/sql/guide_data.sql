-- A project in use, on which the guide's blocks are run: jobs in every status but cancelled.

with made as (
    insert into auth.users (id, email)
    values ('7d9c1f62-0c1e-4b7e-9a52-d5f4a1c0b001', 'ann@studio.example') returning id
), wanted as (
    insert into public.image_generations
        (id, user_id, prompt, model_id, status, image_url, completed_at)
    select
        g.id::uuid, made.id, 'A buoy', 'black-forest-labs/flux-schnell', g.status,
        case when g.status = 'completed' then '/images/buoy.webp' end,
        case when g.status in ('completed', 'failed') then now() - interval '40 minutes' end
    from made, (values
        ('10000000-0000-4000-8000-000000000001', 'queued'),
        ('10000000-0000-4000-8000-000000000002', 'processing'),
        ('10000000-0000-4000-8000-000000000003', 'failed'),
        ('10000000-0000-4000-8000-000000000004', 'completed')
    ) g (id, status)
    returning id, user_id
)
insert into public.job_queue (
    job_type, payload, status, attempts, created_by, created_at, started_at, completed_at, error_message
)
select
    'generate-image',
    jsonb_build_object('generation_id', w.id, 'model_id', 'black-forest-labs/flux-schnell'),
    j.status, 1, w.user_id, now() - interval '1 hour', now() - interval '50 minutes',
    case when j.status in ('completed', 'failed') then now() - interval '40 minutes' end,
    case when j.status = 'failed' then 'Replicate answered 500' end
from wanted w join (values
    ('10000000-0000-4000-8000-000000000001', 'pending'),
    ('10000000-0000-4000-8000-000000000002', 'processing'),
    ('10000000-0000-4000-8000-000000000003', 'failed'),
    ('10000000-0000-4000-8000-000000000004', 'completed'),
    ('10000000-0000-4000-8000-000000000004', 'pending')
) j (id, status) on w.id = j.id::uuid;
insert into public.job_queue (job_type, payload, status, created_at) values
    ('generate-image', '{"prompt": "A buoy", "model_id": "m"}', 'pending', now() - interval '2 minutes'),
    ('generate-image', '{"prompt": "A buoy", "model_id": "m"}', 'pending', now() - interval '1 minute');
