-- Model views: how often each model ran in a range, how long, and how that compares with the range before.
--
-- In each function p_from and p_to bound the range (p_to null: up to now), rounded outward to whole hours or
-- days (p_bucket). A job whose payload names no model has the model ''. Percentiles are within 10%, mostly within 1%.

create function public.model_timings_between(
    p_from timestamptz, p_to timestamptz, p_bucket text default 'hour', p_step text default 'hour', p_most bigint default 200
) returns table (
    model_id text, jobs bigint, completed bigint, failed bigint, refused bigint, usage double precision,
    run_total double precision, run_mean double precision, run_min double precision,
    run_p50 double precision, run_p95 double precision, run_p99 double precision, run_max double precision,
    wait_mean double precision, wait_p50 double precision, wait_p95 double precision,
    wait_p99 double precision, wait_max double precision,
    before_completed bigint, before_failed bigint, before_p50 double precision, before_p95 double precision,
    trend double precision[]
)
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set jit = off
as $$
#variable_conflict use_column
declare
    v_length constant interval := make_interval(secs => extract(epoch from coalesce(p_to, now()) - p_from)::double precision);
    v_since  timestamptz;
    v_until  timestamptz;
begin
    select b.since, b.until into v_since, v_until from public.whole_buckets(p_from, p_to, p_bucket) b;
    return query
    with parts as materialized (
        select p.* from public.job_stats_parts(v_since, v_until, p_step) p
    ), now as (
        select
            model_id,
            sum(jobs)::bigint as jobs,
            coalesce(sum(jobs) filter (where status = 'completed'), 0)::bigint as completed,
            coalesce(sum(jobs) filter (where status = 'failed'), 0)::bigint as failed,
            coalesce(sum(jobs) filter (where status = 'refused'), 0)::bigint as refused,
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
        limit p_most
    ), before as (
        select
            p.model_id,
            coalesce(sum(p.jobs) filter (where p.status = 'completed'), 0)::bigint as completed,
            coalesce(sum(p.jobs) filter (where p.status = 'failed'), 0)::bigint as failed,
            public.histogram_percentiles(
                sum(p.run_histogram) filter (where p.status = 'completed'), '{0.5, 0.95}'
            ) as run
        from public.job_stats_parts(v_since - v_length, v_since, 'all') p
        group by p.model_id
    ), steps as (
        select
            model_id,
            date_bin(greatest(('1 ' || p_step)::interval, v_length / 30), bucket, v_since) as at,
            public.histogram_percentile(sum(run_histogram), 0.5) as run_p50
        from parts join now using (model_id)
        where status = 'completed'
        group by 1, 2
    ), trends as (
        select model_id, array_agg(run_p50 order by at) as trend
        from steps where run_p50 is not null group by model_id
    )
    select
        n.model_id, n.jobs, n.completed, n.failed, n.refused, n.usage,
        n.run_total, n.run_total / nullif(n.runs, 0)::double precision,
        n.run_min, n.run[1], n.run[2], n.run[3], n.run_max,
        n.wait_total / nullif(n.waits, 0)::double precision,
        n.wait[1], n.wait[2], n.wait[3], n.wait_max,
        coalesce(b.completed, 0), coalesce(b.failed, 0), b.run[1], b.run[2], t.trend
    from now n
    left join before b using (model_id)
    left join trends t using (model_id)
    order by n.jobs desc, n.model_id;
end;
$$;
comment on function public.model_timings_between is
'How often, how fast and how reliably did each model run in a range, compared with the range before?

Parameters: p_from and p_to bound the range (p_to null: up to now), rounded outward to whole buckets; p_bucket is hour or day (UTC); p_step is the finest step of trend, hour or day; p_most is the number of models, the most used first. Times cover the last attempt; they are null without jobs. Purged jobs included.

- model_id: model; empty for jobs that name none
- jobs: jobs that ended in the range
- completed: of these, completed
- failed: of these, failed
- refused: of these, refused by a safety filter or the prompt check; not among the failed
- usage: share of the jobs of all models, 0 to 1
- run_total: run time of the completed jobs together, in seconds
- run_mean: mean run time of completed jobs, in seconds
- run_min: shortest, in seconds
- run_p50: median, in seconds, within 10%
- run_p95: 95th percentile, in seconds, within 10%
- run_p99: 99th percentile, in seconds, within 10%
- run_max: longest, in seconds
- wait_mean: mean wait of started jobs, from due to start, in seconds
- wait_p50: median, in seconds, within 10%
- wait_p95: 95th percentile, in seconds, within 10%
- wait_p99: 99th percentile, in seconds, within 10%
- wait_max: longest, in seconds
- before_completed: jobs completed in the range of the same length before
- before_failed: jobs failed in it
- before_p50: median run time in it, in seconds, within 10%
- before_p95: 95th percentile of the run time in it, in seconds, within 10%
- trend: median run time in up to thirty steps of the range, in seconds (list); empty steps are left out

