-- Statistics for pages and monitors, exact at any moment: the rollups plus, by index, the jobs not folded yet.

-- Histograms --------------------------------------------------------------------------------------

create function public.histogram_of(p_us bigint) returns numeric
language sql immutable parallel safe set search_path = ''
return ('1e' || 12 * case when p_us < 1000 then 0
    else least(1 + floor(ln(p_us / 1000.0::double precision) / ln(1.1::double precision)), 255) end::int)::numeric;
comment on function public.histogram_of is 'The histogram of a single time in microseconds; sum() merges them.';

create function public.histogram_counts(p_histogram numeric, out lowest_bin int, out counts bigint[])
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    v_digits text := p_histogram::text;
    v_length int := length(v_digits);
begin
    lowest_bin := case when p_histogram = 0 then 0 else (v_length - length(rtrim(v_digits, '0'))) / 12 end;
    v_digits := repeat('0', 11 - (v_length - 1) % 12) || left(v_digits, v_length - 12 * lowest_bin);
    counts := string_to_array(rtrim(regexp_replace(v_digits, '(.{12})', '\1,', 'g'), ','), ',')::bigint[];
end;
$$;
comment on function public.histogram_counts is 'Jobs in the bins of a histogram, from the highest to the lowest non-empty one.';

create function public.histogram_bins(p_histogram numeric)
returns table (from_seconds double precision, to_seconds double precision, jobs bigint)
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    v_h record := public.histogram_counts(p_histogram);
begin
    return query
    select
        case when c.bin = 0 then 0 else 0.001 * 1.1::double precision ^ (c.bin - 1) end,
        0.001 * 1.1::double precision ^ c.bin,
        c.jobs
    from (
        select u.jobs, v_h.lowest_bin + cardinality(v_h.counts) - u.place as bin
        from unnest(v_h.counts) with ordinality as u (jobs, place)
    ) c
    where c.jobs > 0
    order by c.bin;
end;
$$;
comment on function public.histogram_bins is
    'The bins of a histogram that are not empty: jobs that took at least from_seconds and less than to_seconds, which is 1.1 times as long.';

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
    v_inside   double precision;
    v_found    double precision[] := '{}'::double precision[];
begin
    if p_histogram is null or p_histogram = 0 then
        return array_fill(null::double precision, array[cardinality(p_fractions)]);
    end if;
    foreach v_fraction in array p_fractions loop
        v_rank := greatest(ceil(v_fraction * v_jobs), 1);
        while v_seen < v_rank loop
            v_place := v_place - 1;
            v_seen := v_seen + v_counts[v_place];
            v_bin := v_bin + 1;
        end loop;
        -- As if the jobs of a bin were spread evenly over it: its middle would hide what changes less than a bin is wide.
        v_inside := (v_rank - (v_seen - v_counts[v_place]) - 0.5) / v_counts[v_place];
        v_found := v_found || case when v_bin = 0 then 0 else 0.001 * 1.1::double precision ^ (v_bin - 1 + v_inside) end;
    end loop;
    return v_found;
end;
$$;
comment on function public.histogram_percentiles is
    'histogram_percentile for several fractions in ascending order, at the cost of one.';

create function public.histogram_percentile(p_histogram numeric, p_fraction double precision)
returns double precision
language sql immutable parallel safe set search_path = ''
return (public.histogram_percentiles(p_histogram, array[p_fraction]))[1];
comment on function public.histogram_percentile is
    'Seconds that a share of the jobs (0.95 for p95) stayed within. Interpolated within a bin, so at most 10% from what percentile_disc gives of the rows, and mostly within 1%, between 1 ms and a year; below 1 ms it is 0. Null for an empty histogram. sum() merges histograms.';

-- By hour and day ---------------------------------------------------------------------------------

create function public.rollup_ranges(
    p_from timestamptz, p_to timestamptz,
    out folded_from timestamptz, out folded_to timestamptz, out days_until timestamptz,
    out dirty_hours timestamptz[], out dirty_statuses text[],
    out row_from timestamptz[], out row_to timestamptz[], out row_status text[]
)
language plpgsql stable set search_path = ''
as $$
declare
    v_watermark timestamptz;
