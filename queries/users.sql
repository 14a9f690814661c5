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

-- name: has_asked$
-- Whether a user ever requested an image.
select exists (select from public.image_generations g where g.user_id = :user_id::uuid);

-- name: emails
-- E-mail addresses of some users. Columns: id, email.
select u.id, u.email from auth.users u where u.id = any(:user_ids::uuid[]);

-- name: most_active
-- The twenty users with the most generations among the newest 3,000 of a range (start and length as
-- in lib/ui/time_range.py), most first.
select user_id, asked, completed, failed, ended, looked_at, looked_back_to
from public.user_usage_between(coalesce(:start::timestamptz, now() - :length::interval), :start::timestamptz + :length::interval)
order by asked desc, user_id;

-- name: user^
-- A user's limits and usage.
select limits, own_daily, own_hourly, default_daily, default_hourly, last_asked_at
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
