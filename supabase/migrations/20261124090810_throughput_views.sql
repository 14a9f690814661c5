-- Throughput views: arrivals, ends, queue length, wait and run times by minute, hour or day.
--
-- In each function p_from and p_to bound the range, rounded outward to whole buckets but never past now;
-- p_to null: up to now. The functions here and in the next files keep one plan: planning each call would take
-- longer than running it.

create function public.throughput(p_from timestamptz, p_to timestamptz, p_bucket text, p_by text)
returns table (at timestamptz, place int, name text, jobs bigint)
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan
    set jit = off set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_since timestamptz;
    v_until timestamptz;
begin
    if p_by is null or p_by not in ('status', 'type', 'model') then
        raise exception 'by is %: choose status, type or model', p_by using errcode = '22023';
    end if;
    select b.since, b.until into v_since, v_until from public.whole_buckets(p_from, p_to, p_bucket) b;
    return query
    with counts as materialized (
        select
            p.bucket as at, sum(p.jobs) as jobs,
            case p_by when 'status' then p.status when 'type' then p.job_type when 'model' then p.model_id end as name
        from public.job_stats_parts(v_since, v_until, p_bucket) p
        where p_bucket <> 'minute'
        group by 1, 3
        union all
        select
            date_bin('1 minute', q.completed_at, 'epoch'), count(*),
            case p_by when 'status' then case when q.status = 'failed' then public.failure_outcome(q.error_details) else q.status end
                      when 'type' then q.job_type
                      when 'model' then coalesce(q.payload ->> 'model_id', '') end
        from public.job_queue q
        where p_bucket = 'minute'
          and q.status in ('completed', 'failed', 'cancelled')
          and q.completed_at >= v_since and q.completed_at < least(v_until, v_since + interval '6 hours 1 minute')
        group by 1, 3
    ), largest as (
        select name, row_number() over (order by sum(jobs) desc, name) as place from counts group by name
    )
    select c.at, least(l.place, 9)::int, case when l.place <= 8 then l.name end, sum(c.jobs)::bigint
    from counts c join largest l using (name)
    group by 1, 2, 3
    order by 2, 1;
end;
$$;
comment on function public.throughput is
'How many jobs ended in each minute, hour or day of a range, by status, type or model?

Parameters: p_from and p_to bound the range (p_to null: up to now), rounded outward to whole buckets; p_bucket is minute, hour or day (UTC); p_by is status, type or model. By minute at most the first six hours are returned, without purged jobs. Empty buckets are left out.

- at: start of the bucket
- place: 1 to 8 for the eight groups with the most jobs in the range, 9 for all others together
- name: of the group, of statuses also refused (by a safety filter or the prompt check, not among the failed); null for place 9
- jobs: jobs that ended in the bucket

Cost: by hour and day the rollup rows of the range and the jobs that ended since the last fold; by minute each job of the range, by index.';

create function public.job_times(p_from timestamptz, p_to timestamptz, p_bucket text)
returns table (
    at timestamptz, run_p50 double precision, run_p95 double precision, run_p99 double precision,
    wait_p50 double precision, wait_p95 double precision, wait_p99 double precision
)
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan
    set jit = off set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_since timestamptz;
    v_until timestamptz;
begin
    select b.since, b.until into v_since, v_until from public.whole_buckets(p_from, p_to, p_bucket) b;
    if p_bucket = 'minute' then
        v_until := least(v_until, v_since + interval '1 hour 1 minute');
    end if;
    return query
    with times as (
        select
            p.bucket as at,
            public.histogram_percentiles(
                sum(p.run_histogram) filter (where p.status = 'completed'), '{0.5, 0.95, 0.99}'
            ) as run,
            public.histogram_percentiles(sum(p.wait_histogram), '{0.5, 0.95, 0.99}') as wait
        from public.job_stats_parts(v_since, v_until, p_bucket) p
        where p_bucket <> 'minute'
        group by p.bucket
        union all
        select
            m.at,
            percentile_disc(array[0.5, 0.95, 0.99]) within group (order by m.run),
            percentile_disc(array[0.5, 0.95, 0.99]) within group (order by m.wait)
        from (
            select
                date_bin('1 minute', q.completed_at, 'epoch') as at,
                case when q.status = 'completed'
                    then extract(epoch from q.completed_at - q.started_at)::double precision end as run,
                case when q.started_at is not null
                    then greatest(extract(epoch from q.started_at - q.scheduled_at)::double precision, 0) end as wait
            from public.job_queue q
            where p_bucket = 'minute'
              and q.status in ('completed', 'failed', 'cancelled')
              and q.completed_at >= v_since and q.completed_at < v_until
        ) m
        group by m.at
    )
    select at, t.run[1], t.run[2], t.run[3], t.wait[1], t.wait[2], t.wait[3]
    from generate_series(
        v_since, v_until - interval '1 microsecond',
        case p_bucket when 'day' then interval '24 hours' else ('1 ' || p_bucket)::interval end
    ) as at
    left join times t using (at)
    order by at;