begin
    select s.folded_until, s.days_until into v_watermark, days_until from public.rollup_state s;
    -- Whole hours, and of the hour of the watermark the folded part.
    folded_from := date_trunc('hour', p_from, 'UTC');
    folded_from := folded_from + case when folded_from < p_from then interval '1 hour' else '0' end;
    folded_to := case when p_to >= v_watermark then v_watermark else date_trunc('hour', p_to, 'UTC') end;
    if folded_from >= folded_to then
        folded_to := folded_from;
        row_from := array[p_from];
        row_to := array[p_to];
    else
        row_from := array[p_from, folded_to];
        row_to := array[folded_from, p_to];
    end if;
    row_status := array_fill(null::text, array[cardinality(row_from)]);
    select coalesce(array_agg(d.hour), '{}'), coalesce(array_agg(d.status), '{}')
    into dirty_hours, dirty_statuses
    from (
        select distinct m.hour, m.status from public.rollup_dirty m where m.hour >= folded_from and m.hour < folded_to
    ) d;
    row_from := row_from || dirty_hours;
    row_to := row_to || array(
        select least(h + interval '1 hour', folded_to) from unnest(dirty_hours) with ordinality as d (h, n) order by n
    );
    row_status := row_status || dirty_statuses;
end;
$$;
comment on function public.rollup_ranges is
    'How to read a range of time: rollup hours from folded_from to folded_to except the dirty ones, and the rows that ended in the ranges row_from to row_to (of row_status, null for all).';

