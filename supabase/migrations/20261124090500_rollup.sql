-- History aggregated by minute, hour and day, so that no page reads job_queue row by row: the tables, and
-- the functions that compute their rows from jobs. The next file folds jobs into them.
--
-- Jobs that finished before rollup_state.folded_until (the watermark) are folded. Readers add the ones that
-- finished since, by index. Claims and completions pay nothing for it. Times are in microseconds, hours and
-- days are UTC.

-- Tables ------------------------------------------------------------------------------------------

create table public.job_rollup (
    hour           timestamptz not null,
    job_type       text        not null,
    model_id       text        not null,
    status         text        not null,
    purged         boolean     not null,
    jobs           bigint      not null,
    runs           bigint      not null,
    run_us         numeric     not null,
    run_us_min     bigint,
    run_us_max     bigint,
    run_histogram  numeric     not null,
    waits          bigint      not null,
    wait_us        numeric     not null,
    wait_us_max    bigint,
    wait_histogram numeric     not null,
    oldest         timestamptz not null,
    newest         timestamptz not null,
    attempts       numeric     not null,
    primary key (hour, job_type, model_id, status, purged)
) with (fillfactor = 70);
comment on table public.job_rollup is 'Finished jobs by the hour in which they ended.';
comment on column public.job_rollup.status is
    'completed, failed, cancelled, or refused: failed in job_queue, but counted apart (failure_outcome). So in all rollups.';
comment on column public.job_rollup.model_id is
    'The first 200 characters of the payload''s model_id, empty if there is none. Other names are cut too, because an index entry holds at most 2.7 kB.';
comment on column public.job_rollup.runs is 'Jobs that were started. run_us: sum of completed_at - started_at of their last attempts.';
comment on column public.job_rollup.wait_us is 'Sum of started_at - scheduled_at of the last attempts, none below 0.';
comment on column public.job_rollup.run_histogram is
    'Histogram of run times. A digit group of twelve decimal digits per bin, the lowest bin last, so that sum() merges histograms. Bin 0 is below 1 ms, bin n from 1.1^(n-1) to 1.1^n ms. Read by histogram_percentile and histogram_bins.';
comment on column public.job_rollup.oldest is 'First and last (newest) created_at.';
comment on column public.job_rollup.attempts is 'Attempts of all of the jobs together.';
comment on column public.job_rollup.purged is 'False: equals the rows of job_queue. True: jobs that purge_finished_jobs deleted; only ever grows.';

-- For long ranges. Unlike job_rollup it does not separate purged jobs.
create table public.job_rollup_daily (
    day            timestamptz not null,
    job_type       text        not null,
    model_id       text        not null,
    status         text        not null,
    jobs           bigint      not null,
    runs           bigint      not null,
    run_us         numeric     not null,
    run_us_min     bigint,
    run_us_max     bigint,
    run_histogram  numeric     not null,
    waits          bigint      not null,
    wait_us        numeric     not null,
    wait_us_max    bigint,
    wait_histogram numeric     not null,
    oldest         timestamptz not null,
    newest         timestamptz not null,
    attempts       numeric     not null,
    primary key (day, job_type, model_id, status)
);
comment on table public.job_rollup_daily is 'job_rollup summed by past days.';

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
comment on table public.arrival_rollup is
    'Creation hours of the jobs that ended in an hour. Live jobs are not included; arrival_stats counts them by index.';

create index arrival_rollup_created_idx on public.arrival_rollup (created_hour);

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
comment on table public.failure_rollup is
    'Failed and refused jobs by the hour in which they ended and by error_group(). Refused ones have the error_code refused.';
comment on column public.failure_rollup.error_code is 'The first 60 characters of the code of error_details; empty if it has none.';
comment on column public.failure_rollup.users is 'Who created the jobs, each once, in order.';

-- By minute there are only the current hour and the 24 before it, folded and marked dirty together with
-- their hour. Purged jobs are not included.
create table public.job_minutes (
    minute   timestamptz not null,
    job_type text        not null,
    status   text        not null,
    jobs     bigint      not null,
    runs     bigint      not null,
    run_us   numeric     not null,
    waits    bigint      not null,
    wait_us  numeric     not null,
    primary key (minute, job_type, status)
) with (fillfactor = 70);
comment on table public.job_minutes is 'Finished jobs of the last day by the minute in which they ended; columns as in job_rollup.';

