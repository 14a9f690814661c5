-- Overview views: the state of the queue now, and its last 24 hours.

select public.set_aside_existing('queue_state');
create view public.queue_state with (security_invoker = true) as
with barred as materialized (
    select
        array(select p.job_type from public.queue_pauses p) as types,
        array(
            select t.job_type from public.job_types t join public.provider_breakers b using (provider)
            where b.open_until is not null
        ) as down_types,
        array(select model_id from public.model_servers) as own,
        public.down_models() as down,
        array(select model_id from public.model_holds where held_until > now() and not busy order by model_id) as models
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
), by_type as materialized (
    select
        job_type, paused,
        count(*) as pending,
        count(*) filter (where attempts > 0) as retrying,
        count(*) filter (where scheduled_at <= now() and not held) as due,
        min(scheduled_at) filter (where not held) as oldest_due,
        count(*) filter (where scheduled_at <= now() and held) as rate_limited,
        min(scheduled_at) filter (where held) as oldest_rate_limited,
        min(scheduled_at) as oldest
    from public.job_queue
    cross join barred
    cross join lateral (
        select
            job_type = any (barred.types) or '*' = any (barred.types)
            or (cardinality(barred.down) > 0 and coalesce(left(payload ->> 'model_id', 200) = any (barred.down), false))
            -- The provider of a type does not count for models with a server of their own.
            or (job_type = any (barred.down_types) and coalesce(left(payload ->> 'model_id', 200) <> all (barred.own), true)) as paused,
            -- As model_of does, whose call would cost more than all else here.
            cardinality(barred.models) > 0 and coalesce(left(payload ->> 'model_id', 200) = any (barred.models), false) as held
    ) b
    where status = 'pending'
    group by job_type, paused
)
select
    pending.*,
    processing.processing,
    stuck.*,
    workers.*,
    (
        select coalesce(jsonb_agg(to_jsonb(u) order by u.seconds desc), '[]')
        from (
            select t.job_type, t.job_type <> all (public.barred_job_types()) as expected, t.due,
                   extract(epoch from now() - t.oldest_due) as seconds
            from by_type t
            where t.due > 0 and not t.paused and workers.workers_alive > 0
              and not exists (select from public.live_workers w where t.job_type = any (w.job_types))
            order by t.oldest_due
            limit 20
        ) u
    ) as unhandled,
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
                'retry_seconds', case when not probing then extract(epoch from open_until - now()) end,
                'reason', reason
            ) order by opened_at), '[]'
        )
        from public.provider_breakers where open_until is not null
    ) as down,
    (select models from barred) as held_models,
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
    extract(epoch from now() - public.worker_seen_at())::double precision as worker_seen_seconds,
    last_hour.*,
    (select t.p95 from public.recent_times() t where t.kind = 'wait') as wait_p95,
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
        coalesce(sum(pending), 0)::bigint as pending,
        coalesce(sum(retrying), 0)::bigint as retrying,
        coalesce(sum(due) filter (where not paused and handled), 0)::bigint as due,
        extract(
            epoch from now() - min(oldest_due) filter (where not paused and handled)
        )::double precision as oldest_due_seconds,
        coalesce(sum(rate_limited) filter (where not paused), 0)::bigint as rate_limited,
        extract(
            epoch from now() - min(oldest_rate_limited) filter (where not paused)
        )::double precision as oldest_rate_limited_seconds,
        extract(epoch from now() - min(oldest))::double precision as oldest_pending_seconds
    from by_type
    -- One old job that nobody runs must not hide that those of other types wait.
    cross join lateral (
        select not exists (select from public.live_workers)
            or exists (select from public.live_workers w where by_type.job_type = any (w.job_types)) as handled
    ) h
) pending
cross join (
    select count(*) as processing from public.job_queue where status = 'processing'
) processing
cross join (
    select count(*) as stuck, extract(epoch from now() - min(last_heartbeat_at))::double precision as stuck_seconds
    from public.stuck_jobs
) stuck
cross join (
    select count(*) as workers_alive, coalesce(sum(concurrency), 0) as slots from public.live_workers
) workers
cross join (
    select
        coalesce(sum(jobs), 0)::bigint as last_hour_ended,
        coalesce(sum(jobs) filter (where status = 'completed'), 0)::bigint as last_hour_completed,
        coalesce(sum(jobs) filter (where status = 'failed'), 0)::bigint as last_hour_failed,
        coalesce(sum(jobs) filter (where status = 'refused'), 0)::bigint as last_hour_refused,
        max(minute) filter (where status = 'completed') as last_completed_minute
    from public.recent_jobs(now() - interval '1 hour')
) last_hour
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
        public.histogram_percentile(sum(wait_histogram), 0.95) as usual_wait_p95
    from days
    cross join hour
    cross join lateral (
        values (hour.first - day, 1 - hour.second_share), (hour.second - day, hour.second_share)
    ) as clock (hour, share)
    join public.job_rollup r on r.hour = clock.hour
) usual;
comment on view public.queue_state is
'What is the state of the queue now? One row. The last hour starts on a full minute; "usual" is the mean of the same hour on the previous seven days, or as many as there are, null without any.