create function public.job_stats_parts(p_from timestamptz, p_to timestamptz, p_bucket text)
returns table (
    bucket timestamptz, job_type text, model_id text, status text, jobs bigint,
    runs bigint, run_us numeric, run_us_min bigint, run_us_max bigint, run_histogram numeric,
    waits bigint, wait_us numeric, wait_us_max bigint, wait_histogram numeric,
    oldest timestamptz, newest timestamptz, attempts numeric
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
               h.waits, h.wait_us, h.wait_us_max, h.wait_histogram, h.oldest, h.newest, h.attempts
        from hours h
        where h.purged or (h.hour, h.status) not in (select * from unnest(v_r.dirty_hours, v_r.dirty_statuses))
        union all
        -- Purged before their hour was folded.
        select h.hour, h.job_type, h.model_id, h.status, h.jobs,
               h.runs, h.run_us, h.run_us_min, h.run_us_max, h.run_histogram,
               h.waits, h.wait_us, h.wait_us_max, h.wait_histogram, h.oldest, h.newest, h.attempts
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
        p.waits, p.wait_us, p.wait_us_max, p.wait_histogram, p.oldest, p.newest, p.attempts
    from parts p;
end;
$$;
comment on function public.job_stats_parts is
    'What job_stats sums up, in microseconds. A key may have several rows. For coarser sums, use these rows to merge fewer histograms.';

create function public.job_stats(p_from timestamptz, p_to timestamptz, p_bucket text default 'hour')
returns table (
    bucket timestamptz, job_type text, model_id text, status text, jobs bigint,
    runs bigint, run_seconds double precision, run_seconds_min double precision, run_seconds_max double precision,
    run_histogram numeric,
    waits bigint, wait_seconds double precision, wait_seconds_max double precision, wait_histogram numeric,
    oldest timestamptz, newest timestamptz, attempts numeric
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
        min(p.oldest), max(p.newest), sum(p.attempts)
    from public.job_stats_parts(p_from, p_to, p_bucket) p
    group by 1, 2, 3, 4;
end;
$$;
comment on function public.job_stats is
    'Jobs that ended from p_from to before p_to, per bucket (hour or day of UTC; all: one, with bucket null), type, model and status (refused is a status of its own here), purged ones included, as whole hours. run: completed_at - started_at; wait: started_at - scheduled_at, both of the last attempt and in seconds; runs and waits: jobs that have one; attempts: those of all of the jobs together.';

create function public.failure_stats(p_from timestamptz, p_to timestamptz)
returns table (
    hour timestamptz, job_type text, model_id text, error_group text, error_code text, jobs bigint,
    first_at timestamptz, last_at timestamptz, users uuid[]
)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_r record;
begin
    v_r := public.rollup_ranges(p_from, p_to);
    return query
    select f.hour, f.job_type, f.model_id, f.error_group, f.error_code, f.jobs, f.first_at, f.last_at, f.users
    from public.failure_rollup f
    where f.hour >= v_r.folded_from and f.hour < v_r.folded_to
      and (f.purged or (f.hour, case f.error_code when 'refused' then 'refused' else 'failed' end)
           not in (select * from unnest(v_r.dirty_hours, v_r.dirty_statuses)))
    union all
    select f.hour, f.job_type, f.model_id, f.error_group, f.error_code, f.jobs, f.first_at, f.last_at, f.users
    from public.failure_rollup f
    where f.purged and f.hour >= v_r.folded_to and f.hour < date_trunc('hour', p_to, 'UTC')
    union all
    select n.*
    from unnest(v_r.row_from, v_r.row_to, v_r.row_status) as r (lo, hi, status)
    cross join lateral public.failure_rollup_of(r.lo, r.hi, r.status) n
    where r.status is null or r.status in ('failed', 'refused');
end;
$$;
comment on function public.failure_stats is
    'Jobs that failed or were refused from p_from to before p_to by hour, type, model, error_group and code, purged ones included, as whole hours. users: who created them, each once per row. A key may have several rows: sum them.';

create function public.arrival_stats(p_from timestamptz, p_to timestamptz)
returns table (hour timestamptz, job_type text, model_id text, jobs bigint)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_r    record;
    v_from constant timestamptz := date_trunc('hour', p_from, 'UTC');
    v_to   constant timestamptz := date_trunc('hour', p_to, 'UTC')
        + case when date_trunc('hour', p_to, 'UTC') < p_to then interval '1 hour' else '0' end;
begin
    -- A job created in this range may have ended at any time, so every job not folded yet counts.
    v_r := public.rollup_ranges('-infinity', 'infinity');
    return query
    select p.created_hour, p.job_type, p.model_id, sum(p.jobs)::bigint
    from (
        select a.created_hour, a.job_type, a.model_id, a.jobs
        from public.arrival_rollup a
        where a.created_hour >= v_from and a.created_hour < v_to
          and (a.purged or (a.hour, a.status) not in (select * from unnest(v_r.dirty_hours, v_r.dirty_statuses)))
        union all
        select n.created_hour, n.job_type, n.model_id, n.jobs
        from unnest(v_r.row_from, v_r.row_to, v_r.row_status) as r (lo, hi, status)
        cross join lateral public.arrival_rollup_of(r.lo, r.hi, r.status) n
        where n.created_hour >= v_from and n.created_hour < v_to
        union all
        select date_trunc('hour', q.created_at, 'UTC'), left(q.job_type, 200), left(coalesce(q.payload ->> 'model_id', ''), 200), 1
        from public.job_queue q
        where q.status = 'pending' and q.created_at >= v_from and q.created_at < v_to
        union all
        select date_trunc('hour', q.created_at, 'UTC'), left(q.job_type, 200), left(coalesce(q.payload ->> 'model_id', ''), 200), 1
        from public.job_queue q
        where q.status = 'processing' and q.created_at >= v_from and q.created_at < v_to
    ) p
    group by 1, 2, 3;
end;
$$;
comment on function public.arrival_stats is
    'Jobs created in each hour that begins from p_from (rounded down to the hour) to before p_to, by type and model, purged ones included.';

create function public.queue_flow(p_from timestamptz)
returns table (hour timestamptz, arrivals bigint, ends bigint)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_from constant timestamptz := date_trunc('hour', p_from, 'UTC');
    v_r    record := public.rollup_ranges(v_from, 'infinity');
begin
    return query
    -- A job created since then has either ended since then or is live.
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

create function public.whole_buckets(
    p_from timestamptz, p_to timestamptz, p_bucket text, out since timestamptz, out until timestamptz
)
language sql stable set search_path = ''
as $$
    select
        date_trunc(p_bucket, p_from, 'UTC'),
        case when p_to is null then now()
             else least(date_trunc(p_bucket, p_to - interval '1 microsecond', 'UTC') + ('1 ' || p_bucket)::interval, now())
        end;
$$;
comment on function public.whole_buckets is
    'A range rounded outward to whole buckets (minute, hour or day of UTC), but never past now; p_to null: up to now.';

create function public.bucket_span(
    p_start timestamptz, p_length interval, p_bucket text, out since timestamptz, out until timestamptz
)
language sql stable set search_path = ''
as $$ select * from public.whole_buckets(coalesce(p_start, now() - p_length), p_start + p_length, p_bucket) $$;
comment on function public.bucket_span is
    'whole_buckets of p_length from p_start, or of the last p_length when p_start is null.';

-- By minute ---------------------------------------------------------------------------------------

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
    'Jobs that ended since the minute of p_from, which is at most 24 hours ago, by minute, type and status; purged ones are missing. A key may have several rows: sum them.';

create function public.recent_arrivals(p_from timestamptz) returns table (minute timestamptz, jobs bigint)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_r record := public.minute_ranges(p_from);
begin
    return query
    -- A job created since then has either ended since then or is live.
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
    'Jobs created since the minute of p_from, which is at most 24 hours ago, by minute; purged ones are missing. A minute may have several rows: sum them.';

-- Samples -----------------------------------------------------------------------------------------

create table public.queue_samples (
    minute     timestamptz primary key,
    pending    int         not null,
    due        int         not null,
    processing int         not null
);
comment on table public.queue_samples is
    'Length of the queue, sampled once a minute; not changed by later retries or deletions. Kept for 90 days. Minutes without a live worker are missing.';
comment on column public.queue_samples.due is 'Of the pending jobs, those past their scheduled time.';

create function public.sample_queue() returns boolean
language plpgsql volatile set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_minute constant timestamptz := date_trunc('minute', now(), 'UTC');
begin
    insert into public.queue_samples (minute, pending, due, processing)
    select v_minute, p.pending, p.due, (select count(*) from public.job_queue q where q.status = 'processing')
    from (
        select count(*) as pending, count(*) filter (where q.scheduled_at <= now()) as due
        from public.job_queue q where q.status = 'pending'
    ) p
    where not exists (select from public.queue_samples s where s.minute = v_minute)
    on conflict do nothing;
    if not found then
        return false;
    end if;
    delete from public.queue_samples s where s.minute < v_minute - interval '90 days';
    return true;
end;
$$;
comment on function public.sample_queue is 'Samples the queue, unless this minute has a sample already. True if it did.';

-- Counters for a monitor --------------------------------------------------------------------------

create table public.job_totals (
    job_type text   not null,
    status   text   not null,
    jobs     bigint not null,
    primary key (job_type, status)
);
comment on table public.job_totals is 'The highest numbers of ended jobs that ended_totals has returned.';

create function public.ended_totals() returns setof public.job_totals
language plpgsql volatile set search_path = ''
as $$
begin
    insert into public.job_totals as t (job_type, status, jobs)
    select s.job_type, s.status, sum(s.jobs)::bigint from public.job_stats_parts('-infinity', 'infinity', 'all') s
    group by s.job_type, s.status
    order by s.job_type, s.status
    on conflict (job_type, status) do update set jobs = excluded.jobs where excluded.jobs > t.jobs;
    return query select * from public.job_totals;
end;
$$;
comment on function public.ended_totals is
    'How many jobs have ended so far, purged ones included. Never decreases, even if a failed job is retried, because monitors interpret a decrease as a counter reset.';
