-- History folded by the hour, so that no page reads it row by row.
--
-- Three rollups hold what finished before rollup_state.folded_until (the watermark): job_rollup with
-- run times and waits, arrival_rollup with when those jobs were created, failure_rollup with the
-- errors. Readers add what finished since, by index. The hot path pays nothing for all this.
-- Times are kept in microseconds, whole hours and days are those of UTC.

create table public.job_rollup (
    hour           timestamptz not null,
    job_type       text        not null,
    model_id       text        not null,
    status         text        not null,
    purged         boolean     not null,
    jobs           bigint      not null,
    runs           bigint      not null,
    run_us         bigint      not null,
    run_us_min     bigint,
    run_us_max     bigint,
    run_histogram  numeric     not null,
    waits          bigint      not null,
    wait_us        bigint      not null,
    wait_us_max    bigint,
    wait_histogram numeric     not null,
    oldest         timestamptz not null,
    newest         timestamptz not null,
    primary key (hour, job_type, model_id, status, purged)
) with (fillfactor = 70);
comment on table public.job_rollup is 'Finished jobs by the hour in which they ended.';
comment on column public.job_rollup.model_id is 'The model_id of the payload; empty when it names none.';
comment on column public.job_rollup.purged is 'False: equals the rows of job_queue. True: jobs that purge_jobs deleted; only ever grows.';
comment on column public.job_rollup.runs is 'Jobs that were started. run_us: sum of completed_at - started_at of their last attempts.';
comment on column public.job_rollup.wait_us is 'Sum of started_at - scheduled_at of the last attempts, none below 0.';
comment on column public.job_rollup.run_histogram is
    'Histogram of run times. A digit group of twelve decimal digits per bin, the lowest bin last, so that sum() merges histograms. Bin 0 is below 1 ms, bin n from 1.1^(n-1) to 1.1^n ms. Read by histogram_percentile and histogram_bins.';
comment on column public.job_rollup.oldest is 'First and last (newest) created_at.';

-- Long ranges read whole days: both parts, purged or not, of the hours of a day.
create table public.job_rollup_daily (
    day            timestamptz not null,
    job_type       text        not null,
    model_id       text        not null,
    status         text        not null,
    jobs           bigint      not null,
    runs           bigint      not null,
    run_us         bigint      not null,
    run_us_min     bigint,
    run_us_max     bigint,
    run_histogram  numeric     not null,
    waits          bigint      not null,
    wait_us        bigint      not null,
    wait_us_max    bigint,
    wait_histogram numeric     not null,
    oldest         timestamptz not null,
    newest         timestamptz not null,
    primary key (day, job_type, model_id, status)
);
comment on table public.job_rollup_daily is 'job_rollup summed up by days that are over.';

create table public.arrival_rollup (
    hour         timestamptz not null,
    status       text        not null,
    created_hour timestamptz not null,
    job_type     text        not null,
    model_id     text        not null,
    purged       boolean     not null,
    jobs         bigint      not null,
    primary key (hour, status, created_hour, job_type, model_id, purged)
) with (fillfactor = 70);
create index arrival_rollup_created_idx on public.arrival_rollup (created_hour);
comment on table public.arrival_rollup is
    'When the jobs that ended in an hour had been created. Live jobs are not in it: arrival_stats counts them by index.';

create table public.failure_rollup (
    hour        timestamptz not null,
    job_type    text        not null,
    model_id    text        not null,
    error_group text        not null,
    error_code  text        not null,
    purged      boolean     not null,
    jobs        bigint      not null,
    first_at    timestamptz not null,
    last_at     timestamptz not null,
    users       uuid[]      not null,
    primary key (hour, job_type, model_id, error_group, error_code, purged)
) with (fillfactor = 70);
comment on table public.failure_rollup is 'Failed jobs by the hour in which they ended and by error_group().';
comment on column public.failure_rollup.error_code is 'code of error_details; empty when it has none.';
comment on column public.failure_rollup.users is 'Who created the jobs, each once, in order.';

