-- Health of the queue. Live jobs and the last hour by partial indexes, older history from the
-- rollup.

-- name: now^
-- The current state in one row, times in seconds. pending; retrying: pending jobs that failed
-- before; due: pending jobs past their scheduled time that are not paused and whose circuit breaker
-- is not open, oldest_due_seconds: longest wait among them; oldest_pending_seconds: longest wait of
-- any job past its scheduled time. slots: concurrency of all workers alive; worker_seen_seconds:
-- since the last heartbeat of any worker, or since alerts exist. rules: by name, the limit above
-- which the measure is a problem (the resolve threshold while firing), the minimum of jobs and
-- whether it is critical; alerts: the firing ones, as lists of objects. paused, down: pauses
-- (job_type * for all) and open circuit breakers, as lists of objects. held_models: rate-limited
-- models. last_hour_*: jobs that ended in the last hour, which starts on a full minute; wait (due
-- to start) and run are means; failure_share is failed / (completed + failed). live_before: live
-- jobs at the start of that hour. usual_*: the same hour of the previous seven days, or as many as
-- there are, from the rollup; null if none. The two clock hours that the last hour overlaps are
-- weighted by their share.
with barred as materialized (
    select public.barred_job_types() as types
), hour as materialized (
    select
        date_trunc('hour', now() - interval '1 hour', 'UTC') as first,
        date_trunc('hour', now(), 'UTC') as second,
        extract(epoch from now() - date_trunc('hour', now(), 'UTC'))::double precision / 3600 as second_share
), days as materialized (
    select day
    from hour, public.rollup_state s, generate_series(1, 7) as number
    cross join lateral (select number * interval '24 hours' as day) d
    where hour.first - day > (select min(r.hour) from public.job_rollup r)
      and hour.second + interval '1 hour' - day <= s.folded_until
)
select
    pending.*,
    processing.processing,
    (select count(*) from public.stuck_jobs) as stuck,
    workers.*,
    (
        select coalesce(
            jsonb_agg(jsonb_build_object(
                'job_type', job_type,
                'by', paused_by,
                'seconds', extract(epoch from now() - paused_at),
                'reason', reason
            ) order by job_type), '[]'
        )
        from public.queue_pauses
    ) as paused,
    (
        select coalesce(
            jsonb_agg(jsonb_build_object(
                'provider', provider,
                'seconds', extract(epoch from now() - opened_at),
                'reason', reason
            ) order by opened_at), '[]'
        )
        from public.provider_breakers where open_until is not null
    ) as down,
    array(select model_id from public.model_holds where held_until > now() order by model_id) as held_models,
    (
        select jsonb_object_agg(r.rule, jsonb_build_object(
            'limit', case
                when exists (
                    select from public.alerts a
                    where a.rule = r.rule and a.fired_at is not null and a.resolved_at is null
                ) then r.resolve_at
                else r.threshold
            end,
            'minimum', r.minimum_jobs,
            'critical', r.severity = 'critical'
        ))
        from public.alert_rules r
    ) as rules,
    (
        select coalesce(jsonb_agg(to_jsonb(a) order by a.severity, a.fired_at), '[]')
        from public.alerts a where a.fired_at is not null and a.resolved_at is null
    ) as alerts,
    extract(epoch from now() - greatest(
        (select max(last_seen_at) from public.workers where kind in ('worker', 'process-jobs')),
        (select began_at from public.alert_watch)
    ))::double precision as worker_seen_seconds,
    last_hour.*,
    pending + processing + last_hour_ended - last_hour_arrived as live_before,
    extract(epoch from now() - (
        select max(q.completed_at)
        from public.job_queue q
        where q.completed_at >= last_completed.since
          and q.completed_at < last_completed.until
          and q.status = 'completed'
          and q.status in ('completed', 'failed', 'cancelled')
    ))::double precision as last_completion_seconds,
    last_hour_failed / nullif(last_hour_completed + last_hour_failed, 0)::double precision as last_hour_failure_share,
    usual.*,
    usual_failed / nullif(usual_completed + usual_failed, 0) as usual_failure_share
