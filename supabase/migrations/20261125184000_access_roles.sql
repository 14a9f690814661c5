-- The audit log: every action of an operator with the values before and after it, and read quickly
-- by who did what and when, however long it gets.

-- (at, id) is the order of the page; an equality before it keeps that order within what is chosen.
drop index public.audit_log_at_idx;
create index audit_log_at_idx on public.audit_log (at, id);
create index audit_log_actor_idx on public.audit_log (actor, at, id);
create index audit_log_action_idx on public.audit_log (action, at, id);
create index audit_log_actor_action_idx on public.audit_log (actor, action, at, id);
-- Each was about one action.
drop index public.audit_log_rollout_idx;
drop index public.audit_log_self_test_idx;

create function public.audit_entries(
    p_actor text, p_action text, p_from timestamptz, p_to timestamptz,
    p_before bigint default null, p_after bigint default null, p_limit int default 50
) returns setof public.audit_log
language plpgsql stable set search_path = '' set jit = off
as $$
declare
    v_place constant bigint := coalesce(p_before, p_after);
    v_newer constant boolean := p_before is null and p_after is not null;
    v_at    timestamptz;
begin
    select a.at into v_at from public.audit_log a where a.id = v_place;
    -- Composed, so that every choice of filters gets the plan of its own index.
    return query execute format(
        'select * from (
            select * from public.audit_log a
            where a.at >= $3 and a.at < $4 %s %s %s
            order by a.at %s, a.id %4$s limit $7
        ) found order by at desc, id desc',
        case when p_actor is not null then 'and a.actor = $1' end,
        case when p_action is not null then 'and a.action = $2' end,
        case when v_at is null then '' when v_newer then 'and (a.at, a.id) > ($5, $6)' else 'and (a.at, a.id) < ($5, $6)' end,
        case when v_newer and v_at is not null then 'asc' else 'desc' end
    ) using p_actor, p_action, p_from, p_to, v_at, v_place, p_limit;
end;
$$;
comment on function public.audit_entries is
    'Entries of the audit log from p_from to before p_to, newest first: of an actor and an action, null for all; those next before the entry p_before in time, or those next after p_after.';

create function public.job_states(p_job_ids uuid[]) returns jsonb
language sql stable set search_path = ''
as $$
    select coalesce(jsonb_object_agg(s.status, s.jobs), '{}')
    from (select q.status, count(*) as jobs from public.job_queue q where q.id = any (p_job_ids) group by q.status) s;
$$;
comment on function public.job_states is 'How many of the jobs are in each status, for the audit log.';

create or replace function public.reset_stuck_jobs(p_actor text, p_job_ids uuid[] default null)
returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids uuid[];
    v_id  uuid;
begin
    perform public.require_actor(p_actor);
    -- Job first, then lease, as complete_job does: a late heartbeat waits here or is seen below.
    v_ids := array(
        select q.id from public.job_queue q
        where q.status = 'processing'
          and coalesce(q.started_at, q.updated_at) < clock_timestamp() - public.stuck_after()
          and (p_job_ids is null or q.id = any (p_job_ids))
        order by q.id for update skip locked
    );
    perform from public.job_leases l where l.job_id = any (v_ids) order by l.job_id for update;

    with stale as (
        select s.id, row_number() over (order by s.priority desc, s.created_at) as place,
               format('Reset by %s: no sign of life since %s.', p_actor, s.last_sign_of_life) as error
        from public.stuck_jobs s where s.id = any (v_ids)
    ), reset as (
        update public.job_queue q
        set status = 'pending',
            -- Spread out, so that a mass reset is no flood.
            scheduled_at = clock_timestamp() + least((s.place - 1) * interval '100 milliseconds', interval '1 minute'),
            error_message = s.error,
            error_details = public.append_attempt_error(q.error_details, q.attempts, s.error, null),
            updated_at = clock_timestamp()
        from stale s
        where q.id = s.id and q.status = 'processing'
        returning q.id
    )
    select coalesce(array_agg(r.id), '{}') into v_ids from reset r;
    delete from public.job_leases l where l.job_id = any (v_ids);
    foreach v_id in array v_ids loop
        perform public.follow_job(v_id);
    end loop;
    perform public.record_action(p_actor, 'reset_stuck_jobs', v_ids, jsonb_build_object(
        'before', jsonb_build_object('processing', cardinality(v_ids)), 'after', public.job_states(v_ids)
    ));
    perform pg_notify('job_queue', 'reset');
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;