create table public.rollup_state (
    only_row       boolean     primary key default true check (only_row),
    folded_until   timestamptz not null default '-infinity',
    safe_until     timestamptz not null default '-infinity',
    days_until     timestamptz not null default '-infinity',
    closed_until   timestamptz not null default '-infinity',
    checkpoint_at  timestamptz not null,
    checkpoint_xid xid8        not null,
    refreshed_at   timestamptz not null default '-infinity'
);
comment on table public.rollup_state is 'How far the rollups are. Who changes a rollup locks this row.';
comment on column public.rollup_state.folded_until is 'The watermark: what finished before it is folded.';
comment on column public.rollup_state.safe_until is
    'No transaction is open any more that could still commit a job finished before it: how far folding may go.';
comment on column public.rollup_state.checkpoint_xid is
    'A transaction that began at checkpoint_at: once all older ones have ended, checkpoint_at is safe.';
comment on column public.rollup_state.closed_until is 'Hours before it were folded, or folded again, some time after their end.';

create table public.rollup_dirty (
    hour   timestamptz not null,
    status text        not null,
    xid    xid8        not null default pg_current_xact_id(),
    primary key (hour, status, xid)
);
comment on table public.rollup_dirty is
    'Hours whose finished jobs of a status changed after the fact: readers count their rows until they are folded again. One mark per transaction, so that none is taken away by a refresh that did not see its change.';

insert into public.rollup_state (checkpoint_at, checkpoint_xid) values (now(), pg_current_xact_id());

create function public.mark_rollup_dirty() returns trigger
language plpgsql set search_path = ''
as $$
begin
    insert into public.rollup_dirty (hour, status) values (date_trunc('hour', old.completed_at, 'UTC'), old.status)
    on conflict do nothing;
    return null;
end;
$$;
comment on function public.mark_rollup_dirty is 'Notes that a finished job is finished no more, or gone.';

-- For every caller, and at no cost for the jobs that never come back.
create trigger job_queue_reopened
    after update of status on public.job_queue
    for each row
    when (old.status in ('failed', 'cancelled') and new.status = 'pending' and old.completed_at is not null)
    execute function public.mark_rollup_dirty();

create trigger job_queue_deleted
    after delete on public.job_queue
    for each row
    when (old.status in ('completed', 'failed', 'cancelled') and old.completed_at is not null)
    execute function public.mark_rollup_dirty();

create function public.rollup_patience() returns interval
language sql immutable parallel safe set search_path = ''
return interval '10 minutes';
comment on function public.rollup_patience() is
    'How long folding waits for open transactions. A job that a longer one finishes is missing until its hour is folded again after its end.';

create function public.error_group(p_error text, p_model_id text default '') returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    v_error text := left(p_error, 2000);
begin
    if p_model_id <> '' then
        v_error := replace(v_error, p_model_id, '<model>');
    end if;
    v_error := regexp_replace(v_error, '[a-z][a-z0-9+.-]*://[^\s"''<>]+', '<url>', 'gi');
    v_error := regexp_replace(v_error, '\m[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\M', '<id>', 'gi');
    -- Hashes, and the ids of predictions: letters and digits mixed.
    v_error := regexp_replace(v_error, '\m(?=[a-z]*[0-9])(?=[0-9]*[a-z])([0-9a-f]{8,}|[0-9a-z]{20,})\M', '<id>', 'gi');
    v_error := regexp_replace(v_error, '[0-9]+([.,:][0-9]+)*', '<n>', 'g');
    return left(btrim(regexp_replace(v_error, '\s+', ' ', 'g')), 200);
end;
$$;
comment on function public.error_group(text, text) is
    'What errors of one kind have in common: the model, URLs, ids and numbers replaced by <model>, <url>, <id>, <n>; at most 200 characters.';

create function public.finished_jobs(
    p_from timestamptz, p_to timestamptz, p_status text default null, p_ids uuid[] default null
) returns table (
    hour timestamptz, job_type text, model_id text, status text, run_us bigint, wait_us bigint, created_at timestamptz
)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
begin
    return query
    select
        date_trunc('hour', q.completed_at, 'UTC'), coalesce(q.job_type, ''), coalesce(q.payload ->> 'model_id', ''),
        q.status,
        (extract(epoch from q.completed_at - q.started_at) * 1000000)::bigint,
        greatest((extract(epoch from q.started_at - q.scheduled_at) * 1000000)::bigint, 0),
        q.created_at
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

