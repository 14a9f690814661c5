-- What a plan inside a function reads cannot be asked for: count the scans instead.

-- name: fill#
-- Twelve thousand jobs over thirty days, of three models, some live.
insert into public.job_queue (
    job_type, payload, status, attempts, scheduled_at, started_at, completed_at, created_at, error_message
)
select
    'generate-image', jsonb_build_object('prompt', n, 'model_id', 'm' || n % 3),
    case when n % 20 = 0 then 'failed' when n % 50 = 1 then 'cancelled' else 'completed' end,
    1, at, at + interval '1 second', at + interval '5 seconds', at, case when n % 20 = 0 then 'no luck ' || n end
from (select n, now() - n * interval '216 seconds' as at from generate_series(1, 12000) n) jobs;
insert into public.job_queue (job_type, payload, status, attempts, started_at)
select
    'generate-image', '{"prompt": "live"}', case when n <= 10 then 'processing' else 'pending' end,
    (n <= 10)::int, case when n <= 10 then now() end
from generate_series(1, 60) n;
analyze public.job_queue;

-- name: flush^
-- Makes what this session has read so far show in the statistics.
select pg_stat_force_next_flush();

-- name: scans$
-- Sequential scans of job_queue so far.
select seq_scan from pg_stat_user_tables where relname = 'job_queue';
