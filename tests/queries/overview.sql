-- What the Overview's queries must say, from the rows of all jobs that ever were.

-- name: fill!
-- Four thousand jobs of two types and three models that began in the last nine days, retries among
-- them; none completed in the last two hours when quiet.
insert into public.job_queue (
    job_type, payload, status, attempts, scheduled_at, started_at, completed_at, created_at, error_message,
    error_details
)
select
    job_type, jsonb_build_object('model_id', 'm' || n %% 3),
    status,
    case when status = 'cancelled' then 0 when n %% 5 = 0 then 3 else 1 end,
    due_at,
    case when status <> 'cancelled' then due_at + wait end,
    due_at + wait + run,
    created_at,
    case when status = 'failed' then 'no luck ' || n end,
    case when status = 'failed' and n %% 3 = 0 then jsonb '{"code": "refused"}' end
from (
    select
        n,
        case when n %% 4 = 0 then 'b' else 'a' end as job_type,
        case when n %% 7 = 0 then 'failed' when n %% 50 = 1 then 'cancelled' else 'completed' end as status,
        at as created_at,
        -- A third attempt is due an hour and a half later.
        at + case when n %% 5 = 0 then interval '90 minutes' else '0' end as due_at,
        random() * interval '90 seconds' as wait,
        random() * interval '200 seconds' as run
    from (select n, now() - random() * interval '9 days' as at from generate_series(1, 4000) n) drawn
) jobs
where due_at + wait + run < now() and (not :quiet or due_at + wait + run < now() - interval '2 hours');

-- name: fill_live!
-- Sixty jobs that wait, half of them not yet due, and five that run.
insert into public.job_queue (job_type, payload, status, attempts, scheduled_at, started_at, created_at, updated_at)
select
    case when n %% 4 = 0 then 'b' else 'a' end, '{}',
    case when n <= 5 then 'processing' else 'pending' end,
    case when n <= 5 then 1 else n %% 3 end,
    now() + (n - 30) * interval '3 minutes',
    case when n <= 5 then now() - n * interval '15 minutes' + interval '9 minutes' end,
    now() - n * interval '4 minutes',
    now() - n * interval '4 minutes'
from generate_series(1, 65) n;

-- name: keep_purged!
-- Afterwards all_jobs holds the purged ones too.
create table purged_jobs as select * from public.job_queue;

-- name: drop_kept!
delete from purged_jobs p using public.job_queue q where q.id = p.id;

-- name: all_jobs!
-- Refused jobs count apart.
create view all_jobs as
select id, job_type, payload,
       case when status = 'failed' and error_details ->> 'code' = 'refused' then 'refused' else status end as status,
       attempts, scheduled_at, started_at, completed_at, error_message, error_details, created_by, created_at
from (select * from public.job_queue union all select * from purged_jobs) every;

-- name: now^
with days as (
    select number * interval '24 hours' as day from generate_series(1, 7) number
), clock as (
    select
        date_trunc('hour', now() - interval '1 hour', 'UTC') - day as hour,
        1 - extract(epoch from now() - date_trunc('hour', now(), 'UTC'))::double precision / 3600 as share
    from days
    union all
    select
        date_trunc('hour', now(), 'UTC') - day,
        extract(epoch from now() - date_trunc('hour', now(), 'UTC'))::double precision / 3600
    from days
), usual as (
    select j.*, share
    from clock join all_jobs j on j.completed_at >= hour and j.completed_at < hour + interval '1 hour'
), last_hour as (
    select * from all_jobs where completed_at >= date_trunc('minute', now() - interval '1 hour')
)
select
    count(*) filter (where status = 'pending') as pending,
    count(*) filter (where status = 'pending' and attempts > 0) as retrying,
    count(*) filter (where status = 'pending' and scheduled_at <= now()) as due,
    extract(epoch from now() - min(scheduled_at) filter (where status = 'pending'))::double precision as oldest_pending_seconds,
    count(*) filter (where status = 'processing') as processing,
    (select count(*) from last_hour where status = 'completed') as last_hour_completed,
    (select count(*) from last_hour where status = 'failed') as last_hour_failed,
    (select count(*) from last_hour where status = 'refused') as last_hour_refused,
    (
        select avg((status = 'failed')::int) from last_hour where status in ('completed', 'failed')
    )::double precision as last_hour_failure_share,
    (
        select sum(share) filter (where status = 'failed') / sum(share) from usual where status in ('completed', 'failed')
    ) as usual_failure_share,
    (
        select percentile_disc(0.95) within group (order by greatest(extract(epoch from started_at - scheduled_at), 0))
        from all_jobs where completed_at > now() - interval '15 minutes' and started_at is not null
    )::double precision as wait_p95,
    extract(epoch from now() - max(completed_at) filter (where status = 'completed'))::double precision as last_completion_seconds,
    (select sum(share) filter (where status = 'completed') / 7 from usual) as usual_completed,
    (select sum(share) filter (where status = 'failed') / 7 from usual) as usual_failed