create or replace function public.cancel_jobs(p_actor text, p_job_ids uuid[]) returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids    uuid[];
    v_id     uuid;
    v_before jsonb;
begin
    perform public.require_actor(p_actor);
    v_ids := array(
        select q.id from public.job_queue q
        where q.id = any (p_job_ids) and q.status in ('pending', 'processing')
        order by q.id for update
    );
    v_before := public.job_states(v_ids);
    update public.job_queue q
    set status = 'cancelled', completed_at = clock_timestamp(), updated_at = clock_timestamp(),
        error_message = format('Cancelled by %s.', p_actor)
    where q.id = any (v_ids);
    -- Without its lease a worker learns at its next heartbeat that it lost the job.
    delete from public.job_leases l where l.job_id = any (v_ids);
    foreach v_id in array v_ids loop
        perform public.follow_job(v_id);
    end loop;
    perform public.record_action(
        p_actor, 'cancel_jobs', v_ids, jsonb_build_object('before', v_before, 'after', public.job_states(v_ids))
    );
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;

create or replace function public.retry_jobs(p_actor text, p_job_ids uuid[]) returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids    uuid[];
    v_id     uuid;
    v_before jsonb;
begin
    perform public.require_actor(p_actor);
    v_ids := array(
        select q.id from public.job_queue q
        where q.id = any (p_job_ids) and q.status in ('failed', 'cancelled')
        order by q.id for update
    );
    with places as (
        -- Of several ended jobs of one generation only the newest can live again.
        select q.id, q.status,
               row_number() over (partition by coalesce(public.generation_of(q.payload), q.id)
                                  order by q.created_at desc, q.id) as rank,
               row_number() over (order by q.priority desc, q.created_at, q.id) as place
        from public.job_queue q where q.id = any (v_ids)
    ), retried as (
        update public.job_queue q
        set status = 'pending', completed_at = null, error_message = null, updated_at = clock_timestamp(),
            max_attempts = greatest(q.max_attempts, q.attempts + 1),
            -- Spread out, so that a mass retry is no flood.
            scheduled_at = clock_timestamp() + least((p.place - 1) * interval '100 milliseconds', interval '1 minute')
        from places p
        where q.id = p.id and p.rank = 1
          and not exists (
              select from public.job_queue live
              where public.generation_of(live.payload) = public.generation_of(q.payload)
                and live.status in ('pending', 'processing')
          )
        returning q.id, p.status as before
    )
    select coalesce(array_agg(r.id), '{}'),
           jsonb_strip_nulls(jsonb_build_object(
               'failed', nullif(count(*) filter (where r.before = 'failed'), 0),
               'cancelled', nullif(count(*) filter (where r.before = 'cancelled'), 0)
           ))
    into v_ids, v_before
    from retried r;
    foreach v_id in array v_ids loop
        perform public.follow_job(v_id);
    end loop;
    perform public.record_action(
        p_actor, 'retry_jobs', v_ids, jsonb_build_object('before', v_before, 'after', public.job_states(v_ids))
    );
    perform pg_notify('job_queue', 'retried');
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;

create or replace function public.cancel_duplicates(p_actor text) returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids uuid[];
begin
    perform public.require_actor(p_actor);
    -- Those to be kept are locked too: one that fails meanwhile must not lose its substitute.
    perform from public.job_queue q
    where q.id in (select unnest(array[d.id, d.kept_id]) from public.live_duplicates() d)
    order by q.id for update;
    with cancelled as (
        update public.job_queue q
        set status = 'cancelled', completed_at = clock_timestamp(), updated_at = clock_timestamp(),
            error_message = format('Cancelled by %s as a duplicate: %s.', p_actor, d.reason)
        from public.live_duplicates() d
        where q.id = d.id and q.status = 'pending'
        returning q.id
    )
    select coalesce(array_agg(c.id order by c.id), '{}') into v_ids from cancelled c;
    -- The generations are left as they are: they follow the jobs that were kept.
    perform public.record_action(p_actor, 'cancel_duplicates', v_ids, jsonb_build_object(
        'before', jsonb_build_object('pending', cardinality(v_ids)), 'after', public.job_states(v_ids)
    ));
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;

create or replace function public.pause_queue(p_actor text, p_job_type text default '*', p_reason text default null)
returns setof public.queue_pauses
language plpgsql volatile set search_path = ''
as $$
declare
    v_before public.queue_pauses;
    v_after  public.queue_pauses;