-- Columns as in the table, without hour ranges that overlap: what folding writes and readers add.
create function public.job_rollup_of(
    p_from timestamptz, p_to timestamptz, p_status text default null, p_ids uuid[] default null
) returns table (
    hour timestamptz, job_type text, model_id text, status text, jobs bigint,
    runs bigint, run_us bigint, run_us_min bigint, run_us_max bigint, run_histogram numeric,
    waits bigint, wait_us bigint, wait_us_max bigint, wait_histogram numeric,
    oldest timestamptz, newest timestamptz
)
language plpgsql stable set search_path = ''
as $$
declare
    v_growth constant double precision := ln(1.1::double precision);
begin
    return query
    select
        j.hour, j.job_type, j.model_id, j.status, count(*),
        count(j.run_us), coalesce(sum(j.run_us), 0)::bigint, min(j.run_us), max(j.run_us),
        coalesce(sum(('1e' || 12 * case when j.run_us < 1000 then 0
            else least(1 + floor(ln(j.run_us / 1000.0::double precision) / v_growth), 255) end::int)::numeric) filter (where j.run_us is not null), 0),
        count(j.wait_us), coalesce(sum(j.wait_us), 0)::bigint, max(j.wait_us),
        coalesce(sum(('1e' || 12 * case when j.wait_us < 1000 then 0
            else least(1 + floor(ln(j.wait_us / 1000.0::double precision) / v_growth), 255) end::int)::numeric) filter (where j.wait_us is not null), 0),
        min(j.created_at), max(j.created_at)
    from public.finished_jobs(p_from, p_to, p_status, p_ids) j
    group by j.hour, j.job_type, j.model_id, j.status;
end;
$$;
comment on function public.job_rollup_of is 'What job_rollup holds of the jobs that finished_jobs gives.';

create function public.arrival_rollup_of(
    p_from timestamptz, p_to timestamptz, p_status text default null, p_ids uuid[] default null
) returns table (
    hour timestamptz, status text, created_hour timestamptz, job_type text, model_id text, jobs bigint
)
language plpgsql stable set search_path = ''
as $$
begin
    return query
    select j.hour, j.status, date_trunc('hour', j.created_at, 'UTC'), j.job_type, j.model_id, count(*)
    from public.finished_jobs(p_from, p_to, p_status, p_ids) j
    group by 1, 2, 3, 4, 5;
end;
$$;
comment on function public.arrival_rollup_of is 'What arrival_rollup holds of the jobs that finished_jobs gives.';

create function public.failure_rollup_of(p_from timestamptz, p_to timestamptz, p_ids uuid[] default null)
returns table (
    hour timestamptz, job_type text, model_id text, error_group text, error_code text, jobs bigint,
    first_at timestamptz, last_at timestamptz, users uuid[]
)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
begin
    return query
    select
        date_trunc('hour', q.completed_at, 'UTC'), coalesce(q.job_type, ''), coalesce(q.payload ->> 'model_id', ''),
        coalesce(public.error_group(q.error_message, coalesce(q.payload ->> 'model_id', '')), ''),
        coalesce(q.error_details ->> 'code', ''), count(*), min(q.completed_at), max(q.completed_at),
        coalesce(array_agg(distinct q.created_by order by q.created_by) filter (where q.created_by is not null), '{}')
    from (
        select * from public.job_queue f
        where p_ids is null and f.status = 'failed' and f.completed_at >= p_from and f.completed_at < p_to
        union all
        select * from public.job_queue f
        where f.id = any (p_ids) and f.status = 'failed'
    ) q
    group by 1, 2, 3, 4, 5;
end;
$$;
comment on function public.failure_rollup_of is 'What failure_rollup holds of the failed jobs of a time, or of those of p_ids.';