from all_jobs;

-- name: usual_wait_p95$
select percentile_disc(0.95) within group (order by greatest(extract(epoch from started_at - scheduled_at), 0))::double precision
from generate_series(1, 7) day
cross join generate_series(0, 1) number
cross join lateral (
    select date_trunc('hour', now() - interval '1 hour', 'UTC') + number * interval '1 hour' - day * interval '24 hours' as hour
) h
join all_jobs on completed_at >= hour and completed_at < hour + interval '1 hour'
where started_at is not null;

-- name: fill_samples!
-- A sample for every minute of the last 26 hours but each seventh.
insert into public.queue_samples (minute, pending, due, processing)
select date_trunc('minute', now()) - n * interval '1 minute', n * 7919 %% 101, 0, n %% 5
from generate_series(0, 1560) n where n %% 7 <> 3;

-- name: hours
select
    hour,
    (select max(pending) from public.queue_samples where minute >= hour and minute < hour + interval '1 hour') as pending,
    (select max(processing) from public.queue_samples where minute >= hour and minute < hour + interval '1 hour') as processing,
    count(*) filter (where status = 'completed') as completed,
    count(*) filter (where status = 'failed') as failed,
    (avg((status = 'failed')::int) filter (where status in ('completed', 'failed')))::double precision as failure_share,
    (
        percentile_disc(0.95) within group (order by greatest(extract(epoch from started_at - scheduled_at), 0))
        filter (where started_at is not null)
    )::double precision as wait_p95
from generate_series(
    date_trunc('hour', now(), 'UTC') - interval '24 hours', date_trunc('hour', now(), 'UTC') - interval '1 hour', '1 hour'
) hour
left join all_jobs on completed_at >= hour and completed_at < hour + interval '1 hour'
group by hour
order by hour;

-- name: quarters
select
    at,
    (select count(*) from all_jobs where created_at >= at and created_at < at + interval '15 minutes') as arrived,
    (
        select count(*) from all_jobs
        where status = 'completed' and completed_at >= at and completed_at < at + interval '15 minutes'
    ) as completed,
    (
        select count(*) from all_jobs
        where status = 'failed' and completed_at >= at and completed_at < at + interval '15 minutes'
    ) as failed,
    (
        select count(*) from all_jobs
        where status = 'refused' and completed_at >= at and completed_at < at + interval '15 minutes'
    ) as refused,
    (
        select max(pending + processing) from public.queue_samples
        where minute >= at and minute < at + interval '15 minutes'
    ) as depth
from generate_series(
    date_bin('15 minutes', now() - interval '23 hours 45 minutes', 'epoch'), now(), interval '15 minutes'
) at
order by at;

-- name: health
select
    job_type, status, count(*) as count,
    avg(extract(epoch from completed_at - started_at))::double precision as avg_seconds,
    min(created_at) as oldest, max(created_at) as newest
from all_jobs
where completed_at is null or completed_at >= date_trunc('hour', now(), 'UTC') - interval '24 hours'
group by job_type, status;
