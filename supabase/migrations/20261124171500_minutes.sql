-- The last hours by the minute, so that no page reads the rows of the last hour.
--
-- Two more rollups, kept for the two full hours before the running one and folded, marked dirty and
-- folded again together with the hours that they belong to. Purged jobs are not in them.

create table public.job_minutes (
    minute   timestamptz not null,
    job_type text        not null,
    status   text        not null,
    jobs     bigint      not null,
    runs     bigint      not null,
    run_us   bigint      not null,
    waits    bigint      not null,
    wait_us  bigint      not null,
    primary key (minute, job_type, status)
) with (fillfactor = 70);
comment on table public.job_minutes is 'Finished jobs of the last hours by the minute in which they ended; columns as in job_rollup.';

create table public.arrival_minutes (
    hour           timestamptz not null,
    status         text        not null,
    created_minute timestamptz not null,
    jobs           bigint      not null,
    primary key (hour, status, created_minute)
) with (fillfactor = 70);
comment on table public.arrival_minutes is
    'When the jobs that ended in one of the last hours had been created; older minutes are left out.';

drop function public.finished_jobs(timestamptz, timestamptz, text, uuid[]);
create function public.finished_jobs(
    p_from timestamptz, p_to timestamptz, p_status text default null, p_ids uuid[] default null
) returns table (
    hour timestamptz, job_type text, model_id text, status text, run_us bigint, wait_us bigint,
    created_at timestamptz, completed_at timestamptz
)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
begin
    return query
    select
        date_trunc('hour', q.completed_at, 'UTC'), coalesce(q.job_type, ''), coalesce(q.payload ->> 'model_id', ''),
        q.status,
        (extract(epoch from q.completed_at - q.started_at) * 1000000)::bigint,
        case when q.started_at is not null
            then greatest((extract(epoch from q.started_at - q.scheduled_at) * 1000000)::bigint, 0) end,
        q.created_at, q.completed_at
    from (
        -- One of the three, each by its own index; the planner drops the others before it runs.
        select * from public.job_queue f
        where p_ids is null and p_status is null
          and f.status in ('completed', 'failed', 'cancelled') and f.completed_at >= p_from and f.completed_at < p_to
        union all
        select * from public.job_queue f
        where p_ids is null and p_status = 'failed'
          and f.status = 'failed' and f.completed_at >= p_from and f.completed_at < p_to
        union all
        select * from public.job_queue f
        where p_ids is null and p_status <> 'failed' and f.status = p_status
          and f.status in ('completed', 'failed', 'cancelled') and f.completed_at >= p_from and f.completed_at < p_to
        union all
        select * from public.job_queue f
        where f.id = any (p_ids)
    ) q;
end;
$$;
comment on function public.finished_jobs is
    'The finished jobs of a time, of one status or all, or those of p_ids, with what is folded of each.';

create function public.minutes_since() returns timestamptz
language sql stable parallel safe set search_path = ''
return date_trunc('hour', now(), 'UTC') - interval '2 hours';
comment on function public.minutes_since() is 'From when on the last hours are kept by the minute.';

create function public.job_minutes_of(p_from timestamptz, p_to timestamptz, p_status text default null)
returns setof public.job_minutes
language plpgsql stable set search_path = ''
as $$
begin
    return query
    select
        date_trunc('minute', j.completed_at, 'UTC'), j.job_type, j.status, count(*),
        count(j.run_us), coalesce(sum(j.run_us), 0)::bigint, count(j.wait_us), coalesce(sum(j.wait_us), 0)::bigint
    from public.finished_jobs(p_from, p_to, p_status) j
    group by 1, 2, 3;
end;
$$;
comment on function public.job_minutes_of is 'What job_minutes holds of the jobs that ended in a time.';

create function public.arrival_minutes_of(p_from timestamptz, p_to timestamptz, p_status text default null)
returns setof public.arrival_minutes
language plpgsql stable set search_path = ''
as $$
begin
    return query
    select j.hour, j.status, date_trunc('minute', j.created_at, 'UTC'), count(*)
    from public.finished_jobs(p_from, p_to, p_status) j
    where j.created_at >= public.minutes_since()
    group by 1, 2, 3;
end;
$$;
comment on function public.arrival_minutes_of is 'What arrival_minutes holds of the jobs that ended in a time.';

alter function public.add_to_rollups(timestamptz, timestamptz, text, uuid[]) rename to add_to_hours;
comment on function public.add_to_hours is
    'Adds the jobs that finished in a time (of one status or all) to the rollups by the hour; those of p_ids as purged.';

