-- Health of the queue, from views.

-- name: now^
-- The current state in one row; its columns are described in the view queue_state.
select * from public.queue_state;

-- name: hours
-- The last 24 full hours (UTC), oldest first.
select hour, live, completed, failed, failure_share, wait_seconds, run_seconds from public.queue_hours order by hour;

-- name: health
-- Jobs by type and status. At most 200 rows, the most jobs first.
select job_type, status, count, avg_seconds, oldest, newest
from public.queue_health_recent
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
