-- Throughput, waits and queue length. History from the rollups, the last minutes and live jobs by
-- index.
--
-- A range is :start (timestamptz; null: ends now) and :length (interval), rounded outward to whole
-- buckets. :by is status, type or model. Days are UTC days.

-- name: ended
-- Jobs that ended in each bucket (:bucket hour or day), the largest group first. Columns: at; name:
-- one of the eight largest groups, null for all others; jobs. Empty buckets are left out.
with parts as materialized (
    select
        p.bucket, p.jobs,
        case :by when 'status' then p.status when 'type' then p.job_type when 'model' then p.model_id end as name
    from public.bucket_span(:start, :length, :bucket) s
    cross join lateral public.job_stats_parts(s.since, s.until, :bucket) p
), largest as (
    select name, row_number() over (order by sum(jobs) desc, name) as place from parts group by name
)
select p.bucket as at, case when l.place <= 8 then l.name end as name, sum(p.jobs)::bigint as jobs
from parts p join largest l using (name)
group by p.bucket, least(l.place, 9), 2
order by least(l.place, 9), at
limit 10000;

-- name: ended_by_minute
-- The same by the minute, from the rows, so without purged jobs: the first six hours of the range.
with span as (
    select since, least(until, since + interval '6 hours 1 minute') as until
    from public.bucket_span(:start, :length, 'minute')
), counts as materialized (
    select
        date_bin('1 minute', q.completed_at, 'epoch') as at,
        case :by when 'status' then q.status when 'type' then q.job_type
                 when 'model' then coalesce(q.payload ->> 'model_id', '') end as name,
        count(*) as jobs
    from public.job_queue q
    where q.status in ('completed', 'failed', 'cancelled')
      and q.completed_at >= (select since from span) and q.completed_at < (select until from span)
    group by 1, 2
), largest as (
    select name, row_number() over (order by sum(jobs) desc, name) as place from counts group by name
)
select c.at, case when l.place <= 8 then l.name end as name, sum(c.jobs)::bigint as jobs
from counts c join largest l using (name)
group by c.at, least(l.place, 9), 2
order by least(l.place, 9), at
limit 10000;

-- name: times
-- Percentiles in each bucket (:bucket hour or day), within 5%%, null if none. Columns: at; run_p50,
-- run_p95, run_p99: seconds from start to end of completed jobs; wait_p50, wait_p95, wait_p99:
-- seconds from due to start of all started jobs.
with span as (
    select since, until from public.bucket_span(:start, :length, :bucket)
), times as (
    select
        p.bucket as at,
        public.histogram_percentiles(
            sum(p.run_histogram) filter (where p.status = 'completed'), '{0.5, 0.95, 0.99}'
        ) as run,
        public.histogram_percentiles(sum(p.wait_histogram), '{0.5, 0.95, 0.99}') as wait
    from span s cross join lateral public.job_stats_parts(s.since, s.until, :bucket) p
    group by p.bucket
)
select
    at,
    t.run[1] as run_p50, t.run[2] as run_p95, t.run[3] as run_p99,
    t.wait[1] as wait_p50, t.wait[2] as wait_p95, t.wait[3] as wait_p99
from span s
cross join lateral generate_series(
    s.since, s.until - interval '1 microsecond',
    case :bucket when 'day' then interval '24 hours' else interval '1 hour' end
) as at
left join times t using (at)
order by at
limit 1000;

-- name: times_by_minute
-- The same by the minute, exact, from the rows: the first hour of the range.
with span as (
    select since, least(until, since + interval '1 hour 1 minute') as until
    from public.bucket_span(:start, :length, 'minute')
), ended as (
    select
        date_bin('1 minute', q.completed_at, 'epoch') as at,
        case when q.status = 'completed'
            then extract(epoch from q.completed_at - q.started_at)::double precision end as run,
        case when q.started_at is not null
            then greatest(extract(epoch from q.started_at - q.scheduled_at)::double precision, 0) end as wait
    from public.job_queue q
    where q.status in ('completed', 'failed', 'cancelled')
      and q.completed_at >= (select since from span) and q.completed_at < (select until from span)
), times as (
    select
        at,
        percentile_disc(array[0.5, 0.95, 0.99]) within group (order by run) as run,
        percentile_disc(array[0.5, 0.95, 0.99]) within group (order by wait) as wait
    from ended group by at
)
select
    at,
    t.run[1] as run_p50, t.run[2] as run_p95, t.run[3] as run_p99,
    t.wait[1] as wait_p50, t.wait[2] as wait_p95, t.wait[3] as wait_p99
from span s
cross join lateral generate_series(s.since, s.until - interval '1 microsecond', interval '1 minute') as at
left join times t using (at)
order by at
limit 1000;

-- name: purged$
-- Number of jobs that ended in the hours of this range and were purged: missing from minutes.
select coalesce(sum(r.jobs), 0)::bigint
from public.bucket_span(:start, :length, 'hour') s
join public.job_rollup r on r.purged and r.hour >= s.since and r.hour < s.until;

