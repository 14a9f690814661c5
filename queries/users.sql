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
-- in lib/ui/time_range.py), most first. Columns: user_id (null for requests without a user), asked;
-- of their newest 100 in that range: completed, failed, ended; looked_at: generations examined;
-- looked_back_to: time of the oldest of them.
select
    t.user_id,
    t.asked,
    o.completed,
    o.failed,
    o.ended,
    t.looked_at,
    t.looked_back_to
from (
    select
        n.user_id,
        count(*) as asked,
        sum(count(*)) over ()::bigint as looked_at,
        min(min(n.created_at)) over () as looked_back_to
    from (
        select g.user_id, g.created_at
        from public.image_generations g
        where g.created_at >= coalesce(:start::timestamptz, now() - :length::interval)
          and g.created_at < coalesce(:start::timestamptz + :length::interval, 'infinity')
        order by g.created_at desc
        limit 3000
    ) n
    group by n.user_id
    order by asked desc, n.user_id
    limit 20
) t
left join lateral (
    select
        count(*) filter (where l.status = 'completed') as completed,
        count(*) filter (where l.status = 'failed') as failed,
        count(*) filter (where l.status in ('completed', 'failed')) as ended
    from (
        select g.status
        from public.image_generations g
        where g.user_id = t.user_id
          and g.created_at >= coalesce(:start::timestamptz, now() - :length::interval)
          and g.created_at < coalesce(:start::timestamptz + :length::interval, 'infinity')
        order by g.created_at desc
        limit 100
    ) l
) o on true
order by t.asked desc, t.user_id;

-- name: user^
-- A user's limits and usage. Columns: limits (from get_user_limits), own_daily and own_hourly (null
-- for the default), last_asked_at (null: never).
select
    public.get_user_limits(:user_id::uuid) as limits,
    l.daily_limit as own_daily,
    l.hourly_limit as own_hourly,
    (
        select g.created_at from public.image_generations g
        where g.user_id = :user_id::uuid
        order by g.created_at desc
        limit 1
    ) as last_asked_at
from (select) as one
left join public.user_limits l on l.user_id = :user_id::uuid;

-- name: asked
-- Results of the newest 2,000 generations that a user requested in a range, per hour or day
-- (bucket) of a time zone. Columns: bucket, status, generations; first_at: the oldest of all.
select
    date_trunc(:bucket, g.created_at, :zone) as bucket,
    g.status,
    count(*) as generations,
    min(min(g.created_at)) over () as first_at
from (
    select n.created_at, n.status
    from public.image_generations n
    where n.user_id = :user_id::uuid
      and n.created_at >= coalesce(:start::timestamptz, now() - :length::interval)
      and n.created_at < coalesce(:start::timestamptz + :length::interval, 'infinity')
    order by n.created_at desc
    limit 2000
) g
group by 1, 2
order by 1, 2;
