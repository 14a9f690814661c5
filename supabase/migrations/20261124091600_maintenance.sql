-- Maintenance: purging finished jobs and the run history of pg_cron, removing the sample data, ending forgotten
-- sessions, and repairs offered by the page Troubleshooting.

-- Purging finished jobs ---------------------------------------------------------------------------

create table public.purge_runs (
    id              bigint      generated always as identity primary key,
    actor           text        not null check (actor <> ''),
    older_than      interval    not null,
    finished_before timestamptz not null,
    purged_until    timestamptz not null default '-infinity',
    jobs            bigint      not null default 0,
    batches         int         not null default 0,
    started_at      timestamptz not null default clock_timestamp(),
    last_batch_at   timestamptz not null default clock_timestamp(),
    ended_at        timestamptz,
    outcome         text        check (outcome in ('finished', 'stopped', 'interrupted')),
    check ((ended_at is null) = (outcome is null))
);
comment on table public.purge_runs is 'Purges of finished jobs. A run consists of many small batches and is one entry in the audit log.';
comment on column public.purge_runs.finished_before is 'Jobs that ended before it are deleted; the start of an hour.';
comment on column public.purge_runs.purged_until is 'Where the next batch starts, after the index entries of deleted jobs.';
comment on column public.purge_runs.outcome is 'interrupted: no further batch was requested for ten minutes.';

create unique index purge_runs_open_key on public.purge_runs ((ended_at is null)) where ended_at is null;
create index purge_runs_started_idx on public.purge_runs (started_at desc);

create function public.purge_horizon(p_older_than interval) returns timestamptz
language sql stable set search_path = ''
return (
    select date_trunc('hour', least(now() - p_older_than, s.folded_until, s.closed_until, s.totals_until), 'UTC')
    from public.rollup_state s
);
comment on function public.purge_horizon is
    'A purge deletes jobs that ended before it: at least p_older_than ago, and in hours that every rollup includes, because readers need the rows of other hours.';