from (
    select
        count(*) as pending,
        count(*) filter (where attempts > 0) as retrying,
        count(*) filter (where scheduled_at <= now() and not held) as due,
        extract(epoch from now() - min(scheduled_at) filter (where not held))::double precision as oldest_due_seconds,
        extract(epoch from now() - min(scheduled_at))::double precision as oldest_pending_seconds
    from public.job_queue
    cross join barred
    cross join lateral (select job_type = any (barred.types) or '*' = any (barred.types) as held) h
    where status = 'pending'
) pending
cross join (
    select count(*) as processing from public.job_queue where status = 'processing'
) processing
cross join (
    -- A recent call of process-jobs counts as a worker: a cron schedule calls it every minute.
    select count(*) as workers_alive, coalesce(sum(concurrency), 0) as slots
    from public.workers
    where (stopped_at is null and last_seen_at > now() - interval '1 minute')
       or (kind = 'process-jobs' and last_seen_at > now() - interval '2 minutes')
) workers
cross join (
    select
        coalesce(sum(jobs), 0)::bigint as last_hour_ended,
        coalesce(sum(jobs) filter (where status = 'completed'), 0)::bigint as last_hour_completed,
        coalesce(sum(jobs) filter (where status = 'failed'), 0)::bigint as last_hour_failed,
        (sum(wait_us) / 1000000 / nullif(sum(waits), 0))::double precision as last_hour_wait_seconds,
        (sum(run_us) / 1000000 / nullif(sum(runs), 0))::double precision as last_hour_run_seconds,
        max(minute) filter (where status = 'completed') as last_completed_minute
    from public.recent_jobs(now() - interval '1 hour')
) last_hour
cross join (
    select coalesce(sum(jobs), 0)::bigint as last_hour_arrived from public.recent_arrivals(now() - interval '1 hour')
) arrived
cross join lateral (
    select
        coalesce(last_completed_minute, hour) as since,
        coalesce(last_completed_minute + interval '1 minute', hour + interval '1 hour') as until
    from (select) as one
    left join lateral (
        select r.hour from public.job_rollup r
        where last_completed_minute is null and r.status = 'completed' and not r.purged
        order by r.hour desc limit 1
    ) r on true
) last_completed
cross join (
    select
        coalesce(sum(jobs * share) filter (where status = 'completed'), 0) / (select nullif(count(*), 0) from days) as usual_completed,
        coalesce(sum(jobs * share) filter (where status = 'failed'), 0) / (select nullif(count(*), 0) from days) as usual_failed,
        sum(wait_us * share) / 1000000 / nullif(sum(waits * share), 0) as usual_wait_seconds,
        sum(run_us * share) / 1000000 / nullif(sum(runs * share), 0) as usual_run_seconds
    from days
    cross join hour
    cross join lateral (
        values (hour.first - day, 1 - hour.second_share), (hour.second - day, hour.second_share)
    ) as clock (hour, share)
    join public.job_rollup r on r.hour = clock.hour
) usual;

-- name: hours
-- The last 24 full hours (UTC), oldest first. live: jobs pending or running at the end of the hour;
-- completed, failed: jobs that ended in it; failure_share: failed / (completed + failed);
-- wait_seconds, run_seconds: means; these three are null without jobs.
with hours as materialized (
    select date_trunc('hour', now(), 'UTC') - number * interval '1 hour' as hour from generate_series(0, 24) as number
), ended as materialized (
    select
        bucket as hour,
        sum(jobs) as jobs,
        sum(jobs) filter (where status = 'completed') as completed,
        sum(jobs) filter (where status = 'failed') as failed,
        (sum(wait_us) / 1000000 / nullif(sum(waits), 0))::double precision as wait_seconds,
        (sum(run_us) / 1000000 / nullif(sum(runs), 0))::double precision as run_seconds
    from public.job_stats_parts((select min(hour) from hours), now(), 'hour')
    group by bucket
), arrived as materialized (
    select hour, sum(jobs) as jobs
    from public.arrival_stats((select min(hour) from hours), now())
    group by hour
)
select
    hour,
    (live - coalesce(sum(coalesce(arrived.jobs, 0) - coalesce(ended.jobs, 0)) over later, 0))::bigint as live,
    coalesce(ended.completed, 0)::bigint as completed,
    coalesce(ended.failed, 0)::bigint as failed,
    (coalesce(ended.failed, 0) / nullif(coalesce(ended.completed, 0) + coalesce(ended.failed, 0), 0))::double precision as failure_share,
    ended.wait_seconds,
    ended.run_seconds
from hours
cross join (
    select
        (select count(*) from public.job_queue where status = 'pending')
        + (select count(*) from public.job_queue where status = 'processing') as live
) now
left join ended using (hour)
left join arrived using (hour)
window later as (order by hour desc rows between unbounded preceding and 1 preceding)
order by hour
limit 24;

-- name: health
-- By type and status: live jobs now, and jobs that ended in the last 24 full hours or the current
-- one. Columns: job_type, status, count, avg_seconds (mean run, finished jobs only), oldest, newest
-- (timestamptz of creation). At most 200 rows, the most jobs first.
select *
from (
    select job_type, status, count(*) as count, null::double precision as avg_seconds, min(created_at) as oldest, max(created_at) as newest
    from public.job_queue where status = 'pending' group by job_type, status
    union all
    select job_type, status, count(*), null, min(created_at), max(created_at)
    from public.job_queue where status = 'processing' group by job_type, status
    union all
    select
        job_type, status, sum(jobs)::bigint, (sum(run_us) / 1000000 / nullif(sum(runs), 0))::double precision,
        min(oldest), max(newest)
    from public.job_stats_parts(date_trunc('hour', now(), 'UTC') - interval '24 hours', now(), 'all')
    group by job_type, status
) jobs
order by
    sum(count) over (partition by job_type) desc, job_type,
    array_position(array['pending', 'processing', 'completed', 'failed', 'cancelled'], status)
limit 200;

-- name: has_sample_data$
-- Whether sample history was loaded. For the embedded database only, where users are few.
select exists (select from auth.users where email = 'sample-user-01@example.invalid');

-- name: first_look$
-- Which welcome to show: sample while the newest generation is sample history, empty while no job
-- has ended and no generation was requested, null afterwards.
select case
    when newest.source = 'sample' then 'sample'
    when newest.source is null and not exists (select from public.job_rollup) then 'empty'
end
from (select) as one
left join lateral (
    select g.source from public.image_generations g order by g.created_at desc limit 1
) newest on true;