create function public.add_to_minutes(p_from timestamptz, p_to timestamptz, p_status text default null) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_from constant timestamptz := greatest(p_from, public.minutes_since());
begin
    delete from public.job_minutes m where m.minute < public.minutes_since();
    delete from public.arrival_minutes a where a.hour < public.minutes_since();
    if v_from < p_to then
        insert into public.job_minutes as m
        select * from public.job_minutes_of(v_from, p_to, p_status)
        on conflict (minute, job_type, status) do update
        set jobs = m.jobs + excluded.jobs,
            runs = m.runs + excluded.runs, run_us = m.run_us + excluded.run_us,
            waits = m.waits + excluded.waits, wait_us = m.wait_us + excluded.wait_us;

        insert into public.arrival_minutes as a
        select * from public.arrival_minutes_of(v_from, p_to, p_status)
        on conflict (hour, status, created_minute) do update
        set jobs = a.jobs + excluded.jobs;
    end if;
end;
$$;
comment on function public.add_to_minutes is
    'Adds the jobs that finished in a time (of one status or all) to the rollups by the minute, and forgets what is too old for them.';

create function public.add_to_rollups(
    p_from timestamptz, p_to timestamptz, p_status text default null, p_ids uuid[] default null
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    perform public.add_to_hours(p_from, p_to, p_status, p_ids);
    if p_ids is null then
        perform public.add_to_minutes(p_from, p_to, p_status);
    end if;
end;
$$;
comment on function public.add_to_rollups is
    'Adds the jobs that finished in a time (of one status or all) to the rollups; those of p_ids as purged.';

create or replace function public.refold_hour(p_hour timestamptz, p_until timestamptz, p_status text default null) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    delete from public.job_rollup r
    where r.hour = p_hour and not r.purged and (p_status is null or r.status = p_status);
    delete from public.arrival_rollup r
    where r.hour = p_hour and not r.purged and (p_status is null or r.status = p_status);
    delete from public.failure_rollup r
    where r.hour = p_hour and not r.purged and (p_status is null or p_status = 'failed');
    delete from public.job_minutes m
    where m.minute >= p_hour and m.minute < p_hour + interval '1 hour' and (p_status is null or m.status = p_status);
    delete from public.arrival_minutes a
    where a.hour = p_hour and (p_status is null or a.status = p_status);
    perform public.add_to_rollups(p_hour, least(p_hour + interval '1 hour', p_until), p_status);
end;
$$;

create or replace function public.rebuild_rollup() returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_folded timestamptz;
begin
    perform from public.rollup_state s for update;
    delete from public.rollup_dirty;
    delete from public.job_rollup r where not r.purged;
    delete from public.arrival_rollup r where not r.purged;
    delete from public.failure_rollup r where not r.purged;
    delete from public.job_minutes;
    delete from public.arrival_minutes;
    update public.rollup_state s set folded_until = '-infinity';
    v_folded := public.fold_until(public.advance_safe_until(), 'infinity');
    perform public.roll_days('-infinity', date_trunc('day', v_folded, 'UTC'));
    update public.rollup_state s
    set days_until = date_trunc('day', v_folded, 'UTC'),
        closed_until = least(s.closed_until, date_trunc('hour', v_folded, 'UTC')), refreshed_at = clock_timestamp();
end;
$$;

create or replace function public.verify_rollup() returns table (rollup text, source text, bucket jsonb)
language plpgsql stable set search_path = ''
as $$
declare
    v_until timestamptz;
    v_days  timestamptz;
begin
    select s.folded_until, s.days_until into v_until, v_days from public.rollup_state s;
    return query
    with folded as (
        select 'job_rollup' as rollup, r.hour, to_jsonb(r) - 'purged' as bucket from public.job_rollup r where not r.purged
        union all
        select 'arrival_rollup', r.hour, to_jsonb(r) - 'purged' from public.arrival_rollup r where not r.purged
        union all
        select 'failure_rollup', r.hour, to_jsonb(r) - 'purged' from public.failure_rollup r where not r.purged
        union all
        select 'job_rollup_daily', d.day, to_jsonb(d) from public.job_rollup_daily d
        union all
        select 'job_minutes', date_trunc('hour', m.minute, 'UTC'), to_jsonb(m)
        from public.job_minutes m where m.minute >= public.minutes_since()
        union all
        select 'arrival_minutes', a.hour, to_jsonb(a)
        from public.arrival_minutes a where least(a.hour, a.created_minute) >= public.minutes_since()
    ), counted as (
        select 'job_rollup', r.hour, to_jsonb(r) from public.job_rollup_of('-infinity', v_until) r
        union all
        select 'arrival_rollup', r.hour, to_jsonb(r) from public.arrival_rollup_of('-infinity', v_until) r
        union all
        select 'failure_rollup', r.hour, to_jsonb(r) from public.failure_rollup_of('-infinity', v_until) r
        union all
        select 'job_rollup_daily', d.day, to_jsonb(d) from public.rolled_days('-infinity', v_days) d
        union all
        select 'job_minutes', date_trunc('hour', m.minute, 'UTC'), to_jsonb(m)
        from public.job_minutes_of(public.minutes_since(), v_until) m
        union all
        select 'arrival_minutes', a.hour, to_jsonb(a) from public.arrival_minutes_of(public.minutes_since(), v_until) a
    ), differing as (
        (select 'rollup' as source, f.* from folded f except all select 'rollup', c.* from counted c)
        union all
        (select 'rows', c.* from counted c except all select 'rows', f.* from folded f)
    )
    select d.rollup, d.source, d.bucket
    from differing d
    where not exists (
        select from public.rollup_dirty m
        where m.hour = d.hour or (d.rollup = 'job_rollup_daily' and date_trunc('day', m.hour, 'UTC') = d.hour)
    )
    order by d.hour, d.rollup, d.bucket;
end;
$$;

create function public.minute_ranges(
    p_from timestamptz,
    out since timestamptz, out dirty_hours timestamptz[], out dirty_statuses text[],
    out row_from timestamptz[], out row_to timestamptz[], out row_status text[]
)
language plpgsql stable set search_path = ''
as $$
declare
    v_r record;
begin
    since := date_trunc('minute', p_from, 'UTC');
    if since is null or since < public.minutes_since() then
        raise exception 'from is %: by the minute the time since % is known', p_from, public.minutes_since()
            using errcode = '22023';
    end if;
    v_r := public.rollup_ranges(date_trunc('hour', since, 'UTC'), 'infinity');
    dirty_hours := v_r.dirty_hours;
    dirty_statuses := v_r.dirty_statuses;
    row_from := array(select greatest(f, since) from unnest(v_r.row_from) with ordinality as r (f, n) order by n);
    row_to := v_r.row_to;
    row_status := v_r.row_status;
end;
$$;
comment on function public.minute_ranges is
    'How to read the last hours by the minute: the rollups of the minutes from since except the dirty hours, and the rows that ended in the ranges row_from to row_to (of row_status, null for all).';

create function public.recent_jobs(p_from timestamptz) returns setof public.job_minutes
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_r record := public.minute_ranges(p_from);
begin
    return query
    select m.*
    from public.job_minutes m
    where m.minute >= v_r.since
      and (date_trunc('hour', m.minute, 'UTC'), m.status) not in (select * from unnest(v_r.dirty_hours, v_r.dirty_statuses))
    union all
    select n.*
    from unnest(v_r.row_from, v_r.row_to, v_r.row_status) as r (lo, hi, status)
    cross join lateral public.job_minutes_of(r.lo, r.hi, r.status) n
    where r.lo < r.hi;
end;
$$;
comment on function public.recent_jobs is
    'Jobs that ended since the minute of p_from, which is at most two hours ago, by minute, type and status; purged ones are missing. A key may come in several rows: sum them.';

create function public.recent_arrivals(p_from timestamptz) returns table (minute timestamptz, jobs bigint)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_r record := public.minute_ranges(p_from);
begin
    return query
    -- What was created since then has ended since then, or is live.
    select a.created_minute, a.jobs
    from public.arrival_minutes a
    where a.hour >= date_trunc('hour', v_r.since, 'UTC') and a.created_minute >= v_r.since
      and (a.hour, a.status) not in (select * from unnest(v_r.dirty_hours, v_r.dirty_statuses))
    union all
    select n.created_minute, n.jobs
    from unnest(v_r.row_from, v_r.row_to, v_r.row_status) as r (lo, hi, status)
    cross join lateral public.arrival_minutes_of(r.lo, r.hi, r.status) n
    where r.lo < r.hi and n.created_minute >= v_r.since
    union all
    select date_trunc('minute', q.created_at, 'UTC'), count(*)
    from public.job_queue q where q.status = 'pending' and q.created_at >= v_r.since group by 1
    union all
    select date_trunc('minute', q.created_at, 'UTC'), count(*)
    from public.job_queue q where q.status = 'processing' and q.created_at >= v_r.since group by 1;
end;
$$;
comment on function public.recent_arrivals is
    'Jobs created since the minute of p_from, which is at most two hours ago, by minute; purged ones are missing. A minute may come in several rows: sum them.';

-- What was folded before there were minutes.
select public.add_to_minutes('-infinity', s.folded_until) from public.rollup_state s;

do $$
declare
    v_name     text;
    v_function regprocedure;
begin
    foreach v_name in array array['job_minutes', 'arrival_minutes'] loop
        execute format('alter table public.%I enable row level security', v_name);
        execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_name);
        execute format('grant select, insert, update, delete on public.%I to service_role', v_name);
        execute format(
            'create policy "Service role has full access" on public.%I for all to service_role '
            'using (true) with check (true)', v_name);
    end loop;
    for v_function in
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in (
              'finished_jobs', 'minutes_since', 'job_minutes_of', 'arrival_minutes_of', 'add_to_hours', 'add_to_minutes',
              'add_to_rollups', 'minute_ranges', 'recent_jobs', 'recent_arrivals'
          )
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