create function public.end_purge(p_run public.purge_runs, p_outcome text, p_ended_by text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    update public.purge_runs r set ended_at = clock_timestamp(), outcome = p_outcome where r.id = p_run.id;
    insert into public.audit_log (actor, action, affected, details)
    values (p_run.actor, 'purge_finished_jobs', p_run.jobs, jsonb_build_object(
        'run', p_run.id, 'older_than', p_run.older_than, 'finished_before', p_run.finished_before,
        'batches', p_run.batches, 'began', p_run.started_at, 'outcome', p_outcome, 'ended_by', p_ended_by
    ));
end;
$$;
comment on function public.end_purge is 'Ends an open run and records its totals. The caller has locked the run.';

create function public.delete_finished_jobs(p_from timestamptz, p_before timestamptz, p_limit int)
returns table (jobs int, newest timestamptz)
language plpgsql volatile set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_ids uuid[];
begin
    select coalesce(array_agg(f.id), '{}'), max(f.completed_at) into v_ids, newest
    from (
        select q.id, q.completed_at from public.job_queue q
        where q.status in ('completed', 'failed', 'cancelled')
          and q.completed_at >= p_from and q.completed_at < p_before
        order by q.completed_at limit p_limit
        for update skip locked
    ) f;
    jobs := cardinality(v_ids);
    if jobs > 0 then
        perform public.add_to_rollups(null, null, null, v_ids);
        -- Each deleted row marks its hour dirty: until the next refresh, readers count its rows instead of
        -- its rollup.
        delete from public.job_queue q where q.id = any (v_ids);
        delete from public.attempt_workers w where w.job_id = any (v_ids);
    end if;
    return next;
end;
$$;
comment on function public.delete_finished_jobs is
    'Deletes up to p_limit jobs that ended from p_from to before p_before, oldest first, after adding their figures to the rollups as purged. Skips locked jobs. The caller has locked the row of rollup_state.';

create function public.purge_finished_jobs(
    p_actor text, p_older_than interval, p_limit int default 1000, p_run bigint default null
) returns table (run bigint, purged int, total bigint, ended boolean)
language plpgsql volatile set search_path = ''
as $$
declare
    v_run    public.purge_runs;
    v_newest timestamptz;
begin
    perform public.require_actor(p_actor);
    if p_older_than is null or p_older_than < interval '1 day' then
        raise exception 'older_than is %: jobs from the last day cannot be purged; choose at least 1 day', p_older_than
            using errcode = '22023';
    end if;
    if p_limit is null or p_limit not between 1 and 10000 then
        raise exception 'limit is %: choose 1 to 10000', p_limit using errcode = '22023';
    end if;
    -- Folding skips a turn meanwhile. Claims and completions do not need this row.
    perform from public.rollup_state s for update;
    select * into v_run from public.purge_runs r where r.ended_at is null for update;
    if v_run.id is not null and v_run.id is distinct from p_run then
        if v_run.last_batch_at < clock_timestamp() - interval '10 minutes' then
            perform public.end_purge(v_run, 'interrupted', p_actor);
            v_run := null;
        elsif p_run is null and (v_run.actor, v_run.older_than) is distinct from (p_actor, p_older_than) then
            raise exception '% is already purging jobs older than %: wait for it or stop it',
                v_run.actor, v_run.older_than using errcode = 'DR409';
        end if;
    end if;
    if p_run is not null and p_run is distinct from v_run.id then
        return query select r.id, 0, r.jobs, true from public.purge_runs r where r.id = p_run;
        return;  -- It was stopped.
    end if;
    if v_run.id is null then
        insert into public.purge_runs (actor, older_than, finished_before)
        values (p_actor, p_older_than, public.purge_horizon(p_older_than))
        returning * into v_run;
    end if;

    select d.jobs, d.newest into purged, v_newest
    from public.delete_finished_jobs(v_run.purged_until, v_run.finished_before, p_limit) d;
    update public.purge_runs r
    set jobs = r.jobs + purged, batches = r.batches + (purged > 0)::int,
        purged_until = coalesce(v_newest, r.purged_until), last_batch_at = clock_timestamp()
    where r.id = v_run.id returning * into v_run;
    run := v_run.id;
    total := v_run.jobs;
    ended := purged < p_limit;
    if ended and total = 0 then
        delete from public.purge_runs r where r.id = run;  -- There was nothing to do, so nothing to record.
    elsif ended then
        perform public.end_purge(v_run, 'finished', p_actor);
    end if;
    return next;
end;
$$;
comment on function public.purge_finished_jobs is
    'Deletes up to p_limit finished jobs, oldest first, that ended at least p_older_than ago in folded hours, and keeps their figures and generations. Call it until ended; the calls of one actor are one run, recorded once with its totals. With p_run, only if that run has not been stopped.';

create function public.stop_purge(p_actor text) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_run public.purge_runs;
begin
    perform public.require_actor(p_actor);
    select * into v_run from public.purge_runs r where r.ended_at is null for update;
    if v_run.id is null then
        return false;
    end if;
    perform public.end_purge(v_run, 'stopped', p_actor);
    return true;
end;
$$;
comment on function public.stop_purge is 'Stops the running purge after its current batch. False if there is none.';

-- Run history of pg_cron --------------------------------------------------------------------------

create function public.purge_cron_history(p_actor text, p_older_than interval, p_limit int default 10000) returns int
language plpgsql volatile security definer set search_path = ''
as $$
declare
    v_deleted int := 0;
begin
    perform public.require_actor(p_actor);
    if p_older_than is null or p_older_than < interval '1 day' then
        raise exception 'older_than is %: runs from the last day cannot be purged; choose at least 1 day', p_older_than
            using errcode = '22023';
    end if;
    if to_regclass('cron.job_run_details') is not null then
        execute 'delete from cron.job_run_details where runid in (
                     select d.runid from cron.job_run_details d where d.end_time < now() - $1 order by d.runid limit $2)'
        using p_older_than, p_limit;
        get diagnostics v_deleted = row_count;
    end if;
    if v_deleted > 0 then
        insert into public.audit_log (actor, action, affected, details)
        values (p_actor, 'purge_cron_history', v_deleted, jsonb_build_object('older_than', p_older_than));
    end if;
    return v_deleted;
end;
$$;
comment on function public.purge_cron_history is
    'Deletes up to p_limit runs that pg_cron keeps a record of, oldest first, that ended at least p_older_than ago. Returns how many: 0 without pg_cron.';

create function public.cron_history_rows() returns bigint
language plpgsql stable security definer set search_path = ''
as $$
declare
    v_rows bigint;
begin
    if to_regclass('cron.job_run_details') is not null then
        execute 'select count(*) from cron.job_run_details' into v_rows;
    end if;
    return v_rows;
end;
$$;
comment on function public.cron_history_rows is 'How many runs pg_cron keeps a record of; null without pg_cron.';

-- Sample data -------------------------------------------------------------------------------------

