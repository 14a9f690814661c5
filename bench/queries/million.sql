-- A million finished generations over ninety days, a thousand waiting, fifty running.

-- name: fill#
insert into public.image_generations (id, prompt, model_id, status, source, created_at, completed_at)
select
    md5('generation ' || n)::uuid, 'prompt ' || n, 'black-forest-labs/flux-schnell', 'completed',
    case when n % 100 = 0 then 'test' else 'app' end,
    now() - n * interval '7.776 seconds', now() - n * interval '7.776 seconds' + interval '5 seconds'
from generate_series(1, 1000000) n;
insert into public.job_queue (
    job_type, payload, status, attempts, scheduled_at, started_at, completed_at, created_at
)
select
    'generate-image',
    jsonb_build_object('generation_id', md5('generation ' || n)::uuid, 'prompt', 'prompt ' || n),
    case when n % 30 = 0 then 'failed' when n % 200 = 0 then 'cancelled' else 'completed' end,
    1, at, at + interval '1 second', at + interval '5 seconds', at
from (select n, now() - n * interval '7.776 seconds' as at from generate_series(1, 1000000) n) jobs;
insert into public.job_queue (job_type, payload, status, attempts, started_at)
select
    'generate-image', '{"prompt": "live"}', case when n <= 50 then 'processing' else 'pending' end,
    (n <= 50)::int, case when n <= 50 then now() - n * interval '1 minute' end
from generate_series(1, 1050) n;

-- name: settle#
vacuum analyze;
