-- Failure views: failed and refused jobs by kind of error, from the rollup.

create function public.failure_groups_between(p_from timestamptz, p_to timestamptz, p_step text default 'hour')
returns table (
    key text, error_group text, error_code text, jobs bigint, first_at timestamptz, last_at timestamptz,
    models text[], users bigint, trend bigint[], total bigint, kinds bigint, refused bigint
)
language plpgsql stable set search_path = '' set plan_cache_mode = force_generic_plan set jit = off
as $$
#variable_conflict use_column
declare
    v_until       constant timestamptz := coalesce(p_to, now());
    -- At least a day: a shorter sparkline would show little.
    v_trend_since constant timestamptz := date_trunc(p_step, least(p_from, v_until - interval '1 day'), 'UTC');
begin
    return query
    with failures as materialized (
        select f.* from public.failure_stats(p_from, v_until) f
    ), before as materialized (
        select f.error_group, f.error_code, f.hour, f.jobs
        from public.failure_stats(v_trend_since, p_from) f
        where p_from > v_until - interval '1 day'
    ), kinds as materialized (
        select c.*,
               coalesce(sum(c.jobs) filter (where c.error_code <> 'refused') over (), 0)::bigint as total,
               count(*) filter (where c.error_code <> 'refused') over () as kinds,
               coalesce(sum(c.jobs) filter (where c.error_code = 'refused') over (), 0)::bigint as refused,
               row_number() over (
                   order by c.error_code = 'refused', c.jobs desc, c.last_at desc, c.error_group
               ) as place
        from (
            select
                f.error_group, f.error_code, sum(f.jobs)::bigint as jobs, min(f.first_at) as first_at,
                max(f.last_at) as last_at, array_agg(distinct f.model_id order by f.model_id) as models
            from failures f
            group by f.error_group, f.error_code
        ) c
        order by place
        limit 200
    ), affected as (
        select a.error_group, a.error_code, count(*) as users
        from (
            select distinct f.error_group, f.error_code, u.id
            from failures f cross join unnest(f.users) as u (id)
        ) a
        group by a.error_group, a.error_code
    ), points as (
        select k.place, date_trunc(p_step, p.hour, 'UTC') as at, sum(p.jobs)::bigint as jobs
        from (
            select f.error_group, f.error_code, f.hour, f.jobs from failures f
            union all
            select * from before
        ) p
        join kinds k using (error_group, error_code)
        group by 1, 2
    ), trends as (
        select k.place, array_agg(coalesce(p.jobs, 0) order by step.begins) as trend
        from generate_series(v_trend_since, v_until, ('1 ' || p_step)::interval) as step (begins)
        cross join kinds k
        left join points p on p.place = k.place and p.at = step.begins
        group by k.place
    )
    select
        public.error_key(k.error_group, k.error_code), k.error_group, k.error_code, k.jobs, k.first_at, k.last_at,
        k.models, coalesce(a.users, 0), t.trend, k.total, k.kinds, k.refused
    from kinds k
    join trends t using (place)
    left join affected a using (error_group, error_code)
    order by k.place;
end;
$$;
comment on function public.failure_groups_between is
'Which kinds of errors made jobs fail in a range, and why were others refused? At most 200 kinds, the most frequent first, those of refused jobs (error_code refused) last.

Parameters: p_from and p_to bound the range (p_to null: up to now); p_step is the step of trend, hour or day (UTC). A kind is an error message, without the model, addresses, ids and numbers in it, with an error code. Purged jobs included, as whole hours.

- key: short id of the kind, as in the addresses of pages
- error_group: the message without its variable parts; empty without a message
- error_code: code of the error; empty without one
- jobs: jobs that failed with it in the range
- first_at: when the first of them failed
- last_at: when the last of them failed
- models: their models (list of ids, empty for none named)
- users: how many users created them
- trend: jobs that failed with it in each step from p_from, or of at least the last day (list)
- total: jobs that failed with any error in the range, without refused ones
- kinds: number of kinds of these
- refused: jobs that a safety filter or the prompt check refused in the range

Cost: the failure rollup rows of the range, and the jobs that failed since the last fold.';

select public.set_aside_existing('failure_groups');
create view public.failure_groups with (security_invoker = true) as
select * from public.failure_groups_between(date_trunc('hour', now() - interval '24 hours', 'UTC'), null);
comment on view public.failure_groups is
'Which kinds of errors made jobs fail in the last 24 hours, from a full hour on, and why were others refused? At most 200 kinds, the most frequent first, those of refused jobs last; trend is by the hour. Other ranges: the function.

Columns: as failure_groups_between.

Cost: a day of the failure rollup, and the jobs that failed since the last fold.';

select public.set_aside_existing('unknown_outcomes');
create view public.unknown_outcomes with (security_invoker = true) as
select
    (
        select count(distinct p.generation_id) from public.predictions p
        where p.status = 'unknown' and p.created_at > now() - interval '24 hours'
    ) as unknown,
    (
        select coalesce(sum(s.jobs), 0)::bigint
        from public.job_stats_parts(date_trunc('hour', now() - interval '24 hours', 'UTC'), now(), 'all') s
        join public.job_types t on t.job_type = s.job_type and t.provider is not null
    ) as ended;
comment on view public.unknown_outcomes is
'How many generations of the last 24 hours may have been paid for twice? One row.

- unknown: generations with a prediction of which it could not be found out whether it was started, so that another was created
- ended: jobs of a provider that ended since then, from a full hour on; purged jobs included

Cost: the unknown predictions of a day by their partial index, a day of the hourly rollup, and the jobs that ended since the last fold.';