- pending: pending jobs
- retrying: of these, failed before
- due: of these, past their scheduled time and claimable: neither paused nor behind an open circuit breaker, nor of a rate-limited model, nor unhandled
- oldest_due_seconds: longest wait of the due ones, in seconds; null if none
- rate_limited: past their scheduled time and claimable but for the rate limit of their model
- oldest_rate_limited_seconds: longest wait of these, in seconds; null if none
- oldest_pending_seconds: longest wait of a pending job past its scheduled time, in seconds; negative until the first is due
- processing: running jobs
- stuck: stuck jobs (stuck_jobs)
- stuck_seconds: longest time since the last heartbeat of one of these; null if none
- workers_alive: workers alive (live_workers)
- slots: jobs that they run at once
- unhandled: job types with due jobs that no live worker runs (JSON list of job_type; expected: false for one that users may enqueue and no worker of the last day runs; due jobs; seconds that the oldest has waited), the 20 that wait longest; empty without workers
- paused: pauses (JSON list of job_type, * for all; by; seconds; reason)
- down: open circuit breakers (JSON list of provider; seconds since it opened; retry_seconds until the next try, null during one; reason)
- held_models: rate-limited models (list of ids)
- rules: alert rules by name (JSON: limit, above which the measure is a problem; minimum of jobs; critical)
- alerts: firing alerts (JSON list, columns as in the table alerts)
- worker_seen_seconds: seconds since the last heartbeat of any worker, or since alerting began
- last_hour_ended: jobs that ended in the last hour
- last_hour_completed: of these, completed
- last_hour_failed: of these, failed
- last_hour_refused: of these, refused by a safety filter or the prompt check; not among the failed
- last_completed_minute: minute of the last completion in the last hour; null if none
- wait_p95: 95th percentile of the wait of the jobs that ended in the last 15 minutes, in seconds, as recent_times; null if none
- last_completion_seconds: seconds since a job last completed; null if none did
- last_hour_failure_share: failed jobs / (completed + failed) in the last hour, 0 to 1; null if none
- usual_completed: usual number of completed jobs
- usual_failed: usual number of failed jobs
- usual_wait_p95: 95th percentile of the wait in both clock hours that the last hour touches, in seconds, within 10%
- usual_failure_share: usual failed jobs / (completed + failed), 0 to 1

Cost: the live jobs by their partial indexes, an hour of the rollups by minute, fourteen hours of the hourly rollup, small tables, up to 5,000 jobs that ended in the last 15 minutes, and the jobs that ended since the last fold.';

select public.set_aside_existing('queue_hours');
create view public.queue_hours with (security_invoker = true) as
with hours as materialized (
    select date_trunc('hour', now(), 'UTC') - number * interval '1 hour' as hour from generate_series(1, 24) as number
), ended as materialized (
    select
        bucket as hour,
        sum(jobs) filter (where status = 'completed') as completed,
        sum(jobs) filter (where status = 'failed') as failed,
        public.histogram_percentile(sum(wait_histogram), 0.95) as wait_p95
    from public.job_stats_parts((select min(hour) from hours), date_trunc('hour', now(), 'UTC'), 'hour')
    group by bucket
), sampled as materialized (
    select date_trunc('hour', minute, 'UTC') as hour, max(pending) as pending, max(processing) as processing
    from public.queue_samples where minute >= (select min(hour) from hours)
    group by 1
)
select
    hour,
    sampled.pending,
    sampled.processing,
    coalesce(ended.completed, 0)::bigint as completed,
    coalesce(ended.failed, 0)::bigint as failed,
    (coalesce(ended.failed, 0) / nullif(coalesce(ended.completed, 0) + coalesce(ended.failed, 0), 0))::double precision as failure_share,
    ended.wait_p95
from hours
left join ended using (hour)
left join sampled using (hour)
order by hour;
comment on view public.queue_hours is
'How did the queue do in each of the last 24 full hours (UTC)? Oldest first; purged jobs included.

- hour: start of the hour
- pending: most pending jobs in it, sampled every minute; null if never sampled
- processing: most running jobs in it, likewise
- completed: jobs completed in it
- failed: jobs failed in it
- failure_share: failed / (completed + failed), 0 to 1; null if none
- wait_p95: 95th percentile of the wait of the jobs that ended in it, from due to start, in seconds, within 10%; null if none

Cost: a day of the hourly rollup and of the samples, and the jobs that ended since the last fold.';

select public.set_aside_existing('queue_quarters');
create view public.queue_quarters with (security_invoker = true) as
with span as materialized (
    select date_bin('15 minutes', now() - interval '23 hours 45 minutes', 'epoch') as since
), ended as materialized (
    select
        date_bin('15 minutes', minute, 'epoch') as at,
        sum(jobs) filter (where status = 'completed') as completed,
        sum(jobs) filter (where status = 'failed') as failed,
        sum(jobs) filter (where status = 'refused') as refused
    from public.recent_jobs((select since from span))
    group by 1
), arrived as materialized (
    select date_bin('15 minutes', minute, 'epoch') as at, sum(jobs) as arrived
    from public.recent_arrivals((select since from span))
    group by 1
), sampled as materialized (
    select date_bin('15 minutes', minute, 'epoch') as at, max(pending + processing) as depth
    from public.queue_samples where minute >= (select since from span)
    group by 1
)
select
    at,
    coalesce(arrived, 0)::bigint as arrived,
    coalesce(completed, 0)::bigint as completed,
    coalesce(failed, 0)::bigint as failed,
    coalesce(refused, 0)::bigint as refused,
    depth
from span
cross join generate_series(since, now(), interval '15 minutes') as at
left join arrived using (at)
left join ended using (at)
left join sampled using (at)
order by at;
comment on view public.queue_quarters is
'How many jobs arrived and ended in each quarter of an hour of the last 24 hours, and how long was the queue? Oldest first, the current one included; without purged jobs.

- at: start of the quarter of an hour
- arrived: jobs created in it
- completed: jobs completed in it
- failed: jobs failed in it
- refused: jobs refused in it by a safety filter or the prompt check; not among the failed
- depth: most jobs pending or running in it, sampled every minute; null if never sampled

Cost: a day of the rollups by minute and of the samples, the live jobs by their partial indexes, and the jobs that ended since the last fold.';