create function public.remove_sample_data(
    p_actor text, out users int, out generations int, out jobs int, out storage_paths text[]
)
language plpgsql volatile set search_path = ''
as $$
declare
    v_users    uuid[];
    v_jobs     uuid[];
    v_loaded   timestamptz;
    v_hour     timestamptz;
    v_occupied timestamptz[];
begin
    perform public.require_actor(p_actor);
    -- Folding skips a turn meanwhile, and a second removal waits here.
    perform from public.rollup_state s for update;
    -- The load wrote its users' addresses and one entry of the audit log; all other rows refer to the users.
    v_users := array(select u.id from auth.users u where u.email like 'sample-user-__@example.invalid');
    select max(l.at) into v_loaded from public.audit_log l where l.action = 'load_sample_data';
    v_hour := date_trunc('hour', v_loaded, 'UTC');
    v_jobs := array(select q.id from public.job_queue q where q.created_by = any (v_users) order by q.id for update);

    -- Samples of the time before the load are invented. Later ones count stuck sample jobs as running.
    delete from public.queue_samples s where s.minute <= v_loaded;
    v_occupied := array(
        select case when q.started_at < v_loaded then coalesce(q.completed_at, 'infinity')
                    else (q.error_details #>> '{attempts,0,at}')::timestamptz end
        from public.job_queue q
        where q.id = any (v_jobs)
          and (q.started_at < v_loaded and coalesce(q.completed_at, 'infinity') > v_loaded
               or (q.error_details #>> '{attempts,0,started_at}')::timestamptz < v_loaded
                  and (q.error_details #>> '{attempts,0,at}')::timestamptz > v_loaded)
    );
    update public.queue_samples s
    set processing = greatest(s.processing - (select count(*) from unnest(v_occupied) u (until) where until > s.minute), 0)
    where s.minute < (select max(until) from unnest(v_occupied) u (until));

    delete from public.job_leases l where l.job_id = any (v_jobs);
    delete from public.job_queue q where q.id = any (v_jobs);
    delete from public.attempt_workers w where w.job_id = any (v_jobs);
    storage_paths := array(
        select distinct f.path from public.image_generations g
        cross join lateral (values (g.storage_path), (g.thumbnail_path)) f (path)
        where g.user_id = any (v_users) and f.path is not null
    );
    delete from public.image_generations g where g.user_id = any (v_users);
    get diagnostics generations = row_count;
    delete from auth.users u where u.id = any (v_users);
    users := cardinality(v_users);
    jobs := cardinality(v_jobs);
    if users = 0 then
        return;
    end if;

    -- Purged jobs left their figures. What ended up to the hour of the load was sample data.
    delete from public.job_rollup r where r.purged and r.hour <= v_hour;
    delete from public.arrival_rollup r where r.purged and r.hour <= v_hour;
    delete from public.failure_rollup r where r.purged and r.hour <= v_hour;
    delete from public.path_rollup r where r.path = 'async' and r.hour <= v_hour;
    -- A monitor takes the lower numbers for a restart of the counters.
    delete from public.job_totals;
    perform public.rebuild_rollup();
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'remove_sample_data', jobs, jsonb_build_object('users', users, 'generations', generations));
end;
$$;
comment on function public.remove_sample_data is
    'Deletes the sample users with their jobs and generations, and their share of all figures, and records the actor. Returns the counts, and the paths of images that the caller deletes; all 0 if there are none.';

-- Record of tasks ---------------------------------------------------------------------------------

create function public.record_maintenance(p_actor text, p_task text, p_note text default null) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    perform public.require_actor(p_actor);
    if coalesce(btrim(p_task), '') = '' then
        raise exception 'task is empty: name the task' using errcode = '22023';
    end if;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'maintenance', 1, jsonb_build_object('task', p_task, 'note', nullif(btrim(p_note), '')));
end;
$$;
comment on function public.record_maintenance is 'Records that a task of the Maintenance page was done now.';

create index audit_log_maintenance_idx on public.audit_log ((details ->> 'task'), at desc) where action = 'maintenance';

-- Forgotten sessions ------------------------------------------------------------------------------
-- An open transaction keeps vacuum from removing everything deleted since it began.

create function public.forgotten_after() returns interval
language sql immutable parallel safe set search_path = ''
return interval '5 minutes';
comment on function public.forgotten_after() is 'How long a transaction may be open before it counts as forgotten.';

create function public.end_session(p_actor text, p_pid int) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_session record;
begin
    perform public.require_actor(p_actor);
    -- Only a session that the page lists: meanwhile the pid may belong to another one.
    select a.pid, a.usename, a.application_name, a.state, a.xact_start into v_session
    from pg_catalog.pg_stat_activity a
    where a.pid = p_pid and a.datname = current_database() and a.pid <> pg_backend_pid()
      and a.xact_start < now() - public.forgotten_after();
    if not found or not pg_terminate_backend(p_pid) then
        return false;
    end if;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'end_session', 1, to_jsonb(v_session));
    return true;
end;
$$;
comment on function public.end_session is
    'Ends a session of this database whose transaction has been open for longer than forgotten_after(); the transaction is rolled back. False if there is no such session.';

-- Repairs -----------------------------------------------------------------------------------------

create function public.unpublished_tables() returns text[]
language sql stable set search_path = ''
as $$
    select array(
        select n.name from unnest(array['job_queue', 'image_generations']) as n (name)
        where not exists (
            select from pg_catalog.pg_publication_tables t
            where t.pubname = 'supabase_realtime' and t.schemaname = 'public' and t.tablename = n.name
        )
    );
$$;
comment on function public.unpublished_tables is
    'Which of the tables that applications follow over Supabase Realtime are not in its publication.';

create function public.restore_realtime(p_actor text) returns text[]
language plpgsql volatile security definer set search_path = ''
as $$
declare
    v_restored text[] := '{}'::text[];
    v_table    text;
    v_enabled  "char" := (
        select t.tgenabled from pg_catalog.pg_trigger t
        where t.tgrelid = 'public.image_generations'::regclass and t.tgname = 'image_generations_changed'
    );
begin
    perform public.require_actor(p_actor);
    if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
        create publication supabase_realtime;
        v_restored := v_restored || text 'the publication supabase_realtime';
    end if;
    foreach v_table in array public.unpublished_tables() loop
        execute format('alter publication supabase_realtime add table public.%I', v_table);
        v_restored := v_restored || format('%s in the publication', v_table);
    end loop;
    if v_enabled is null then
        create trigger image_generations_changed
            after insert or update of status, progress, image_url, error_message on public.image_generations
            for each row execute function public.tell_generation_change();
    elsif v_enabled = 'D' then
        alter table public.image_generations enable trigger image_generations_changed;
    end if;
    if v_enabled is null or v_enabled = 'D' then
        v_restored := v_restored || text 'the trigger that sends NOTIFY';
    end if;
    if cardinality(v_restored) > 0 then
        insert into public.audit_log (actor, action, affected, details)
        values (p_actor, 'restore_realtime', cardinality(v_restored), jsonb_build_object('restored', v_restored));
    end if;
    return v_restored;
end;
$$;
comment on function public.restore_realtime is
    'Restores the notification of changes: the publication of Supabase Realtime and the trigger that sends NOTIFY. Returns what was missing.';

create function public.restore_user_access(p_actor text) returns text[]
language plpgsql volatile security definer set search_path = ''
as $$
declare
    v_table    record;
    v_restored text[] := '{}'::text[];
begin
    perform public.require_actor(p_actor);
    for v_table in
        select c.oid, c.relname, c.relrowsecurity, t.policy, t.owner
        from (values
            ('public.job_queue'::regclass, 'Users can view their own jobs', 'created_by'),
            ('public.image_generations'::regclass, 'Users can view their own generations', 'user_id')
        ) as t (id, policy, owner)
        join pg_catalog.pg_class c on c.oid = t.id
    loop
        if not v_table.relrowsecurity then
            execute format('alter table public.%I enable row level security', v_table.relname);
            v_restored := v_restored || format('row-level security of %s', v_table.relname);
        end if;
        if not has_table_privilege('authenticated', v_table.oid, 'select') then
            execute format('grant select on public.%I to authenticated', v_table.relname);
            v_restored := v_restored || format('the privilege to read %s', v_table.relname);
        end if;
        if not exists (
            select from pg_catalog.pg_policy p where p.polrelid = v_table.oid and p.polname = v_table.policy
        ) then
            execute format('create policy %I on public.%I for select to authenticated using ((select auth.uid()) = %I)',
                           v_table.policy, v_table.relname, v_table.owner);
            v_restored := v_restored || format('the policy "%s" of %s', v_table.policy, v_table.relname);
        end if;
    end loop;
    if cardinality(v_restored) > 0 then
        insert into public.audit_log (actor, action, affected, details)
        values (p_actor, 'restore_user_access', cardinality(v_restored), jsonb_build_object('restored', v_restored));
    end if;
    return v_restored;
end;
$$;
comment on function public.restore_user_access is
    'Restores the grants and policies that let signed-in users read their own jobs and generations, and only those. Returns what was missing.';