begin
    perform public.require_actor(p_actor);
    insert into public.queue_pauses (job_type, paused_by, reason) values (p_job_type, p_actor, p_reason)
    on conflict (job_type) do nothing
    returning * into v_after;
    if not found then
        select * into v_before from public.queue_pauses p where p.job_type = p_job_type;
        v_after := v_before;
    end if;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'pause_queue', (v_before.job_type is null)::int, jsonb_build_object(
        'job_type', p_job_type, 'reason', p_reason,
        'before', case when v_before.job_type is null then '"claimed"' else to_jsonb(v_before) - 'job_type' end,
        'after', to_jsonb(v_after) - 'job_type'
    ));
    return query select * from public.queue_pauses p where p.job_type = p_job_type;
end;
$$;

create or replace function public.resume_queue(p_actor text, p_job_type text default '*') returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_before public.queue_pauses;
begin
    perform public.require_actor(p_actor);
    delete from public.queue_pauses p where p.job_type = p_job_type returning * into v_before;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'resume_queue', (v_before.job_type is not null)::int, jsonb_build_object(
        'job_type', p_job_type,
        'before', case when v_before.job_type is null then '"claimed"' else to_jsonb(v_before) - 'job_type' end,
        'after', 'claimed'
    ));
    perform pg_notify('job_queue', 'resumed');
    return v_before.job_type is not null;
end;
$$;

create function public.start_test_run(
    p_actor text, p_run_id uuid, p_prompt text, p_models text[], p_settings jsonb, p_jobs int
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    perform public.require_actor(p_actor);
    insert into public.test_runs (id, actor, prompt, models, settings, jobs)
    values (p_run_id, p_actor, p_prompt, p_models, p_settings, p_jobs)
    on conflict (id) do nothing;
    if found then
        insert into public.audit_log (actor, action, affected, details)
        values (p_actor, 'start_test_run', p_jobs, jsonb_build_object(
            'run_id', p_run_id, 'models', to_jsonb(p_models), 'prompt', p_prompt
        ));
    end if;
end;
$$;
comment on function public.start_test_run is 'Notes a test run and who submits it; a repetition changes nothing.';

create function public.withdraw_test_run(p_actor text, p_run_id uuid) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
    perform public.require_actor(p_actor);
    delete from public.test_runs r
    where r.id = p_run_id and not exists (select from public.test_run_jobs t where t.run_id = r.id);
    if not found then
        return false;
    end if;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'withdraw_test_run', 0, jsonb_build_object('run_id', p_run_id));
    return true;
end;
$$;
comment on function public.withdraw_test_run is 'Removes a test run that was refused before any of its jobs was started. False when some were.';

create or replace function public.delete_test_run(p_actor text, p_run_id uuid)
returns table (generation_id uuid, storage_path text)
language plpgsql volatile set search_path = ''
as $$
declare
    v_jobs        uuid[];
    v_live        uuid[];
    v_generations uuid[];
    v_before      jsonb;
begin
    perform public.require_actor(p_actor);
    perform from public.test_runs r where r.id = p_run_id for update;
    if not found then
        raise exception 'there is no test run %: it may have been deleted already', p_run_id using errcode = 'DR404';
    end if;
    select coalesce(array_agg(t.job_id), '{}'), coalesce(array_agg(t.generation_id), '{}')
    into v_jobs, v_generations
    from public.test_run_jobs t where t.run_id = p_run_id;
    v_before := public.job_states(v_jobs);
    v_live := array(
        select q.id from public.job_queue q where q.id = any (v_jobs) and q.status in ('pending', 'processing')
    );
    if cardinality(v_live) > 0 then
        perform public.cancel_jobs(p_actor, v_live);
    end if;
    delete from public.job_queue q where q.id = any (v_jobs);
    delete from public.idempotency_keys k where k.scope = 'test' and k.generation_id = any (v_generations);
    return query
        delete from public.image_generations g where g.id = any (v_generations) returning g.id, g.storage_path;
    delete from public.test_runs r where r.id = p_run_id;
    perform public.record_action(p_actor, 'delete_test_run', v_jobs, jsonb_build_object(
        'run_id', p_run_id, 'before', v_before, 'after', public.job_states(v_jobs)
    ));
end;
$$;

do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in ('audit_entries', 'job_states', 'start_test_run', 'withdraw_test_run')
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
