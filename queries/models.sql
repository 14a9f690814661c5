-- Performance of each model, from the rollups and the jobs not yet folded.
--
-- A range is :start (timestamptz; null: ends now) and :length (interval), rounded outward to whole
-- hours or days (:bucket); the previous range is the :length before it. Run times cover completed
-- jobs, waits (from due to start) all started jobs; percentiles are within 5%%. A job whose payload
-- names no model has the model ''.

-- name: models
-- The :most models with the most ended jobs. Columns: model_id; jobs, completed, failed; usage:
-- share of all jobs; run_total, run_mean, run_min, run_p50, run_p95, run_p99, run_max and
-- wait_mean, wait_p50, wait_p95, wait_p99, wait_max in seconds, null if none; before_completed,
-- before_failed, before_p50 (run time): of the previous range; trend: p50 run time in up to thirty
-- steps of whole hours or days (:step), empty steps left out.
with span as (
    select since, until, since - :length::interval as before from public.bucket_span(:start, :length, :bucket)
), parts as materialized (
    select p.* from span s cross join lateral public.job_stats_parts(s.since, s.until, :step) p
), now as (
    select
        model_id,
        sum(jobs)::bigint as jobs,
        coalesce(sum(jobs) filter (where status = 'completed'), 0)::bigint as completed,
        coalesce(sum(jobs) filter (where status = 'failed'), 0)::bigint as failed,
        (sum(jobs) / sum(sum(jobs)) over ())::double precision as usage,
        (sum(run_us) filter (where status = 'completed') / 1e6)::double precision as run_total,
        sum(runs) filter (where status = 'completed') as runs,
        (min(run_us_min) filter (where status = 'completed') / 1e6)::double precision as run_min,
        (max(run_us_max) filter (where status = 'completed') / 1e6)::double precision as run_max,
        public.histogram_percentiles(
            sum(run_histogram) filter (where status = 'completed'), '{0.5, 0.95, 0.99}'
        ) as run,
        (sum(wait_us) / 1e6)::double precision as wait_total,
        sum(waits) as waits,
        (max(wait_us_max) / 1e6)::double precision as wait_max,
        public.histogram_percentiles(sum(wait_histogram), '{0.5, 0.95, 0.99}') as wait
    from parts
    group by model_id
    order by jobs desc, model_id
    limit :most
), before as (
    select
        p.model_id,
        coalesce(sum(p.jobs) filter (where p.status = 'completed'), 0)::bigint as completed,
        coalesce(sum(p.jobs) filter (where p.status = 'failed'), 0)::bigint as failed,
        public.histogram_percentile(sum(p.run_histogram) filter (where p.status = 'completed'), 0.5) as run_p50
    from span s cross join lateral public.job_stats_parts(s.before, s.since, 'all') p
    group by p.model_id
), steps as (
    select
        model_id,
        date_bin(greatest(('1 ' || :step)::interval, :length::interval / 30), bucket, s.since) as at,
        public.histogram_percentile(sum(run_histogram), 0.5) as run_p50
    from parts join now using (model_id) cross join span s
    where status = 'completed'
    group by 1, 2
), trends as (
    select model_id, array_agg(run_p50 order by at) as trend
    from steps where run_p50 is not null group by model_id
)
select
    n.model_id, n.jobs, n.completed, n.failed, n.usage,
    n.run_total, n.run_total / nullif(n.runs, 0)::double precision as run_mean,
    n.run_min, n.run[1] as run_p50, n.run[2] as run_p95, n.run[3] as run_p99, n.run_max,
    n.wait_total / nullif(n.waits, 0)::double precision as wait_mean,
    n.wait[1] as wait_p50, n.wait[2] as wait_p95, n.wait[3] as wait_p99, n.wait_max,
    coalesce(b.completed, 0) as before_completed,
    coalesce(b.failed, 0) as before_failed,
    b.run_p50 as before_p50,
    t.trend
from now n
left join before b using (model_id)
left join trends t using (model_id)
order by n.jobs desc, n.model_id;

-- name: compared^
-- Bounds of the two ranges. Columns: before, since, until.
select since - :length::interval as before, since, until from public.bucket_span(:start, :length, :bucket);

-- name: distribution
-- Histograms of run and wait times of :model (null: all). Columns: what: run or wait; period: now
-- or before; from_seconds, to_seconds: bounds of a bin; jobs; share: of the jobs of that period.
with span as (
    select since, until, since - :length::interval as before from public.bucket_span(:start, :length, :bucket)
), parts as (
    select 'now' as period, p.*
    from span s cross join lateral public.job_stats_parts(s.since, s.until, 'all') p
    union all
    select 'before', p.*
    from span s cross join lateral public.job_stats_parts(s.before, s.since, 'all') p
), histograms as (
    select
        period,
        sum(run_histogram) filter (where status = 'completed') as run,
        sum(wait_histogram) as wait
    from parts
    where :model::text is null or model_id = :model
    group by period
)
select
    h.what, h.period, b.from_seconds, b.to_seconds, b.jobs,
    (b.jobs / sum(b.jobs) over (partition by h.what, h.period))::double precision as share
from (
    select 'run' as what, period, run as histogram from histograms
    union all
    select 'wait', period, wait from histograms
) h
cross join lateral public.histogram_bins(h.histogram) b
order by h.what, h.period, b.from_seconds
limit 2000;

-- name: trend
-- Jobs of :model (null: all) in each hour or day (:step), empty steps included. Columns: at; jobs;
-- failed: share of completed and failed jobs, null if undefined; run_p50, run_p95, run_p99,
-- wait_p50, wait_p95, wait_p99: seconds, null if none.
with span as (
    select since, until from public.bucket_span(:start, :length, :bucket)
), steps as (
    select
        p.bucket as at,
        sum(p.jobs)::bigint as jobs,
        (
            coalesce(sum(p.jobs) filter (where p.status = 'failed'), 0)
            / nullif(sum(p.jobs) filter (where p.status in ('completed', 'failed')), 0)
        )::double precision as failed,
        public.histogram_percentiles(
            sum(p.run_histogram) filter (where p.status = 'completed'), '{0.5, 0.95, 0.99}'
        ) as run,
        public.histogram_percentiles(sum(p.wait_histogram), '{0.5, 0.95, 0.99}') as wait
    from span s cross join lateral public.job_stats_parts(s.since, s.until, :step) p
    where :model::text is null or p.model_id = :model
    group by p.bucket
)
select
    at, coalesce(t.jobs, 0) as jobs, t.failed,
    t.run[1] as run_p50, t.run[2] as run_p95, t.run[3] as run_p99,
    t.wait[1] as wait_p50, t.wait[2] as wait_p95, t.wait[3] as wait_p99
from span s
cross join lateral generate_series(
    date_trunc(:step, s.since, 'UTC'), s.until - interval '1 microsecond',
    case :step when 'day' then interval '24 hours' else interval '1 hour' end
) as at
left join steps t using (at)
order by at
limit 1000;
