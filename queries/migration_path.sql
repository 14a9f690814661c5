-- Migration from the synchronous path to the queue: rollout and comparison of both paths. From the
-- rollups and, for users, the newest generations. A range is :start (timestamptz; null: ends now)
-- and :length (interval), rounded outward to whole hours or days (:bucket). Test generations count,
-- as in all statistics.

-- name: state^
-- Columns: percentage, changed_by and changed_at (null: never changed); unended: synchronous
-- generations started more than an hour ago and not ended, up to 1000.
select
    r.percentage, r.changed_by, r.changed_at,
    (
        select count(*) from (
            select from public.sync_generations s
            where s.ended_at is null and s.started_at < now() - interval '1 hour'
            limit 1000
        ) u
    ) as unended
from public.async_rollout r;

-- name: users
-- Users of the last 7 days, within the newest 10,000 generations, by rollout bucket: a user takes
-- the queue once the percentage exceeds their percent. Columns: percent (0 to 99), users;
-- looked_back_to: time of the oldest generation examined.
select floor(public.rollout_position(u.user_id))::int as percent, count(*) as users,
       min(min(u.oldest)) over () as looked_back_to
from (
    select n.user_id, min(n.created_at) as oldest
    from (
        select g.user_id, g.created_at
        from public.image_generations g
        where g.created_at > now() - interval '7 days'
        order by g.created_at desc
        limit 10000
    ) n
    where n.user_id is not null
    group by n.user_id
) u
group by 1
order by 1;

-- name: compared
-- Both paths, for all models together (model_id null) and for each, up to 500 rows. Columns: path,
-- model_id; completed, failed, cancelled; failure_share: failed / (completed + failed), null if
-- undefined; mean_seconds, p50_seconds, p95_seconds: from request to image, of completed ones, null
-- if none.
with stats as materialized (
    select s.*
    from public.bucket_span(:start, :length, :bucket) span
    cross join lateral public.path_stats(span.since, span.until, :bucket) s
), sums as (
    select
        path, model_id, grouping(model_id) as of_all,
        coalesce(sum(generations) filter (where outcome = 'completed'), 0)::bigint as completed,
        coalesce(sum(generations) filter (where outcome = 'failed'), 0)::bigint as failed,
        coalesce(sum(generations) filter (where outcome = 'cancelled'), 0)::bigint as cancelled,
        sum(total_us) filter (where outcome = 'completed') as total_us,
        public.histogram_percentiles(
            sum(total_histogram) filter (where outcome = 'completed'), '{0.5, 0.95}'
        ) as times
    from stats
    group by grouping sets ((path), (path, model_id))
)
select
    path, case when of_all = 0 then model_id end as model_id, completed, failed, cancelled,
    failed / nullif(completed + failed, 0)::double precision as failure_share,
    (total_us / 1e6)::double precision / nullif(completed, 0) as mean_seconds,
    times[1] as p50_seconds, times[2] as p95_seconds
from sums
order by of_all desc, sum(completed + failed) over (partition by of_all, model_id) desc, model_id, path
limit 500;

-- name: steps
-- Both paths in each hour or day (:bucket) of :model (null: all), empty steps included. Columns:
-- at; async_ and sync_ p50 and p95: seconds, async_failed and sync_failed: shares; null if
-- undefined.
with span as (
    select since, until from public.bucket_span(:start, :length, :bucket)
), sums as (
    select
        s.bucket as at, s.path,
        sum(s.generations) filter (where s.outcome = 'failed') as failed,
        sum(s.generations) filter (where s.outcome in ('completed', 'failed')) as ended,
        public.histogram_percentiles(
            sum(s.total_histogram) filter (where s.outcome = 'completed'), '{0.5, 0.95}'
        ) as times
    from span cross join lateral public.path_stats(span.since, span.until, :bucket) s
    where :model::text is null or s.model_id = :model
    group by s.bucket, s.path
)
select
    step.at,
    a.times[1] as async_p50, a.times[2] as async_p95,
    s.times[1] as sync_p50, s.times[2] as sync_p95,
    (coalesce(a.failed, 0) / nullif(a.ended, 0))::double precision as async_failed,
    (coalesce(s.failed, 0) / nullif(s.ended, 0))::double precision as sync_failed
from span
cross join lateral generate_series(
    date_trunc(:bucket, span.since, 'UTC'), span.until - interval '1 microsecond',
    case :bucket when 'day' then interval '24 hours' else interval '1 hour' end
) as step (at)
left join sums a on a.at = step.at and a.path = 'async'
left join sums s on s.at = step.at and s.path = 'sync'
order by step.at
limit 1000;

-- name: sync_errors
-- Errors of failed synchronous generations, the most frequent first. Columns: error_code,
-- generations.
select r.error_code, sum(r.generations)::bigint as generations
from public.bucket_span(:start, :length, :bucket) span
join public.path_rollup r on r.hour >= span.since and r.hour < span.until
where r.path = 'sync' and r.outcome = 'failed'
group by r.error_code
order by generations desc, r.error_code
limit 50;

-- name: changes
-- The last twenty changes of the percentage. Columns: at, actor, before, after.
select at, actor, (details ->> 'before')::int as before, (details ->> 'after')::int as after
from public.audit_log
where action = 'set_async_rollout'
order by at desc
limit 20;
