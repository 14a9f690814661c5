-- A history to which everything happens.

-- name: fill#
-- Three thousand jobs of the last five days, of two types and ten models or none; sixty are live.
select setseed(0.3);
insert into public.job_queue (
    job_type, payload, status, attempts, scheduled_at, started_at, completed_at, created_at, error_message,
    error_details
)
select
    case when random() < 0.2 then 'b' else 'a' end,
    case when random() < 0.1 then '{}' else jsonb_build_object('model_id', 'm/' || floor(10 * random() * random())) end,
    status, attempts, due,
    case when status <> 'cancelled' then due + wait end,
    due + wait + run,
    created_at,
    case when status = 'failed' then 'no luck' end,
    case when status = 'failed' and extract(microseconds from created_at)::int % 3 = 0 then jsonb '{"code": "refused"}' end
from (
    select
        *,
        created_at + (attempts - 1) * interval '1 hour' * random() as due,
        interval '3 seconds' * random() ^ 3 as wait,
        interval '90 seconds' * random() ^ 4 as run
    from (
        select
            now() - interval '5 days' * random() - interval '70 minutes' as created_at,
            case when random() < 0.1 then 'failed' when random() < 0.05 then 'cancelled' else 'completed' end as status,
            1 + (random() < 0.1)::int as attempts
        from generate_series(1, 3000)
    ) drawn
) ended;
insert into public.job_queue (job_type, payload, status, attempts, started_at, scheduled_at, created_at)
select
    'a', '{"model_id": "m/1"}', case when n <= 20 then 'processing' else 'pending' end, (n <= 20)::int,
    case when n <= 20 then now() - interval '1 minute' end, now(), now() - interval '9 hours' * random()
from generate_series(1, 60) n;
-- What is purged stays here.
create table public.purged_jobs (like public.job_queue);
-- Refused jobs count apart.
create view public.all_jobs as
select id, job_type, payload,
       case when status = 'failed' and error_details ->> 'code' = 'refused' then 'refused' else status end as status,
       attempts, scheduled_at, started_at, completed_at, error_message, error_details, created_by, created_at
from (select * from public.job_queue union all select * from public.purged_jobs) every;

-- name: rebuild$
select public.rebuild_rollup();

-- name: retry$
select count(*) from public.retry_jobs('operator', array(
    select id from public.job_queue where status in ('failed', 'cancelled') order by id limit 30
));

-- name: cancel$
select count(*) from public.cancel_jobs('operator', array(
    select id from public.job_queue where status = 'pending' order by id limit 10
));

-- name: complete$
select count(*) from (select public.complete_job(id) from public.claim_jobs(20)) ended;

-- name: delete!
delete from public.job_queue where id in (
    select id from public.job_queue where status = 'completed' order by id limit 20
);

-- name: refresh$
select public.refresh_rollup();

-- name: keep!
insert into public.purged_jobs select * from public.job_queue;

-- name: purge$
select purged from public.purge_finished_jobs('operator', interval '60 hours', 10000);

-- name: drop_kept!
delete from public.purged_jobs where id in (select id from public.job_queue);
