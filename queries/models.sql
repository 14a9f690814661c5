-- Performance of each model, from the functions of the schema.
--
-- A range is :start (timestamptz; null: ends now) and :length (interval), rounded outward to whole
-- hours or days (:bucket); the previous range is the :length before it. Percentiles are within 5%%.

-- name: models
-- The :most models with the most ended jobs, and their trend by hour or day (:step).
select *
from public.model_timings_between(
    coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval, :bucket, :step, :most
)
order by jobs desc, model_id;

-- name: compared^
-- Bounds of the two ranges. Columns: before, since, until.
select since - :length::interval as before, since, until from public.bucket_span(:start, :length, :bucket);

-- name: distribution
-- Histograms of run and wait times of :model (null: all).
select what, period, from_seconds, to_seconds, jobs, share
from public.model_time_distribution(
    coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval, :bucket, :model
)
order by what, period, from_seconds
limit 2000;

-- name: trend
-- Jobs of :model (null: all) in each hour or day (:step), empty steps included.
select at, jobs, failed, run_p50, run_p95, run_p99, wait_p50, wait_p95, wait_p99
from public.model_trend(
    coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval, :bucket, :step, :model
)
order by at
limit 1000;

-- name: errors
-- The ten error groups with the most failed jobs of :model in a range. Columns: key, error_group,
-- error_code, jobs, last_at.
select
    public.error_key(f.error_group, f.error_code) as key, f.error_group, f.error_code,
    sum(f.jobs)::bigint as jobs, max(f.last_at) as last_at
from public.bucket_span(:start, :length, :bucket) b
cross join lateral public.failure_stats(b.since, b.until) f
where f.model_id = :model
group by f.error_group, f.error_code
order by jobs desc, last_at desc
limit 10;

-- name: settings
-- Models that users may choose, by id. Columns: id, enabled, price_per_image (US dollars).
select id, enabled, price_per_image from public.models order by id limit 500;

-- name: images
-- The newest twelve completed generations of :model with an image, of the 2,000 that were requested
-- last by anybody. Columns: id; prompt; run_seconds; input: the reference of its first uploaded input
-- image; outputs: its images, up to four, a list of objects with storage_path, thumbnail_path and
-- image_url; images: how many it has.
select
    g.id, left(g.prompt, 300) as prompt,
    extract(epoch from g.completed_at - g.started_at)::double precision as run_seconds,
    jsonb_path_query_first(g.parameters - 'mask', '$.*[*] ? (@ starts with "upload:")') #>> '{}' as input,
    coalesce(o.outputs, jsonb_build_array(jsonb_build_object(
        'storage_path', g.storage_path, 'thumbnail_path', g.thumbnail_path, 'image_url', g.image_url
    ))) as outputs,
    greatest(o.images, 1) as images
from (
    select n.* from (
        select * from public.image_generations order by created_at desc limit 2000
    ) n
    where n.model_id = :model and n.status = 'completed' and (n.storage_path is not null or n.image_url is not null)
    order by n.created_at desc
    limit 12
) g
cross join lateral (
    select
        jsonb_agg(jsonb_build_object(
            'storage_path', o.storage_path, 'thumbnail_path', o.thumbnail_path, 'image_url', o.url
        ) order by o.index) filter (where o.index < 4) as outputs,
        count(*) as images
    from public.outputs o
    where o.generation_id = g.id
) o
order by g.created_at desc;