create table public.arrival_minutes (
    hour           timestamptz not null,
    status         text        not null,
    created_minute timestamptz not null,
    jobs           bigint      not null,
    primary key (hour, status, created_minute)
) with (fillfactor = 70);
comment on table public.arrival_minutes is
    'Creation minutes of the jobs that ended in an hour of the last day, without older minutes.';

create table public.rollup_state (
    only_row       boolean     primary key default true check (only_row),
    folded_until   timestamptz not null default '-infinity',
    safe_until     timestamptz not null default '-infinity',
    days_until     timestamptz not null default '-infinity',
    closed_until   timestamptz not null default '-infinity',
    checkpoint_at  timestamptz not null,
    checkpoint_xid xid8        not null,
    refreshed_at   timestamptz not null default '-infinity',
    totals_until   timestamptz not null default '-infinity'
);
comment on table public.rollup_state is 'Progress of the rollups. Changing a rollup requires a lock on this row.';
comment on column public.rollup_state.folded_until is 'The watermark: jobs that ended before it are folded.';
comment on column public.rollup_state.safe_until is
    'Limit of folding: no open transaction can still commit a job that ended before it.';
comment on column public.rollup_state.checkpoint_xid is
    'A transaction that began at checkpoint_at. Once all older ones have ended, checkpoint_at is safe.';
comment on column public.rollup_state.closed_until is 'Hours before it were folded, or refolded, a while after their end.';
comment on column public.rollup_state.totals_until is 'Completed jobs that ended before it are in path_rollup.';

insert into public.rollup_state (checkpoint_at, checkpoint_xid) values (now(), pg_current_xact_id());

create table public.rollup_dirty (
    hour   timestamptz not null,
    status text        not null,
    xid    xid8        not null default pg_current_xact_id(),
    primary key (hour, status, xid)
);
comment on table public.rollup_dirty is
    'Hours whose finished jobs of a status changed later. Readers count their rows until they are refolded. One mark per transaction, so that no refresh removes a mark whose change it did not see.';

-- Outcomes -----------------------------------------------------------------------------------------

create function public.failure_outcome(p_details jsonb) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return case when p_details ->> 'code' = 'refused' then 'refused' else 'failed' end;
end;
$$;
comment on function public.failure_outcome(jsonb) is
    'What a failed job counts as, by its error_details: refused if a safety filter or the prompt check refused it, else failed.';

-- Marking hours dirty -----------------------------------------------------------------------------

create function public.mark_rollup_dirty() returns trigger
language plpgsql set search_path = ''
as $$
begin
    insert into public.rollup_dirty (hour, status)
    values (
        date_trunc('hour', old.completed_at, 'UTC'),
        case when old.status = 'failed' then public.failure_outcome(old.error_details) else old.status end
    )
    on conflict do nothing;
    return null;
end;
$$;
comment on function public.mark_rollup_dirty is 'Marks the hour of a finished job that was restarted or deleted.';

-- Triggers catch every caller, whatever function it uses. Jobs that stay finished cost nothing.
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

-- Kinds of errors ---------------------------------------------------------------------------------

create function public.error_group(p_error text, p_model_id text default '') returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    v_error text := left(p_error, 2000);
begin
    if p_model_id <> '' then
        v_error := replace(v_error, left(p_model_id, 200), '<model>');
    end if;
    v_error := regexp_replace(v_error, '[a-z][a-z0-9+.-]*://[^\s"''<>]+', '<url>', 'gi');
    v_error := regexp_replace(v_error, '\m[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\M', '<id>', 'gi');
    -- Hashes and the ids of predictions: mixed letters and digits.
    v_error := regexp_replace(v_error, '\m(?=[a-z]*[0-9])(?=[0-9]*[a-z])([0-9a-f]{8,}|[0-9a-z]{20,})\M', '<id>', 'gi');
    v_error := regexp_replace(v_error, '[0-9]+([.,:][0-9]+)*', '<n>', 'g');
    return left(btrim(regexp_replace(v_error, '\s+', ' ', 'g')), 200);
end;
$$;
comment on function public.error_group(text, text) is
    'Common form of errors of one kind: the model, URLs, ids and numbers are replaced by <model>, <url>, <id>, <n>; at most 200 characters.';

