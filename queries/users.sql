-- Users: requests, results and limits.

-- name: may_read_users$
-- Whether this connection may read auth.users; otherwise users are identified by id only.
select case
    when to_regclass('auth.users') is null then false
    when not has_schema_privilege('auth', 'usage') then false
    else has_column_privilege('auth.users', 'email', 'select')
        and has_column_privilege('auth.users', 'id', 'select')
end;

-- name: id_of_email$
-- User id of an e-mail address, which Supabase stores in lower case; null if unknown.
select u.id from auth.users u where u.email = lower(:email) order by u.id limit 1;

-- name: by_email
-- Up to :most users whose e-mail address contains :text, in any case of letters. Columns: id, email.
-- Reads all of auth.users.
select u.id, u.email from auth.users u
where strpos(lower(u.email), lower(:text)) > 0
order by u.email, u.id
limit :most;

-- name: has_asked$
-- Whether a user ever requested an image.
select exists (select from public.image_generations g where g.user_id = :user_id::uuid);

-- name: emails
-- E-mail addresses of some users. Columns: id, email.
select u.id, u.email from auth.users u where u.id = any(:user_ids::uuid[]);

-- name: most_active
-- The twenty users with the most generations among the newest 3,000 of a range (start and length as
-- in lib/ui/time_range.py), most first.
select user_id, requested, completed, failed, refused, ended, examined, examined_since
from public.user_usage_between(coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval)
order by requested desc, user_id;

-- name: user^
-- A user's limits and usage.
select limits, custom_daily_limit, custom_hourly_limit, default_daily, default_hourly, last_requested_at
from public.user_standing(:user_id::uuid);

-- name: asked
-- Results of the newest 2,000 generations that a user requested in a range, per hour or day
-- (bucket) of a time zone.
select bucket, status, generations, first_at
from public.user_requests(
    :user_id::uuid, coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval,
    :bucket, :zone
)
order by bucket, status;

-- name: generations
-- The newest :most generations of a user in a range whose prompt contains :text (empty: any), among
-- the newest 2,000, with their jobs. status: pending, running, completed, failed, refused or cancelled;
-- error_message, error_code: of the job, or of a pending one its last attempt; due_in_seconds: of a
-- pending job; job_id: null once the job has been purged; input: the reference of its first uploaded
-- input image; images: number of its images.
with found as materialized (
    select n.* from (
        select
            g.id, g.created_at, g.completed_at, g.prompt, g.model_id, g.error_message,
            case when g.status = 'failed' and g.error_code = 'refused' then 'refused' else g.status end as status,
            g.storage_path, g.image_url, g.thumbnail_path,
            jsonb_path_query_first(g.parameters - 'mask', '$.*[*] ? (@ starts with "upload:")') #>> '{}' as input
        from public.image_generations g
        where g.user_id = :user_id::uuid
          and g.created_at >= coalesce(:start::timestamptz, now() - :length::interval)
          and g.created_at < coalesce(:start::timestamptz + :length::interval, 'infinity')
        order by g.created_at desc, g.id desc
        limit 2000
    ) n
    where strpos(lower(n.prompt), lower(:text)) > 0
    limit :most
)
select
    f.id, j.id as job_id, f.created_at, f.completed_at, left(f.prompt, 300) as prompt, f.model_id,
    case f.status when 'queued' then 'pending' when 'processing' then 'running' else f.status end as status,
    left(coalesce(f.error_message, j.error_message, j.error_details -> 'attempts' -> -1 ->> 'error'), 500)
        as error_message,
    coalesce(j.error_details ->> 'code', j.error_details -> 'attempts' -> -1 -> 'details' ->> 'code') as error_code,
    case when j.status = 'pending'
         then extract(epoch from j.scheduled_at - now())::double precision end as due_in_seconds,
    f.storage_path, f.image_url, f.thumbnail_path, f.input,
    case when f.status = 'completed'
         then greatest(1, (select count(*) from public.outputs o where o.generation_id = f.id)) end as images
from found f
left join lateral (
    select q.id, q.status, q.scheduled_at, q.error_message, q.error_details from public.job_queue q
    where q.status in ('pending', 'processing') and public.generation_of(q.payload) = f.id
    union all
    -- Matched by their common end time: an index on a job's generation would cost more.
    select q.id, q.status, q.scheduled_at, q.error_message, q.error_details from public.job_queue q
    where q.status in ('completed', 'failed', 'cancelled')
      and q.completed_at = f.completed_at and public.generation_of(q.payload) = f.id
    limit 1
) j on true
order by f.created_at desc, f.id desc;
