-- Generations with more than one job. Live jobs come from partial indexes, finished ones of a
-- chosen range by completion time: an index by generation would slow down every job.

-- name: live
-- Up to 500 redundant pending jobs. Columns: id, generation_id, kept_id (null: the generation is
-- completed), reason, model_id, prompt, created_at, total (number of such jobs).
select
    d.id,
    d.generation_id,
    d.kept_id::text as kept_id,
    d.reason,
    q.payload ->> 'model_id' as model_id,
    left(q.payload ->> 'prompt', 200) as prompt,
    q.created_at,
    count(*) over () as total
from public.live_duplicates() d
join public.job_queue q on q.id = d.id
order by q.created_at, d.id
limit 500;

-- name: repeated
-- Jobs of generations that have several among the live jobs and those that ended within :length
-- (interval) from :start (timestamptz; null: the last :length), newest generation first, up to
-- :most. Columns: generation_id (text, as in the payload), place (1: oldest), jobs (of the
-- generation), id, status, model_id, prompt, created_at, completed_at, seconds_later (after the
-- oldest), generations and total (overall counts).
with jobs as materialized (
    select q.id, q.created_at, lower((q.payload ->> 'generation_id') collate "C") as generation_id
    from public.job_queue q
    where q.status in ('completed', 'failed', 'cancelled')
      and q.completed_at >= coalesce(:start::timestamptz, now() - :length::interval)
      and q.completed_at < coalesce(:start::timestamptz + :length::interval, 'infinity')
    union all
    select q.id, q.created_at, lower((q.payload ->> 'generation_id') collate "C")
    from public.job_queue q where q.status = 'pending'
    union all
    select q.id, q.created_at, lower((q.payload ->> 'generation_id') collate "C")
    from public.job_queue q where q.status = 'processing'
), repeated as materialized (
    select j.generation_id, count(*) as jobs, max(j.created_at) as newest
    from jobs j
    where j.generation_id is not null
    group by j.generation_id
    having count(*) > 1
), placed as materialized (
    select
        r.generation_id, r.jobs, r.newest, j.id, j.created_at,
        row_number() over same_generation as place,
        first_value(j.created_at) over same_generation as first_at,
        count(*) over () as total
    from repeated r join jobs j using (generation_id)
    window same_generation as (partition by r.generation_id order by j.created_at, j.id)
    order by newest desc, generation_id, place
    limit :most
)
select
    p.generation_id,
    p.place,
    p.jobs,
    q.id,
    q.status,
    q.payload ->> 'model_id' as model_id,
    left(q.payload ->> 'prompt', 200) as prompt,
    q.created_at,
    q.completed_at,
    extract(epoch from p.created_at - p.first_at)::double precision as seconds_later,
    (select count(*) from repeated) as generations,
    p.total
from placed p
cross join lateral (
    -- Not inlined, so that rows are fetched by key whatever the planner's estimate.
    select * from public.job_queue j where j.id = p.id offset 0
) q
order by p.newest desc, p.generation_id, p.place;
