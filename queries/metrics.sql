-- What a monitor scrapes, and overall health. Costs as much as counting the pending jobs.

-- name: state^
-- The current state. oldest_due_seconds: longest wait of a claimable job, 0 if none; slots:
-- concurrency of all workers alive; undelivered: pending notifications; evaluated_at: last
-- evaluation of the alerts, in seconds since 1970; predictions_unknown: predictions of the last 24
-- hours of which it could not be found out whether they were started.
select
    (select count(*) from public.job_queue where status = 'pending') as pending,
    (select count(*) from public.job_queue where status = 'processing') as processing,
    (select count(*) from public.stuck_jobs) as stuck,
    coalesce(extract(epoch from now() - public.oldest_due(public.barred_job_types())), 0)::double precision
        as oldest_due_seconds,
    workers.*,
    (
        select count(*) from public.alert_notifications where sent_at is null and given_up_at is null
    ) as undelivered,
    (
        select coalesce(extract(epoch from nullif(evaluated_at, '-infinity')), 0)::double precision
        from public.alert_watch
    ) as evaluated_at,
    (
        select count(*) from public.predictions p
        where p.status = 'unknown' and p.created_at > now() - interval '24 hours'
    ) as predictions_unknown
from (select count(*) as workers, coalesce(sum(concurrency), 0)::int as slots from public.live_workers) workers;

-- name: ended
select job_type, status, jobs from public.ended_totals();

-- name: times
-- kind: wait or run; seconds at three percentiles.
select kind, p50, p95, p99 from public.recent_times();

-- name: barriers
-- What holds jobs back. Columns: kind (provider or job_type), name (* for all job types), active:
-- whether the provider's circuit breaker is open, or the job type paused.
select 'provider' as kind, provider as name, open_until is not null as active from public.provider_breakers
union all
select 'job_type', job_type, true from public.queue_pauses;

-- name: firing
select rule, subject, severity from public.alerts where fired_at is not null and resolved_at is null;

-- name: health^
-- Firing rules, as a list of {rule, severity}, and whether they were evaluated within the last
-- minute.
select
    evaluated_at > clock_timestamp() - interval '1 minute' as known,
    (
        select coalesce(jsonb_agg(distinct jsonb_build_object('rule', rule, 'severity', severity)), '[]')
        from public.alerts where fired_at is not null and resolved_at is null
    ) as firing
from public.alert_watch;
