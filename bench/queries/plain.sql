-- The least that a claim and a completion can be on job_queue: no lease, no fencing, no errors,
-- no generation to follow. What the queue's functions cost is measured against it.

-- name: create_index#
create index if not exists plain_idx
    on public.job_queue (priority desc, scheduled_at, created_at) where status = 'pending';

-- name: drop_index#
drop index public.plain_idx;

-- name: claim
update public.job_queue
set status = 'processing', attempts = attempts + 1, started_at = clock_timestamp(),
    updated_at = clock_timestamp()
where id = any (array(
    select id from public.job_queue
    where status = 'pending' and scheduled_at <= now()
    order by priority desc, scheduled_at, created_at
    limit :limit
    for update skip locked
))
returning id, attempts;

-- name: complete!
update public.job_queue
set status = 'completed', completed_at = clock_timestamp(), updated_at = clock_timestamp()
where id = any (:job_ids::uuid[]);
