-- The models page's answers, from all jobs that ever were, row by row.

-- name: models
select
    model_id,
    count(*) as jobs,
    count(*) filter (where status = 'completed') as completed,
    count(*) filter (where status = 'failed') as failed,
    count(*) filter (where status = 'refused') as refused,
    count(*)::float8 / sum(count(*)) over ()::float8 as usage,
    sum(run) filter (where status = 'completed')::float8 as run_total,
    avg(run) filter (where status = 'completed')::float8 as run_mean,
    min(run) filter (where status = 'completed')::float8 as run_min,
    max(run) filter (where status = 'completed')::float8 as run_max,
    avg(wait)::float8 as wait_mean,
    max(wait)::float8 as wait_max,
    percentile_disc(array[0.5, 0.95, 0.99]) within group (order by run::float8)
        filter (where status = 'completed') as run,
    percentile_disc(array[0.5, 0.95, 0.99]) within group (order by wait::float8)
        filter (where wait is not null) as wait
from (
    select
        *,
        coalesce(payload ->> 'model_id', '') as model_id,
        extract(epoch from completed_at - started_at) as run,
        case when started_at is not null then greatest(extract(epoch from started_at - scheduled_at), 0) end as wait
    from public.all_jobs
    where completed_at >= :since and completed_at < :until
) ended
group by model_id
order by jobs desc, model_id;

-- name: in_bin$
-- How many jobs of a model (null: of all) ran, or waited, for at least from_seconds and less than to_seconds.
select count(*)
from (
    select
        case :what
            when 'wait' then case when started_at is not null
                then greatest(extract(epoch from started_at - scheduled_at)::float8, 0) end
            when 'run' then case when status = 'completed'
                then extract(epoch from completed_at - started_at)::float8 end
        end as seconds
    from public.all_jobs
    where completed_at >= :since and completed_at < :until
      and (:model::text is null or coalesce(payload ->> 'model_id', '') = :model)
) ended
where seconds >= :from_seconds and seconds < :to_seconds;

-- name: trend
select
    date_trunc(:step, completed_at, 'UTC') as at,
    count(*) as jobs,
    count(*) filter (where status = 'failed')::float8
        / nullif(count(*) filter (where status in ('completed', 'failed')), 0) as failed,
    percentile_disc(array[0.5, 0.95, 0.99]) within group (
        order by extract(epoch from completed_at - started_at)::float8
    ) filter (where status = 'completed') as run,
    percentile_disc(array[0.5, 0.95, 0.99]) within group (
        order by greatest(extract(epoch from started_at - scheduled_at)::float8, 0)
    ) filter (where started_at is not null) as wait
from public.all_jobs
where completed_at >= :since and completed_at < :until
  and (:model::text is null or coalesce(payload ->> 'model_id', '') = :model)
group by 1
order by 1;