end;
$$;
comment on function public.job_times is
'How long did jobs wait and run in each minute, hour or day of a range?

Parameters: p_from and p_to bound the range (p_to null: up to now), rounded outward to whole buckets; p_bucket is minute, hour or day (UTC). By minute at most the first hour is returned, without purged jobs. Percentiles are within 10%, by minute exact; null without jobs.

- at: start of the bucket
- run_p50: median run time of completed jobs, from the start of the last attempt to its end, in seconds
- run_p95: 95th percentile of it, in seconds
- run_p99: 99th percentile of it, in seconds
- wait_p50: median wait of started jobs, from due to the start of the last attempt, in seconds
- wait_p95: 95th percentile of it, in seconds
- wait_p99: 99th percentile of it, in seconds

Cost: by hour and day the rollup rows of the range and the jobs that ended since the last fold; by minute each job of the hour, by index.';

-- Not a kept plan: queue_flow inherits the setting, and which index is best for it depends on p_from.
create function public.queue_lengths(p_from timestamptz, p_to timestamptz, p_bucket text)
returns table (at timestamptz, arrivals bigint, ends bigint, busiest bigint, queue bigint)
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan
    set jit = off set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_since timestamptz;
    v_until timestamptz;
    v_live  constant bigint := (select coalesce(sum(l.count), 0) from public.live_jobs l);
begin
    if p_bucket = 'minute' then
        if p_to is not null then
            raise exception 'minute buckets always end now: leave p_to null' using errcode = '22023';
        end if;
        v_since := date_trunc('minute', greatest(p_from, now() - interval '6 hours'), 'UTC');
        return query
        with arrivals as (
            select a.minute, sum(a.jobs) as jobs from public.recent_arrivals(v_since) a group by 1
        ), ends as (
            select e.minute, sum(e.jobs) as jobs from public.recent_jobs(v_since) e group by 1
        ), minutes as (
            select minute, coalesce(a.jobs, 0)::bigint as arrivals, coalesce(e.jobs, 0)::bigint as ends
            from generate_series(v_since, now(), interval '1 minute') as minute
            left join arrivals a using (minute)
            left join ends e using (minute)
        )
        select minute as at, arrivals, ends, null::bigint, (s.pending + s.processing)::bigint
        from minutes left join public.queue_samples s using (minute)
        union all
        select now(), null, null, null, v_live
        order by at;
        return;
    end if;
    select b.since, b.until into v_since, v_until from public.whole_buckets(p_from, p_to, p_bucket) b;
    return query
    with flow as materialized (
        select f.hour, f.arrivals, f.ends from public.queue_flow(v_since) f
    ), sampled as materialized (
        select date_trunc(p_bucket, s.minute, 'UTC') as at, max(s.pending + s.processing)::bigint as queue
        from public.queue_samples s where s.minute >= v_since and s.minute < v_until
        group by 1
    ), hours as (
        select hour, coalesce(f.arrivals, 0) as arrivals, coalesce(f.ends, 0) as ends
        from generate_series(v_since, v_until - interval '1 microsecond', interval '1 hour') as hour
        left join flow f using (hour)
    ), buckets as (
        select
            date_trunc(p_bucket, hour, 'UTC') as at, sum(arrivals)::bigint as arrivals, sum(ends)::bigint as ends,
            max(arrivals)::bigint as busiest
        from hours group by 1
    )
    select b.at, b.arrivals, b.ends, b.busiest, s.queue
    from buckets b left join sampled s using (at)
    union all
    select now(), null, null, null, v_live where p_to is null
    order by at;
end;
$$;
comment on function public.queue_lengths is
'How many jobs arrived and ended in each hour or day of a range, and how long was the queue?

Parameters: p_from and p_to bound the range (p_to null: up to now, with one more row for now), rounded outward to whole buckets; p_bucket is hour or day (UTC), or minute for at most the last six hours. Purged jobs included, except by minute.

- at: start of the bucket; now in the last row of a range that ends now
- arrivals: jobs created in the bucket
- ends: jobs that ended in it
- busiest: most arrivals in any hour of the bucket; null by minute
- queue: most jobs pending or running in the bucket, sampled every minute; null if never sampled

Cost: by hour and day the live jobs by index, the samples of the range, the rollup rows since p_from (by minute or by hour) and the jobs that ended since the last fold.';

