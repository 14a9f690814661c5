-- Purging beside a worker: a copy of a loaded database, and jobs to claim.

-- name: drop_copy#
drop database if exists purge with (force);

-- name: create_copy#
create database purge template postgres strategy file_copy;

-- name: remove_live!
delete from public.job_queue where status in ('pending', 'processing');

-- name: fill_up!
-- As many waiting jobs as :jobs, the oldest first in line.
insert into public.job_queue (job_type, scheduled_at, created_at)
select 'bench', at, at
from (select count(*) as waiting from public.job_queue where status = 'pending') w
cross join lateral generate_series(w.waiting + 1, :jobs) as n
cross join lateral (select now() - (:jobs - n) * interval '1 millisecond' as at) t;

-- name: purgeable$
-- How many jobs a purge of those that ended a day ago deletes.
select count(*) from public.job_queue
where status in ('completed', 'failed', 'cancelled')
  and completed_at < date_trunc('hour', now() - interval '1 day', 'UTC');