-- The row of rollup_state is locked by the caller, here and below.
create function public.add_to_rollups(
    p_from timestamptz, p_to timestamptz, p_status text default null, p_ids uuid[] default null
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_purged constant boolean := p_ids is not null;
begin
    insert into public.job_rollup as r
    select n.hour, n.job_type, n.model_id, n.status, v_purged, n.jobs,
           n.runs, n.run_us, n.run_us_min, n.run_us_max, n.run_histogram,
           n.waits, n.wait_us, n.wait_us_max, n.wait_histogram, n.oldest, n.newest
    from public.job_rollup_of(p_from, p_to, p_status, p_ids) n
    on conflict (hour, job_type, model_id, status, purged) do update
    set jobs = r.jobs + excluded.jobs,
        runs = r.runs + excluded.runs, run_us = r.run_us + excluded.run_us,
        run_us_min = least(r.run_us_min, excluded.run_us_min), run_us_max = greatest(r.run_us_max, excluded.run_us_max),
        run_histogram = r.run_histogram + excluded.run_histogram,
        waits = r.waits + excluded.waits, wait_us = r.wait_us + excluded.wait_us,
        wait_us_max = greatest(r.wait_us_max, excluded.wait_us_max),
        wait_histogram = r.wait_histogram + excluded.wait_histogram,
        oldest = least(r.oldest, excluded.oldest), newest = greatest(r.newest, excluded.newest);

    insert into public.arrival_rollup as r
    select n.hour, n.status, n.created_hour, n.job_type, n.model_id, v_purged, n.jobs
    from public.arrival_rollup_of(p_from, p_to, p_status, p_ids) n
    on conflict (hour, status, created_hour, job_type, model_id, purged) do update
    set jobs = r.jobs + excluded.jobs;

    if p_status is null or p_status = 'failed' then
        insert into public.failure_rollup as r
        select n.hour, n.job_type, n.model_id, n.error_group, n.error_code, v_purged, n.jobs, n.first_at, n.last_at, n.users
        from public.failure_rollup_of(p_from, p_to, p_ids) n
        on conflict (hour, job_type, model_id, error_group, error_code, purged) do update
        set jobs = r.jobs + excluded.jobs,
            first_at = least(r.first_at, excluded.first_at), last_at = greatest(r.last_at, excluded.last_at),
            users = array(select distinct u from unnest(r.users || excluded.users) u order by u);
    end if;
end;
$$;
comment on function public.add_to_rollups is
    'Adds the jobs that finished in a time (of one status or all) to the rollups; those of p_ids as purged.';

create function public.refold_hour(p_hour timestamptz, p_until timestamptz, p_status text default null) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    delete from public.job_rollup r
    where r.hour = p_hour and not r.purged and (p_status is null or r.status = p_status);
    delete from public.arrival_rollup r
    where r.hour = p_hour and not r.purged and (p_status is null or r.status = p_status);
    delete from public.failure_rollup r
    where r.hour = p_hour and not r.purged and (p_status is null or p_status = 'failed');
    perform public.add_to_rollups(p_hour, least(p_hour + interval '1 hour', p_until), p_status);
end;
$$;
comment on function public.refold_hour is 'Folds an hour again from its rows, as far as they end before p_until.';

create function public.rolled_days(p_from timestamptz, p_to timestamptz) returns setof public.job_rollup_daily
language plpgsql stable set search_path = ''
as $$
begin
    return query
    select
        date_trunc('day', r.hour, 'UTC'), r.job_type, r.model_id, r.status, sum(r.jobs)::bigint,
        sum(r.runs)::bigint, sum(r.run_us)::bigint, min(r.run_us_min), max(r.run_us_max), sum(r.run_histogram),
        sum(r.waits)::bigint, sum(r.wait_us)::bigint, max(r.wait_us_max), sum(r.wait_histogram),
        min(r.oldest), max(r.newest)
    from public.job_rollup r
    where r.hour >= p_from and r.hour < p_to
    group by 1, 2, 3, 4;
end;
$$;
comment on function public.rolled_days is 'What job_rollup_daily holds of whole days; both times are the beginning of a day.';

create function public.roll_days(p_from timestamptz, p_to timestamptz) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    delete from public.job_rollup_daily d where d.day >= p_from and d.day < p_to;
    insert into public.job_rollup_daily select * from public.rolled_days(p_from, p_to);
end;
$$;
comment on function public.roll_days is 'Sums up the hours of whole days again; both times are the beginning of a day.';

create function public.advance_safe_until() returns timestamptz
language plpgsql volatile set search_path = ''
as $$
declare
    v_safe timestamptz;
begin
    -- completed_at is taken by transactions that already hold a lock, so have a number. All that took it
    -- before checkpoint_at have a lower number than the transaction which began then.
    update public.rollup_state s
    set safe_until = greatest(s.safe_until, s.checkpoint_at), checkpoint_at = now(), checkpoint_xid = pg_current_xact_id()
    where pg_snapshot_xmin(pg_current_snapshot()) >= s.checkpoint_xid
       or s.checkpoint_at < now() - public.rollup_patience();
    select s.safe_until into v_safe from public.rollup_state s;
    return v_safe;
end;
$$;
comment on function public.advance_safe_until is
    'How far folding may go: past every time at which an open transaction could have finished a job.';

create function public.fold_until(p_until timestamptz, p_deadline timestamptz) returns timestamptz
language plpgsql volatile set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_from  timestamptz := (select s.folded_until from public.rollup_state s);
    v_next  timestamptz;
    v_step  interval := '1 hour';
    v_began timestamptz;
begin
    while v_from < p_until and clock_timestamp() < p_deadline loop
        v_began := clock_timestamp();
        select min(q.completed_at) into v_next from public.job_queue q
        where q.status in ('completed', 'failed', 'cancelled') and q.completed_at >= v_from and q.completed_at < p_until;
        if v_next is null then
            v_from := p_until;
        else
            v_next := least(date_trunc('hour', v_next, 'UTC') + v_step, p_until);
            perform public.add_to_rollups(v_from, v_next);
            v_from := v_next;
        end if;
        -- Longer steps where history is thin.
        v_step := case when clock_timestamp() - v_began < interval '50 milliseconds'
                       then least(v_step * 2, interval '1 day') else interval '1 hour' end;
    end loop;
    update public.rollup_state s set folded_until = v_from;
    return v_from;
end;
$$;
comment on function public.fold_until is 'Folds what finished since the watermark, an hour to a day at a time, and moves the watermark; stops at p_deadline.';

create function public.refold_dirty_hours(p_until timestamptz, p_days_until timestamptz, p_deadline timestamptz) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_mark record;
    v_days timestamptz[] := '{}';
begin
    for v_mark in
        select distinct d.hour, d.status from public.rollup_dirty d order by d.hour desc, d.status
    loop
        exit when clock_timestamp() > p_deadline;
        -- First the marks that are seen, then the rows: a change in between leaves its own mark.
        delete from public.rollup_dirty d where d.hour = v_mark.hour and d.status = v_mark.status;
        if v_mark.hour < p_until then
            perform public.refold_hour(v_mark.hour, p_until, v_mark.status);
            v_days := v_days || date_trunc('day', v_mark.hour, 'UTC');
        end if;
    end loop;
    perform public.roll_days(t.day, t.day + interval '1 day')
    from (select distinct d as day from unnest(v_days) d) t
    where t.day < p_days_until;
end;
$$;
comment on function public.refold_dirty_hours is 'Folds again the hours whose finished jobs changed, and sums up their days.';

create function public.refresh_rollup(p_every interval default '0') returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_state    public.rollup_state;
    v_deadline constant timestamptz := clock_timestamp() + interval '1 second';
    v_safe     timestamptz;
    v_folded   timestamptz;
    v_due      timestamptz;
    v_days     timestamptz;
    v_hour     timestamptz;
begin
    select * into v_state from public.rollup_state s for update skip locked;
    if not found
       or (v_state.refreshed_at > clock_timestamp() - p_every and v_state.folded_until >= v_state.safe_until)
    then
        return false;
    end if;
    v_safe := public.advance_safe_until();

    perform public.refold_dirty_hours(v_state.folded_until, v_state.days_until, v_deadline);

    -- Each hour once more some time after its end. Hours that are first folded then already need it not.
    v_due := date_trunc('hour', v_safe - public.rollup_patience() - interval '5 minutes', 'UTC');
    v_hour := v_state.closed_until;
    while isfinite(v_hour) and v_hour < least(v_due, v_state.folded_until) loop
        perform public.refold_hour(v_hour, v_state.folded_until);
        if v_hour < v_state.days_until then
            perform public.roll_days(date_trunc('day', v_hour, 'UTC'), date_trunc('day', v_hour, 'UTC') + interval '1 day');
        end if;
        v_hour := v_hour + interval '1 hour';
    end loop;

    v_folded := public.fold_until(v_safe, v_deadline);
    v_days := date_trunc('day', v_folded, 'UTC');
    if v_days > v_state.days_until then
        perform public.roll_days(v_state.days_until, v_days);
    end if;
    update public.rollup_state s
    set days_until = v_days, closed_until = greatest(s.closed_until, v_due), refreshed_at = clock_timestamp();
    return v_folded < v_safe or exists (select from public.rollup_dirty);
end;
$$;
comment on function public.refresh_rollup is
    'Folds what finished since the last refresh, for about a second. True when more is left. Does nothing while another refresh runs, or when the last one is younger than p_every and left nothing.';

create function public.rebuild_rollup() returns void
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
    update public.rollup_state s set folded_until = '-infinity';
    v_folded := public.fold_until(public.advance_safe_until(), 'infinity');
    perform public.roll_days('-infinity', date_trunc('day', v_folded, 'UTC'));
    update public.rollup_state s
    set days_until = date_trunc('day', v_folded, 'UTC'),
        closed_until = least(s.closed_until, date_trunc('hour', v_folded, 'UTC')), refreshed_at = clock_timestamp();
end;
$$;
comment on function public.rebuild_rollup is
    'Folds all of job_queue again, after rows were loaded past the queue''s functions. The figures of purged jobs stay. Takes seconds per million jobs.';

create function public.purge_jobs(p_actor text, p_before timestamptz, p_limit int default 10000) returns int
language plpgsql volatile set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_before constant timestamptz := least(date_trunc('hour', p_before, 'UTC'), date_trunc('hour', now(), 'UTC'));
    v_ids    uuid[];
begin
    perform public.require_actor(p_actor);
    if p_before is null then
        raise exception 'before is null: say up to when finished jobs are deleted' using errcode = '22023';
    end if;
    if p_limit is null or p_limit not between 1 and 100000 then
        raise exception 'limit is %: choose 1 to 100000', p_limit using errcode = '22023';
    end if;
    perform from public.rollup_state s for update;
    v_ids := array(
        select q.id from public.job_queue q
        where q.status in ('completed', 'failed', 'cancelled') and q.completed_at < v_before
        order by q.completed_at limit p_limit
        for update skip locked
    );
    if cardinality(v_ids) > 0 then
        perform public.add_to_rollups(null, null, null, v_ids);
        -- Each deleted row marks its hour dirty: until the next refresh its rows are counted, not their rollup.
        delete from public.job_queue q where q.id = any (v_ids);
        insert into public.audit_log (actor, action, affected, details)
        values (p_actor, 'purge_jobs', cardinality(v_ids), jsonb_build_object('finished_before', v_before));
    end if;
    return cardinality(v_ids);
end;
$$;
comment on function public.purge_jobs is
    'Deletes up to p_limit finished jobs, oldest first, that ended before p_before (rounded down to the hour), and records who did it. Their figures stay in the rollups. Returns how many: call it until it returns 0.';

create function public.verify_rollup() returns table (rollup text, source text, bucket jsonb)
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
    ), counted as (
        select 'job_rollup', r.hour, to_jsonb(r) from public.job_rollup_of('-infinity', v_until) r
        union all
        select 'arrival_rollup', r.hour, to_jsonb(r) from public.arrival_rollup_of('-infinity', v_until) r
        union all
        select 'failure_rollup', r.hour, to_jsonb(r) from public.failure_rollup_of('-infinity', v_until) r
        union all
        select 'job_rollup_daily', d.day, to_jsonb(d) from public.rolled_days('-infinity', v_days) d
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
comment on function public.verify_rollup is
    'Folded buckets that differ from the rows: as the rollup has them, and as the rows give them. Hours that are marked dirty are left out. Reads all of job_queue.';
