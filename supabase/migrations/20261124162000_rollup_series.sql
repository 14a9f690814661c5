-- What a page needs to draw the rollups over time: sums as coarse as its chart, and no finer.

create function public.histogram_percentiles(p_histogram numeric, p_fractions double precision[])
returns double precision[]
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    v_h        record := public.histogram_counts(p_histogram);
    v_counts   bigint[] := v_h.counts;
    v_place    int := cardinality(v_counts);
    v_jobs     bigint := (select sum(c) from unnest(v_counts) c);
    v_seen     bigint := v_counts[v_place];
    v_bin      int := v_h.lowest_bin;
    v_rank     bigint;
    v_fraction double precision;
    v_found    double precision[] := '{}';
begin
    if p_histogram is null or p_histogram = 0 then
        return array_fill(null::double precision, array[cardinality(p_fractions)]);
    end if;
    foreach v_fraction in array p_fractions loop
        v_rank := ceil(v_fraction * v_jobs);
        while v_seen < v_rank loop
            v_place := v_place - 1;
            v_seen := v_seen + v_counts[v_place];
            v_bin := v_bin + 1;
        end loop;
        v_found := v_found || case when v_bin = 0 then 0 else 0.001 * 1.1::double precision ^ (v_bin - 0.5) end;
    end loop;
    return v_found;
end;
$$;
comment on function public.histogram_percentiles is
    'histogram_percentile for several fractions, which must ascend, at the price of one.';

create or replace function public.histogram_percentile(p_histogram numeric, p_fraction double precision)
returns double precision
language sql immutable parallel safe set search_path = ''
return (public.histogram_percentiles(p_histogram, array[p_fraction]))[1];

create function public.job_stats_parts(p_from timestamptz, p_to timestamptz, p_bucket text)
returns table (
    bucket timestamptz, job_type text, model_id text, status text, jobs bigint,
    runs bigint, run_us bigint, run_us_min bigint, run_us_max bigint, run_histogram numeric,
    waits bigint, wait_us bigint, wait_us_max bigint, wait_histogram numeric,
    oldest timestamptz, newest timestamptz
)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_r          record;
    v_days_from  timestamptz;
    v_days_to    timestamptz;
    v_dirty_days timestamptz[];
begin
    if p_bucket is null or p_bucket not in ('hour', 'day', 'all') then
        raise exception 'bucket is %: choose hour, day or all', p_bucket using errcode = '22023';
    end if;
    v_r := public.rollup_ranges(p_from, p_to);
    v_days_from := date_trunc('day', v_r.folded_from, 'UTC');
    v_days_from := v_days_from + case when v_days_from < v_r.folded_from then interval '1 day' else '0' end;
    v_days_to := least(date_trunc('day', v_r.folded_to, 'UTC'), v_r.days_until);
    if p_bucket = 'hour' or v_days_from >= v_days_to then
        v_days_from := v_r.folded_to;
        v_days_to := v_r.folded_to;
    end if;
    v_dirty_days := array(select distinct date_trunc('day', h, 'UTC') from unnest(v_r.dirty_hours) h);

    return query
    with hours as (
        select h.* from public.job_rollup h where h.hour >= v_r.folded_from and h.hour < v_days_from
        union all
        select h.* from public.job_rollup h where h.hour >= v_days_to and h.hour < v_r.folded_to
        union all
        select h.*
        from unnest(v_dirty_days) d join public.job_rollup h on h.hour >= d and h.hour < d + interval '1 day'
        where d >= v_days_from and d < v_days_to
    ), parts as (
        select d.*
        from public.job_rollup_daily d
        where d.day >= v_days_from and d.day < v_days_to and d.day <> all (v_dirty_days)
        union all
        select h.hour, h.job_type, h.model_id, h.status, h.jobs,
               h.runs, h.run_us, h.run_us_min, h.run_us_max, h.run_histogram,
               h.waits, h.wait_us, h.wait_us_max, h.wait_histogram, h.oldest, h.newest
        from hours h
        where h.purged or (h.hour, h.status) not in (select * from unnest(v_r.dirty_hours, v_r.dirty_statuses))
        union all
        -- Purged before they were folded.
        select h.hour, h.job_type, h.model_id, h.status, h.jobs,
               h.runs, h.run_us, h.run_us_min, h.run_us_max, h.run_histogram,
               h.waits, h.wait_us, h.wait_us_max, h.wait_histogram, h.oldest, h.newest
        from public.job_rollup h
        where h.purged and h.hour >= v_r.folded_to and h.hour < date_trunc('hour', p_to, 'UTC')
        union all
        select n.*
        from unnest(v_r.row_from, v_r.row_to, v_r.row_status) as r (lo, hi, status)
        cross join lateral public.job_rollup_of(r.lo, r.hi, r.status) n
    )
    select
        case p_bucket when 'hour' then p.day when 'day' then date_trunc('day', p.day, 'UTC') end,
        p.job_type, p.model_id, p.status, p.jobs,
        p.runs, p.run_us, p.run_us_min, p.run_us_max, p.run_histogram,
        p.waits, p.wait_us, p.wait_us_max, p.wait_histogram, p.oldest, p.newest
    from parts p;