create function public.error_key(p_error_group text, p_error_code text) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return left(md5(coalesce(left(p_error_code, 60), '') || ' ' || coalesce(p_error_group, '')), 12);
end;
$$;
comment on function public.error_key(text, text) is
    'Key of an error_group with an error_code, as in failure_rollup, for indexes and URLs of pages.';

create function public.failure_key(p_error text, p_code text, p_model_id text) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return public.error_key(public.error_group(p_error, coalesce(p_model_id, '')), p_code);
end;
$$;
comment on function public.failure_key(text, text, text) is
    'The error_key of one error. Used by job_queue_failure_key_idx: after a change to error_group or error_key, rebuild that index.';

-- Finds the failed jobs of one kind without reading the others. Only failed jobs are in it, each once.
create index job_queue_failure_key_idx
    on public.job_queue (
        public.failure_key(error_message, error_details ->> 'code', payload ->> 'model_id'), completed_at
    )
    where status = 'failed';

-- What is folded of finished jobs -----------------------------------------------------------------

create function public.finished_jobs(
    p_from timestamptz, p_to timestamptz, p_status text default null, p_ids uuid[] default null
) returns table (
    hour timestamptz, job_type text, model_id text, status text, run_us bigint, wait_us bigint,
    created_at timestamptz, completed_at timestamptz, attempts int
)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_aside uuid[] := array(select a.job_id from public.set_aside_jobs a where a.step = 'history');
begin
    return query
    select
        date_trunc('hour', q.completed_at, 'UTC'), left(q.job_type, 200), left(coalesce(q.payload ->> 'model_id', ''), 200),
        case when q.status = 'failed' then public.failure_outcome(q.error_details) else q.status end,
        case when q.started_at is not null
            then greatest((extract(epoch from q.completed_at - q.started_at) * 1000000)::bigint, 0) end,
        case when q.started_at is not null
            then greatest((extract(epoch from q.started_at - q.scheduled_at) * 1000000)::bigint, 0) end,
        q.created_at, q.completed_at, q.attempts
    from (
        -- Only one branch runs, each with its own index: the planner prunes the others.
        select * from public.job_queue f
        where p_ids is null and p_status is null
          and f.status in ('completed', 'failed', 'cancelled') and f.completed_at >= p_from and f.completed_at < p_to
        union all
        select * from public.job_queue f
        where p_ids is null and p_status in ('failed', 'refused')
          and f.status = 'failed' and f.completed_at >= p_from and f.completed_at < p_to
          and public.failure_outcome(f.error_details) = p_status
        union all
        select * from public.job_queue f
        where p_ids is null and p_status not in ('failed', 'refused') and f.status = p_status
          and f.status in ('completed', 'failed', 'cancelled') and f.completed_at >= p_from and f.completed_at < p_to
        union all
        select * from public.job_queue f
        where f.id = any (p_ids)
    ) q
    where q.id <> all (v_aside);
end;
$$;
comment on function public.finished_jobs is
    'Finished jobs of a range of time, of one status or all, or those of p_ids, with the values to fold.';

-- Same columns as the table. Folding stores these rows, readers add them to what is stored.
create function public.job_rollup_of(
    p_from timestamptz, p_to timestamptz, p_status text default null, p_ids uuid[] default null
) returns table (
    hour timestamptz, job_type text, model_id text, status text, jobs bigint,
    runs bigint, run_us numeric, run_us_min bigint, run_us_max bigint, run_histogram numeric,
    waits bigint, wait_us numeric, wait_us_max bigint, wait_histogram numeric,
    oldest timestamptz, newest timestamptz, attempts numeric
)
language plpgsql stable set search_path = ''
as $$
declare
    v_growth constant double precision := ln(1.1::double precision);
