-- User views: requests, results and limits of users.

create function public.user_usage_between(p_from timestamptz, p_to timestamptz)
returns table (
    user_id uuid, requested bigint, completed bigint, failed bigint, refused bigint, ended bigint, examined bigint,
    examined_since timestamptz
)
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set jit = off
as $$
#variable_conflict use_column
declare
    v_until constant timestamptz := coalesce(p_to, 'infinity');
begin
    return query
    select t.user_id, t.requested, o.completed, o.failed, o.refused, o.ended, t.examined, t.examined_since
    from (
        select
            n.user_id,
            count(*) as requested,
            sum(count(*)) over ()::bigint as examined,
            min(min(n.created_at)) over () as examined_since
        from (
            select g.user_id, g.created_at
            from public.image_generations g
            where g.created_at >= p_from and g.created_at < v_until
            order by g.created_at desc
            limit 3000
        ) n
        group by n.user_id
        order by requested desc, n.user_id
        limit 20
    ) t
    left join lateral (
        select
            count(*) filter (where l.status = 'completed') as completed,
            count(*) filter (where l.status = 'failed') as failed,
            count(*) filter (where l.status = 'refused') as refused,
            count(*) filter (where l.status in ('completed', 'failed')) as ended
        from (
            select case when g.status = 'failed' and g.error_code = 'refused' then 'refused' else g.status end as status
            from public.image_generations g
            where g.user_id = t.user_id and g.created_at >= p_from and g.created_at < v_until
            order by g.created_at desc
            limit 100
        ) l
    ) o on true
    order by t.requested desc, t.user_id;
end;
$$;
comment on function public.user_usage_between is
'Which users requested the most images in a range, and with what result? The twenty most active among the newest 3,000 generations.

Parameters: p_from and p_to bound the range (p_to null: no end).

- user_id: user; null for requests without a user
- requested: generations that they requested, of those examined
- completed: of their newest 100 in the range, completed
- failed: of these 100, failed
- refused: of these 100, refused by a safety filter or the prompt check; not among the failed
- ended: of these 100, completed or failed
- examined: generations examined, of all users
- examined_since: when the oldest of these was requested

Cost: up to 3,000 index entries, and up to 100 generations of each of twenty users by index.';

create view public.user_usage with (security_invoker = true) as
select * from public.user_usage_between(now() - interval '24 hours', null);
comment on view public.user_usage is
'Which users requested the most images in the last 24 hours, and with what result? Other ranges: the function.

Columns: as user_usage_between.

Cost: up to 3,000 index entries, and up to 100 generations of each of twenty users by index.';

create function public.user_standing(p_user_id uuid)
returns table (
    limits jsonb, custom_daily_limit int, custom_hourly_limit int, default_daily int, default_hourly int, last_requested_at timestamptz
)
language sql stable set search_path = ''
as $$
    select
        public.get_user_limits(p_user_id),
        l.daily_limit,
        l.hourly_limit,
        d.daily_limit,
        d.hourly_limit,
        (
            select g.created_at from public.image_generations g
            where g.user_id = p_user_id
            order by g.created_at desc
            limit 1
        )
    from public.default_limits() d
    left join public.user_limits l on l.user_id = p_user_id;
$$;
comment on function public.user_standing is
'How much of their limits has a user used? One row.

Parameters: p_user_id is the user.

- limits: daily_limit, daily_used (last 24 hours), hourly_limit, hourly_used (last hour) in generations, and can_generate (JSON, from get_user_limits)
- custom_daily_limit: limit in 24 hours that an operator set, in generations; null for the default
- custom_hourly_limit: limit in an hour that an operator set, in generations; null for the default
- default_daily: limit in 24 hours of users without one, in generations
- default_hourly: limit in an hour of users without one, in generations
- last_requested_at: when they last requested an image; null for never

Cost: the generations of the user in the last 24 hours, by index.';

create function public.user_requests(
    p_user_id uuid, p_from timestamptz, p_to timestamptz, p_bucket text default 'hour', p_zone text default 'UTC'
) returns table (bucket timestamptz, status text, generations bigint, first_at timestamptz)
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set jit = off
as $$
#variable_conflict use_column
begin
    return query
    select date_trunc(p_bucket, g.created_at, p_zone), g.status, count(*), min(min(g.created_at)) over ()
    from (
        select n.created_at,
               case when n.status = 'failed' and n.error_code = 'refused' then 'refused' else n.status end as status
        from public.image_generations n
        where n.user_id = p_user_id and n.created_at >= p_from and n.created_at < coalesce(p_to, 'infinity')
        order by n.created_at desc
        limit 2000
    ) g
    group by 1, 2
    order by 1, 2;
end;
$$;
comment on function public.user_requests is
'What became of the images that a user requested in a range, in each hour or day? The newest 2,000.

Parameters: p_user_id is the user; p_from and p_to bound the range (p_to null: no end); p_bucket is hour or day of the time zone p_zone.

- bucket: start of the hour or day
- status: queued, processing (running), completed, failed, refused (not among the failed) or cancelled
- generations: generations requested in the bucket that have this status
- first_at: when the oldest of all that are counted was requested

Cost: up to 2,000 generations of the user, by index.';