end;
$$;
comment on function public.job_stats_parts is
    'What job_stats sums up, in microseconds. A key may come in several rows: who needs coarser sums takes them from here, and merges fewer histograms.';

create or replace function public.job_stats(p_from timestamptz, p_to timestamptz, p_bucket text default 'hour')
returns table (
    bucket timestamptz, job_type text, model_id text, status text, jobs bigint,
    runs bigint, run_seconds double precision, run_seconds_min double precision, run_seconds_max double precision,
    run_histogram numeric,
    waits bigint, wait_seconds double precision, wait_seconds_max double precision, wait_histogram numeric,
    oldest timestamptz, newest timestamptz
)
language plpgsql stable set search_path = '' set jit = off
as $$
begin
    return query
    select
        p.bucket, p.job_type, p.model_id, p.status, sum(p.jobs)::bigint,
        sum(p.runs)::bigint, (sum(p.run_us) / 1000000)::double precision,
        min(p.run_us_min) / 1000000.0::double precision, max(p.run_us_max) / 1000000.0::double precision,
        sum(p.run_histogram),
        sum(p.waits)::bigint, (sum(p.wait_us) / 1000000)::double precision,
        max(p.wait_us_max) / 1000000.0::double precision, sum(p.wait_histogram),
        min(p.oldest), max(p.newest)
    from public.job_stats_parts(p_from, p_to, p_bucket) p
    group by 1, 2, 3, 4;
end;
$$;

create function public.queue_flow(p_from timestamptz)
returns table (hour timestamptz, arrivals bigint, ends bigint)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_from constant timestamptz := date_trunc('hour', p_from, 'UTC');
    v_r    record := public.rollup_ranges(v_from, 'infinity');
begin
    return query
    -- A job that was created since then has ended since then, or not at all.
    with ended as materialized (
        select a.created_hour, a.hour as ended_hour, sum(a.jobs) as jobs
        from public.arrival_rollup a
        where a.hour >= v_from
          and (a.purged or (a.hour, a.status) not in (select * from unnest(v_r.dirty_hours, v_r.dirty_statuses)))
        group by 1, 2
        union all
        select n.created_hour, n.hour, n.jobs
        from unnest(v_r.row_from, v_r.row_to, v_r.row_status) as r (lo, hi, status)
        cross join lateral public.arrival_rollup_of(r.lo, r.hi, r.status) n
    )
    select f.at, sum(f.arrived)::bigint, sum(f.ended)::bigint
    from (
        select e.created_hour as at, sum(e.jobs) as arrived, 0 as ended
        from ended e where e.created_hour >= v_from group by 1
        union all
        select e.ended_hour, 0, sum(e.jobs) from ended e group by 1
        union all
        select date_trunc('hour', q.created_at, 'UTC'), count(*), 0
        from public.job_queue q where q.status = 'pending' and q.created_at >= v_from group by 1
        union all
        select date_trunc('hour', q.created_at, 'UTC'), count(*), 0
        from public.job_queue q where q.status = 'processing' and q.created_at >= v_from group by 1
    ) f
    group by f.at;
end;
$$;
comment on function public.queue_flow is
    'Jobs created and jobs ended in each hour from that of p_from until now, purged ones included; hours without either are absent.';

create function public.bucket_span(
    p_start timestamptz, p_length interval, p_bucket text, out since timestamptz, out until timestamptz
)
language sql stable set search_path = ''
begin atomic
    select
        date_trunc(p_bucket, t.first, 'UTC'),
        case when p_start is null then t.last
             else least(date_trunc(p_bucket, t.last - interval '1 microsecond', 'UTC') + ('1 ' || p_bucket)::interval, now())
        end
    from (
        select coalesce(p_start, now() - p_length) as first, coalesce(p_start + p_length, now()) as last
    ) t;
end;
comment on function public.bucket_span is
    'A time as whole buckets (minute, hour or day of UTC): p_length from p_start, or up to now when that is null. Rounded outwards, but never past now.';

do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in ('histogram_percentiles', 'job_stats_parts', 'queue_flow', 'bucket_span')
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