Cost: the rollup rows of both ranges, by day where p_step is day, and the jobs that ended since the last fold.';

select public.set_aside_existing('model_timings');
create view public.model_timings with (security_invoker = true) as
select * from public.model_timings_between(now() - interval '24 hours', null);
comment on view public.model_timings is
'How often did each model run in the last 24 hours, how long, and how does that compare with the 24 hours before? Starts on a full hour; the 200 most used models. Other ranges: the function.

Columns: as model_timings_between.

Cost: two days of the hourly rollup, and the jobs that ended since the last fold.';

create function public.model_time_distribution(
    p_from timestamptz, p_to timestamptz, p_bucket text default 'hour', p_model text default null
) returns table (
    what text, period text, from_seconds double precision, to_seconds double precision, jobs bigint, share double precision
)
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set jit = off
as $$
#variable_conflict use_column
declare
    v_length constant interval := make_interval(secs => extract(epoch from coalesce(p_to, now()) - p_from)::double precision);
    v_since  timestamptz;
    v_until  timestamptz;
begin
    select b.since, b.until into v_since, v_until from public.whole_buckets(p_from, p_to, p_bucket) b;
    return query
    with parts as (
        select 'now' as period, p.* from public.job_stats_parts(v_since, v_until, 'all') p
        union all
        select 'before', p.* from public.job_stats_parts(v_since - v_length, v_since, 'all') p
    ), histograms as (
        select
            period,
            sum(run_histogram) filter (where status = 'completed') as run,
            sum(wait_histogram) as wait
        from parts
        where p_model is null or model_id = p_model
        group by period
    )
    select
        h.what, h.period, b.from_seconds, b.to_seconds, b.jobs,
        (b.jobs / sum(b.jobs) over (partition by h.what, h.period))::double precision
    from (
        select 'run' as what, period, run as histogram from histograms
        union all
        select 'wait', period, wait from histograms
    ) h
    cross join lateral public.histogram_bins(h.histogram) b
    order by h.what, h.period, b.from_seconds;
end;
$$;
comment on function public.model_time_distribution is
'How are the run and wait times of a model distributed in a range, and in the range before?

Parameters: p_from and p_to bound the range (p_to null: up to now), rounded outward to whole buckets; p_bucket is hour or day (UTC); p_model null: all models. Purged jobs included.

- what: run (completed jobs, start to end) or wait (started jobs, due to start)
- period: now, or before for the range of the same length before
- from_seconds: lower bound of the bin, in seconds
- to_seconds: upper bound of the bin, in seconds; 1.1 times the lower one
- jobs: jobs in the bin; empty bins are left out
- share: of the jobs of that what and period, 0 to 1

Cost: the rollup rows of both ranges, by day where possible, and the jobs that ended since the last fold.';

create function public.model_trend(
    p_from timestamptz, p_to timestamptz, p_bucket text default 'hour', p_step text default 'hour', p_model text default null
) returns table (
    at timestamptz, jobs bigint, failed double precision,
    run_p50 double precision, run_p95 double precision, run_p99 double precision,
    wait_p50 double precision, wait_p95 double precision, wait_p99 double precision
)
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set jit = off
as $$
#variable_conflict use_column
declare
    v_since timestamptz;
    v_until timestamptz;
begin
    select b.since, b.until into v_since, v_until from public.whole_buckets(p_from, p_to, p_bucket) b;
    return query
    with steps as (
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
        from public.job_stats_parts(v_since, v_until, p_step) p
        where p_model is null or p.model_id = p_model
        group by p.bucket
    )
    select
        at, coalesce(t.jobs, 0), t.failed, t.run[1], t.run[2], t.run[3], t.wait[1], t.wait[2], t.wait[3]
    from generate_series(
        date_trunc(p_step, v_since, 'UTC'), v_until - interval '1 microsecond',
        case p_step when 'day' then interval '24 hours' else interval '1 hour' end
    ) as at
    left join steps t using (at)
    order by at;
end;
$$;
comment on function public.model_trend is
'How did a model do in each hour or day of a range?

Parameters: p_from and p_to bound the range (p_to null: up to now), rounded outward to whole buckets; p_bucket and p_step are hour or day (UTC), of the range and of its steps; p_model null: all models. Empty steps are included; purged jobs too.

- at: start of the step
- jobs: jobs that ended in it
- failed: share of the completed and failed jobs that failed, 0 to 1; null if there were none
- run_p50: median run time of completed jobs, in seconds, within 10%; null if none
- run_p95: 95th percentile of it, in seconds
- run_p99: 99th percentile of it, in seconds
- wait_p50: median wait of started jobs, from due to start, in seconds, within 10%; null if none
- wait_p95: 95th percentile of it, in seconds
- wait_p99: 99th percentile of it, in seconds

Cost: the rollup rows of the range, by day where p_step is day, and the jobs that ended since the last fold.';