-- name: flow
-- Arrivals, ends and the queue length in each bucket (:bucket hour or day). Columns: at; arrivals,
-- ends: jobs created and jobs ended in the bucket; busiest: most arrivals in any of its hours;
-- queue: jobs created before the bucket and not ended by its start, computed as the live jobs now,
-- minus later arrivals, plus later ends; for a day, the maximum over the starts of its hours. A
-- range that ends now has one more row for now, with the queue only.
with span as (
    select since, until from public.bucket_span(:start, :length, :bucket)
), live as (
    select
        (select count(*) from public.job_queue where status = 'pending')
        + (select count(*) from public.job_queue where status = 'processing') as jobs
), flow as materialized (
    select f.hour, f.arrivals, f.ends from span s cross join lateral public.queue_flow(s.since) f
), later as (
    select coalesce(sum(f.arrivals - f.ends), 0) as growth from flow f, span s where f.hour >= s.until
), hours as (
    select
        hour,
        coalesce(f.arrivals, 0) as arrivals,
        coalesce(f.ends, 0) as ends,
        (select jobs from live) - (select growth from later)
            - sum(coalesce(f.arrivals, 0) - coalesce(f.ends, 0)) over (order by hour desc) as queue
    from span s
    cross join lateral generate_series(s.since, s.until - interval '1 microsecond', interval '1 hour') as hour
    left join flow f using (hour)
)
select
    date_trunc(:bucket, hour, 'UTC') as at,
    sum(arrivals)::bigint as arrivals,
    sum(ends)::bigint as ends,
    max(arrivals) as busiest,
    max(queue)::bigint as queue
from hours
group by 1
union all
select now(), null, null, null, live.jobs from live where :start::timestamptz is null
order by at
limit 1000;

-- name: flow_by_minute
-- The same by the minute, without busiest, for a range of up to six hours that ends now.
with span as (
    select since, until from public.bucket_span(null, least(:length, interval '6 hours'), 'minute')
), live as materialized (
    select created_at from public.job_queue where status = 'pending'
    union all
    select created_at from public.job_queue where status = 'processing'
), arrived as (
    select minute, sum(jobs) as jobs
    from (
        select date_bin('1 minute', created_at, 'epoch') as minute, count(*) as jobs
        from live group by 1
        union all
        -- Jobs created since then have ended since then, or are live.
        select date_bin('1 minute', created_at, 'epoch'), count(*)
        from public.job_queue
        where status in ('completed', 'failed', 'cancelled') and completed_at >= (select since from span)
        group by 1
    ) parts
    group by minute
), ended as (
    select date_bin('1 minute', completed_at, 'epoch') as minute, count(*) as jobs
    from public.job_queue
    where status in ('completed', 'failed', 'cancelled') and completed_at >= (select since from span)
    group by 1
), minutes as (
    select minute, coalesce(a.jobs, 0)::bigint as arrivals, coalesce(e.jobs, 0) as ends
    from span s
    cross join lateral generate_series(s.since, s.until, interval '1 minute') as minute
    left join arrived a using (minute)
    left join ended e using (minute)
)
select
    minute as at, arrivals, ends,
    ((select count(*) from live) - sum(arrivals - ends) over (order by minute desc))::bigint as queue
from minutes
union all
select now(), null, null, count(*) from live
order by at
limit 1000;

-- name: pace^
-- The last hour, which starts on a full minute, and the current backlog. Columns: due, processing:
-- jobs now; arrived, ended: jobs of the last hour; run_seconds: mean over started jobs that ended;
-- attempts: mean over the newest thousand of these (both null if none); workers, slots: workers
-- alive and their total concurrency.
with ended as (
    select
        coalesce(sum(jobs), 0)::bigint as jobs,
        (sum(run_us) / 1000000 / nullif(sum(runs), 0))::double precision as run_seconds
    from public.recent_jobs(now() - interval '1 hour')
), newest as (
    select avg(attempts)::double precision as attempts
    from (
        select attempts
        from public.job_queue
        where status in ('completed', 'failed', 'cancelled')
          and completed_at >= date_trunc('minute', now() - interval '1 hour', 'UTC')
          and started_at is not null
        order by completed_at desc
        limit 1000
    ) jobs
), arrived as (
    select coalesce(sum(jobs), 0)::bigint as jobs from public.recent_arrivals(now() - interval '1 hour')
), live as (
    select
        count(*) filter (where status = 'pending' and scheduled_at <= now()) as due,
        count(*) filter (where status = 'processing') as processing
    from (
        select status, scheduled_at from public.job_queue where status = 'pending'
        union all
        select status, scheduled_at from public.job_queue where status = 'processing'
    ) jobs
), alive as (
    -- A recent call of process-jobs counts as a worker: a cron schedule calls it every minute.
    select count(*) as workers, coalesce(sum(concurrency), 0)::bigint as slots
    from public.workers
    where (stopped_at is null and last_seen_at > now() - interval '1 minute')
       or (kind = 'process-jobs' and last_seen_at > now() - interval '2 minutes')
)
select
    l.due, l.processing, n.jobs as arrived, e.jobs as ended, e.run_seconds, m.attempts,
    a.workers, a.slots
from ended e, newest m, arrived n, live l, alive a;