create function public.purged_jobs(p_from timestamptz, p_to timestamptz) returns bigint
language sql stable set search_path = ''
as $$
    select coalesce(sum(r.jobs), 0)::bigint
    from public.whole_buckets(p_from, p_to, 'hour') s
    join public.job_rollup r on r.purged and r.hour >= s.since and r.hour < s.until;
$$;
comment on function public.purged_jobs is
'How many of the jobs that ended in the hours of a range were purged? Figures by minute exclude them.

Parameters: p_from and p_to bound the range (p_to null: up to now), rounded outward to whole hours (UTC).

Cost: the hourly rollup rows of the range.';

select public.set_aside_existing('throughput_hourly');
create view public.throughput_hourly with (security_invoker = true) as
select
    q.at, q.arrivals, q.ends as ended, coalesce(e.completed, 0) as completed, coalesce(e.failed, 0) as failed,
    coalesce(e.refused, 0) as refused, coalesce(e.cancelled, 0) as cancelled, q.queue,
    t.run_p50, t.run_p95, t.run_p99, t.wait_p50, t.wait_p95, t.wait_p99
from public.queue_lengths(now() - interval '24 hours', now(), 'hour') q
left join (
    select
        at,
        sum(jobs) filter (where name = 'completed')::bigint as completed,
        sum(jobs) filter (where name = 'failed')::bigint as failed,
        sum(jobs) filter (where name = 'refused')::bigint as refused,
        sum(jobs) filter (where name = 'cancelled')::bigint as cancelled
    from public.throughput(now() - interval '24 hours', now(), 'hour', 'status')
    group by at
) e using (at)
left join public.job_times(now() - interval '24 hours', now(), 'hour') t using (at)
order by q.at;
comment on view public.throughput_hourly is
'What did the queue do in each hour of the last 24? Hours of UTC, the current one included; purged jobs included. Other ranges, and by type or model: the functions throughput, queue_lengths and job_times.

- at: start of the hour
- arrivals: jobs created in it
- ended: jobs that ended in it
- completed: of these, completed
- failed: of these, failed
- refused: of these, refused by a safety filter or the prompt check; not among the failed
- cancelled: of these, cancelled
- queue: most jobs pending or running in the hour, sampled every minute; null if never sampled
- run_p50: median run time of completed jobs, in seconds, within 10%; null without jobs
- run_p95: 95th percentile of it, in seconds
- run_p99: 99th percentile of it, in seconds
- wait_p50: median wait of started jobs, from due to start, in seconds
- wait_p95: 95th percentile of it, in seconds
- wait_p99: 99th percentile of it, in seconds

Cost: three reads of a day of the hourly rollups, the live jobs, and the jobs that ended since the last fold.';

select public.set_aside_existing('queue_pace');
create view public.queue_pace with (security_invoker = true) as
select
    l.due, l.processing, l.stuck, n.jobs as arrived, e.jobs as ended, e.run_seconds, m.attempts,
    a.workers, a.slots
from (
    select
        coalesce(sum(jobs), 0)::bigint as jobs,
        (sum(run_us) / 1000000 / nullif(sum(runs), 0))::double precision as run_seconds
    from public.recent_jobs(now() - interval '1 hour')
) e
cross join (
    select avg(attempts)::double precision as attempts
    from (
        select q.attempts
        from public.job_queue q
        where q.status in ('completed', 'failed', 'cancelled')
          and q.completed_at >= date_trunc('minute', now() - interval '1 hour', 'UTC')
          and q.started_at is not null
        order by q.completed_at desc
        limit 1000
    ) newest
) m
cross join (
    select coalesce(sum(jobs), 0)::bigint as jobs from public.recent_arrivals(now() - interval '1 hour')
) n
cross join (
    select
        (select count(*) from public.job_queue where status = 'pending' and scheduled_at <= now()) as due,
        (select count(*) from public.job_queue where status = 'processing') as processing,
        (select count(*) from public.stuck_jobs) as stuck
) l
cross join (
    select count(*) as workers, coalesce(sum(concurrency), 0)::bigint as slots from public.live_workers
) a;
comment on view public.queue_pace is
'How fast does the queue move now? One row; its hour starts on a full minute.

- due: pending jobs past their scheduled time
- processing: running jobs, stuck ones included
- stuck: those of them without a heartbeat (stuck_jobs)
- arrived: jobs created in the last hour
- ended: jobs that ended in the last hour
- run_seconds: mean run time of these, in seconds; null if none was started
- attempts: mean number of attempts of the newest thousand of these; null if none
- workers: workers alive (live_workers)
- slots: jobs that they run at once

Cost: the live jobs by their partial indexes, an hour of the rollups by minute, and up to a thousand ended jobs by index.';
