-- Filling the queue, and reading what became of it.

-- name: empty#
truncate public.job_queue cascade;

-- name: add_pending!
-- One second apart, the oldest first in line.
insert into public.job_queue (job_type, scheduled_at, created_at)
select 'bench', at, at
from generate_series(1, :jobs) as g (n), lateral (select now() - (:jobs - n) * interval '1 second') as t (at);

-- name: add_of_held_model!
-- Due, of higher priority and of a model that is rate-limited for a day.
with held as (
    insert into public.model_holds (model_id, held_until, reason)
    values ('bench/held', now() + interval '1 day', 'bench')
    on conflict (model_id) do nothing
)
insert into public.job_queue (job_type, priority, payload, scheduled_at)
select 'bench', 1, '{"model_id": "bench/held"}', now() - interval '1 hour'
from generate_series(1, :jobs);

-- name: add_of_tomorrow!
-- Of higher priority.
insert into public.job_queue (job_type, priority, scheduled_at)
select 'bench', 1, now() + interval '1 day' from generate_series(1, :jobs);

-- name: add_of_many_models!
-- Due, of higher priority and of a thousand models.
insert into public.job_queue (job_type, priority, payload)
select 'bench', 1, jsonb_build_object('model_id', 'bench/model-' || n %% 1000)
from generate_series(1, :jobs) as g (n);

-- name: add_completed!
insert into public.job_queue (
    job_type, status, attempts, scheduled_at, started_at, completed_at, created_at
)
select 'bench', 'completed', 1, at, at + interval '1 second', at + interval '5 seconds', at
from generate_series(1, :jobs) as g (n), lateral (select now() - (:jobs - n) * interval '1 second') as t (at);

-- name: enqueue$
select public.enqueue_job('bench', '{}');

-- name: completed^
-- How many jobs are completed, and when the last was, in seconds since 1970.
select count(*) as jobs, extract(epoch from max(completed_at))::double precision as last_at
from public.job_queue
where status = 'completed';

-- name: waits
-- Milliseconds from enqueueing to the start of each completed job, shortest first.
select extract(epoch from started_at - created_at)::double precision * 1000 as milliseconds
from public.job_queue
where status = 'completed'
order by 1;