begin
    return query
    select
        j.hour, j.job_type, j.model_id, j.status, count(*),
        count(j.run_us), coalesce(sum(j.run_us), 0), min(j.run_us), max(j.run_us),
        coalesce(sum(('1e' || 12 * case when j.run_us < 1000 then 0
            else least(1 + floor(ln(j.run_us / 1000.0::double precision) / v_growth), 255) end::int)::numeric) filter (where j.run_us is not null), 0),
        count(j.wait_us), coalesce(sum(j.wait_us), 0), max(j.wait_us),
        coalesce(sum(('1e' || 12 * case when j.wait_us < 1000 then 0
            else least(1 + floor(ln(j.wait_us / 1000.0::double precision) / v_growth), 255) end::int)::numeric) filter (where j.wait_us is not null), 0),
        min(j.created_at), max(j.created_at), sum(j.attempts)::numeric
    from public.finished_jobs(p_from, p_to, p_status, p_ids) j
    group by j.hour, j.job_type, j.model_id, j.status;
end;
$$;
comment on function public.job_rollup_of is 'Rows of job_rollup for the jobs that finished_jobs returns.';

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
comment on function public.arrival_rollup_of is 'Rows of arrival_rollup for the jobs that finished_jobs returns.';

create function public.failure_rollup_of(
    p_from timestamptz, p_to timestamptz, p_status text default null, p_ids uuid[] default null
) returns table (
    hour timestamptz, job_type text, model_id text, error_group text, error_code text, jobs bigint,
    first_at timestamptz, last_at timestamptz, users uuid[]
)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_aside uuid[] := array(select a.job_id from public.set_aside_jobs a where a.step = 'history');
begin
    return query
    select
        date_trunc('hour', q.completed_at, 'UTC'), left(q.job_type, 200), left(coalesce(q.payload ->> 'model_id', ''), 200),
        coalesce(public.error_group(q.error_message, q.payload ->> 'model_id'), ''),
        left(coalesce(q.error_details ->> 'code', ''), 60), count(*), min(q.completed_at), max(q.completed_at),
        coalesce(array_agg(distinct q.created_by order by q.created_by) filter (where q.created_by is not null), '{}')
    from (
        select * from public.job_queue f
        where p_ids is null and f.status = 'failed' and f.completed_at >= p_from and f.completed_at < p_to
          and (p_status is null or public.failure_outcome(f.error_details) = p_status)
        union all
        select * from public.job_queue f
        where f.id = any (p_ids) and f.status = 'failed'
    ) q
    where q.id <> all (v_aside)
    group by 1, 2, 3, 4, 5;
end;
$$;
comment on function public.failure_rollup_of is 'Rows of failure_rollup for the failed and refused jobs of a range of time, of one status or both, or those of p_ids.';

create function public.minutes_since() returns timestamptz
language sql stable parallel safe set search_path = ''
return date_trunc('hour', now(), 'UTC') - interval '24 hours';
comment on function public.minutes_since() is 'Start of the rollups by minute: the last 24 full hours and the current one.';

create function public.job_minutes_of(p_from timestamptz, p_to timestamptz, p_status text default null)
returns setof public.job_minutes
language plpgsql stable set search_path = ''
as $$
begin
    return query
    select
        date_trunc('minute', j.completed_at, 'UTC'), j.job_type, j.status, count(*),
        count(j.run_us), coalesce(sum(j.run_us), 0), count(j.wait_us), coalesce(sum(j.wait_us), 0)
    from public.finished_jobs(p_from, p_to, p_status) j
    group by 1, 2, 3;
end;
$$;
comment on function public.job_minutes_of is 'Rows of job_minutes for the jobs that ended in a range of time.';

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
comment on function public.arrival_minutes_of is 'Rows of arrival_minutes for the jobs that ended in a range of time.';

create function public.rolled_days(p_from timestamptz, p_to timestamptz) returns setof public.job_rollup_daily
language plpgsql stable set search_path = ''
as $$
begin
    return query
    select
        date_trunc('day', r.hour, 'UTC'), r.job_type, r.model_id, r.status, sum(r.jobs)::bigint,
        sum(r.runs)::bigint, sum(r.run_us), min(r.run_us_min), max(r.run_us_max), sum(r.run_histogram),
        sum(r.waits)::bigint, sum(r.wait_us), max(r.wait_us_max), sum(r.wait_histogram),
        min(r.oldest), max(r.newest), sum(r.attempts)
    from public.job_rollup r
    where r.hour >= p_from and r.hour < p_to
    group by 1, 2, 3, 4;
end;
$$;
comment on function public.rolled_days is 'Rows of job_rollup_daily for whole days; both times are starts of days.';
