-- Folds finished jobs into the rollups: newly finished ones, hours that changed later, or everything again,
-- and verifies that the rollups match the rows.

-- Adding to the rollups (the caller has locked the row of rollup_state) ---------------------------

create function public.add_to_hours(
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
           n.waits, n.wait_us, n.wait_us_max, n.wait_histogram, n.oldest, n.newest, n.attempts
    from public.job_rollup_of(p_from, p_to, p_status, p_ids) n
    on conflict (hour, job_type, model_id, status, purged) do update
    set jobs = r.jobs + excluded.jobs,
        runs = r.runs + excluded.runs, run_us = r.run_us + excluded.run_us,
        run_us_min = least(r.run_us_min, excluded.run_us_min), run_us_max = greatest(r.run_us_max, excluded.run_us_max),
        run_histogram = r.run_histogram + excluded.run_histogram,
        waits = r.waits + excluded.waits, wait_us = r.wait_us + excluded.wait_us,
        wait_us_max = greatest(r.wait_us_max, excluded.wait_us_max),
        wait_histogram = r.wait_histogram + excluded.wait_histogram,
        oldest = least(r.oldest, excluded.oldest), newest = greatest(r.newest, excluded.newest),
        attempts = r.attempts + excluded.attempts;

    insert into public.arrival_rollup as r
    select n.hour, n.status, n.created_hour, n.job_type, n.model_id, v_purged, n.jobs
    from public.arrival_rollup_of(p_from, p_to, p_status, p_ids) n
    on conflict (hour, status, created_hour, job_type, model_id, purged) do update
    set jobs = r.jobs + excluded.jobs;

    if p_status is null or p_status in ('failed', 'refused') then
        insert into public.failure_rollup as r
        select n.hour, n.job_type, n.model_id, n.error_group, n.error_code, v_purged, n.jobs, n.first_at, n.last_at, n.users
        from public.failure_rollup_of(p_from, p_to, p_status, p_ids) n
        on conflict (hour, job_type, model_id, error_group, error_code, purged) do update
        set jobs = r.jobs + excluded.jobs,
            first_at = least(r.first_at, excluded.first_at), last_at = greatest(r.last_at, excluded.last_at),
            users = array(select distinct u from unnest(r.users || excluded.users) u order by u);
    end if;
end;
$$;
comment on function public.add_to_hours is
    'Adds the jobs that ended in a range of time (of one status or all) to the hourly rollups; those of p_ids as purged.';

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
    'Adds the jobs that ended in a range of time (of one status or all) to the rollups by minute, and deletes outdated rows.';

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
    'Adds the jobs that ended in a range of time (of one status or all) to the rollups; those of p_ids as purged.';

create function public.history_error(p_ids uuid[]) returns text
language plpgsql volatile set search_path = ''
as $$
begin
    perform public.add_to_rollups(null, null, null, p_ids);
    raise exception using errcode = 'DR000';  -- Takes back what was added.
exception
    when sqlstate 'DR000' then
        return null;
    when others then
        if public.is_passing_error(sqlstate) then
            raise;
        end if;
        return sqlerrm;
end;
$$;
comment on function public.history_error is 'Why finished jobs cannot be added to the rollups; null if they can. Changes nothing.';

create function public.set_aside_unfoldable(p_ids uuid[]) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_half  constant int := cardinality(p_ids) / 2;
    v_error constant text := case when cardinality(p_ids) > 0 then public.history_error(p_ids) end;
begin
    if v_error is null then
        return;
    end if;
    if cardinality(p_ids) = 1 then
        perform public.set_aside_job(p_ids[1], 'history', v_error);
        return;
    end if;
    perform public.set_aside_unfoldable(p_ids[:v_half]);
    perform public.set_aside_unfoldable(p_ids[v_half + 1:]);
end;
$$;
comment on function public.set_aside_unfoldable is 'Sets aside those of the jobs that cannot be added to the rollups.';

create function public.fold_jobs(p_from timestamptz, p_to timestamptz, p_status text default null) returns void
language plpgsql volatile set search_path = '' set enable_seqscan = off
as $$
begin
    begin
        perform public.add_to_rollups(p_from, p_to, p_status);
        return;
    exception when others then
        if public.is_passing_error(sqlstate) then
            raise;
        end if;
    end;
    perform public.set_aside_unfoldable(array(
        select q.id from public.job_queue q
        where q.status in ('completed', 'failed', 'cancelled')
          and (p_status is null or q.status = case p_status when 'refused' then 'failed' else p_status end)
          and q.completed_at >= p_from and q.completed_at < p_to
    ));
    perform public.add_to_rollups(p_from, p_to, p_status);
end;
$$;
comment on function public.fold_jobs is
    'Adds the jobs that ended in a range of time (of one status or all) to the rollups. Jobs that cannot be added are set aside.';

create function public.refold_hour(p_hour timestamptz, p_until timestamptz, p_status text default null) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    delete from public.job_rollup r
    where r.hour = p_hour and not r.purged and (p_status is null or r.status = p_status);
    delete from public.arrival_rollup r
    where r.hour = p_hour and not r.purged and (p_status is null or r.status = p_status);
    delete from public.failure_rollup r
    where r.hour = p_hour and not r.purged
      and (p_status is null or p_status = case r.error_code when 'refused' then 'refused' else 'failed' end);
    delete from public.job_minutes m
    where m.minute >= p_hour and m.minute < p_hour + interval '1 hour' and (p_status is null or m.status = p_status);
    delete from public.arrival_minutes a
    where a.hour = p_hour and (p_status is null or a.status = p_status);
    perform public.fold_jobs(p_hour, least(p_hour + interval '1 hour', p_until), p_status);
end;
$$;
comment on function public.refold_hour is 'Refolds an hour from its rows that ended before p_until.';

create function public.roll_days(p_from timestamptz, p_to timestamptz) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    delete from public.job_rollup_daily d where d.day >= p_from and d.day < p_to;
    insert into public.job_rollup_daily select * from public.rolled_days(p_from, p_to);
end;
$$;
comment on function public.roll_days is 'Recalculates the sums of whole days; both times are starts of days.';

-- Refresh -----------------------------------------------------------------------------------------

create function public.rollup_patience() returns interval
language sql immutable parallel safe set search_path = ''
return interval '10 minutes';
comment on function public.rollup_patience() is
    'How long folding waits for open transactions. A job that a longer transaction ends is missing until its hour is refolded.';

create function public.advance_safe_until() returns timestamptz
language plpgsql volatile set search_path = ''
as $$
declare
    v_safe timestamptz;
begin
    -- A transaction that sets completed_at already holds a lock and so has a transaction id. Those that set
    -- it before checkpoint_at have a lower id than the transaction of the checkpoint.
    update public.rollup_state s
    set safe_until = greatest(s.safe_until, s.checkpoint_at), checkpoint_at = now(), checkpoint_xid = pg_current_xact_id()
    where pg_snapshot_xmin(pg_current_snapshot()) >= s.checkpoint_xid
       or s.checkpoint_at < now() - public.rollup_patience();
    select s.safe_until into v_safe from public.rollup_state s;
    return v_safe;
end;
$$;
comment on function public.advance_safe_until is
    'Limit of folding: no open transaction can have ended a job before it.';

create function public.fold_until(p_until timestamptz, p_deadline timestamptz) returns timestamptz
language plpgsql volatile set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_from  timestamptz := (select s.folded_until from public.rollup_state s);
    v_next  timestamptz;
    v_step  interval := interval '1 hour';
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
            perform public.fold_jobs(v_from, v_next);
            v_from := v_next;
        end if;
        -- Longer steps where there are few jobs.
        v_step := case when clock_timestamp() - v_began < interval '50 milliseconds'
                       then least(v_step * 2, interval '1 day') else interval '1 hour' end;
    end loop;
    update public.rollup_state s set folded_until = v_from;
    return v_from;
end;
$$;
comment on function public.fold_until is 'Folds jobs that ended since the watermark, an hour to a day at a time, and moves the watermark. Stops at p_deadline.';

create function public.refold_dirty_hours(p_until timestamptz, p_days_until timestamptz, p_deadline timestamptz) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_mark record;
    v_days timestamptz[] := '{}'::timestamptz[];
begin
    for v_mark in
        select distinct d.hour, d.status from public.rollup_dirty d order by d.hour desc, d.status
    loop
        exit when clock_timestamp() > p_deadline;
        -- Delete the mark before reading the rows: a change in between leaves a mark of its own.
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
comment on function public.refold_dirty_hours is 'Refolds the hours whose finished jobs changed, and recalculates their days.';

create function public.rewind_rollup(p_hour timestamptz) returns void
language sql volatile set search_path = ''
as $$
    delete from public.job_rollup r where r.hour >= p_hour and not r.purged;
    delete from public.arrival_rollup r where r.hour >= p_hour and not r.purged;
    delete from public.failure_rollup r where r.hour >= p_hour and not r.purged;
    delete from public.job_rollup_daily d where d.day >= date_trunc('day', p_hour, 'UTC');
    delete from public.job_minutes m where m.minute >= p_hour;
    delete from public.arrival_minutes a where a.hour >= p_hour;
    update public.rollup_state s
    set folded_until = p_hour, safe_until = p_hour, checkpoint_at = now(), checkpoint_xid = pg_current_xact_id(),
        days_until = least(s.days_until, date_trunc('day', p_hour, 'UTC')),
        closed_until = least(s.closed_until, p_hour);
$$;
comment on function public.rewind_rollup is
    'Resets the rollups to the start of an hour after the server''s clock was set back. Otherwise, jobs that end now would be before the watermark and never be folded.';

create function public.retry_set_aside_jobs(p_older_than interval default '1 hour') returns int
language plpgsql volatile set search_path = ''
as $$
declare
    v_jobs int;
begin
    with taken as (
        delete from public.set_aside_jobs a where a.at <= now() - p_older_than returning a.job_id, a.step
    ), marked as (
        insert into public.rollup_dirty (hour, status)
        select distinct date_trunc('hour', q.completed_at, 'UTC'),
               case when q.status = 'failed' then public.failure_outcome(q.error_details) else q.status end
        from taken t join public.job_queue q on q.id = t.job_id
        where t.step = 'history' and q.status in ('completed', 'failed', 'cancelled') and q.completed_at is not null
        on conflict do nothing
    )
    select count(*) into v_jobs from taken;
    return v_jobs;
end;
$$;
comment on function public.retry_set_aside_jobs is 'Retries jobs that were set aside at least this long ago; if refused, they are set aside again. Returns how many.';

create function public.forget_idempotency_keys() returns void
language sql volatile set search_path = ''
as $$
    delete from public.idempotency_keys k
    using (
        select o.scope, o.key from public.idempotency_keys o
        where o.created_at < now() - interval '1 day'
        order by o.created_at limit 10000
        for update skip locked
    ) old
    where k.scope = old.scope and k.key = old.key;
$$;
comment on function public.forget_idempotency_keys is
    'Deletes the oldest responses of start_generation, including prompts, that are older than a day.';

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
       or (v_state.refreshed_at between clock_timestamp() - p_every and clock_timestamp()
           and v_state.folded_until >= v_state.safe_until)
    then
        return false;
    end if;
    if v_state.folded_until > clock_timestamp() then
        perform public.rewind_rollup(date_trunc('hour', clock_timestamp(), 'UTC'));
        select * into v_state from public.rollup_state s;
    end if;
    v_safe := public.advance_safe_until();

    perform public.retry_set_aside_jobs();
    perform public.forget_idempotency_keys();
    perform public.refold_dirty_hours(v_state.folded_until, v_state.days_until, v_deadline);

    -- Fold each hour again some time after its end, unless it was folded for the first time only then.
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
    'Folds jobs that ended since the last refresh, for about a second. True if more are left. Does nothing while another refresh runs, or if the last one is more recent than p_every and left nothing.';

-- Rebuild and verify ------------------------------------------------------------------------------

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
comment on function public.rebuild_rollup is
    'Refolds all of job_queue after rows were loaded without the queue''s functions. The figures of purged jobs stay. Takes seconds per million jobs.';

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
comment on function public.verify_rollup is
    'Folded buckets that differ from the rows, with the values of both. Excludes hours marked dirty. Reads all of job_queue.';
