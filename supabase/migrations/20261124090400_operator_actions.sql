-- What operators do to jobs, the queue and users, and the audit log that records all of it.

-- Audit log ---------------------------------------------------------------------------------------

-- The page Audit sorts by (at, id). With the filtered columns in front, each index keeps that order.
create index audit_log_at_idx on public.audit_log (at, id);
create index audit_log_actor_idx on public.audit_log (actor, at, id);
create index audit_log_action_idx on public.audit_log (action, at, id);
create index audit_log_actor_action_idx on public.audit_log (actor, action, at, id);
create index audit_log_jobs_idx on public.audit_log using gin ((details -> 'job_ids'));

create function public.require_actor(p_actor text) returns void
language plpgsql immutable set search_path = ''
as $$
begin
    if coalesce(btrim(p_actor), '') = '' then
        raise exception 'actor is empty: name the person or program that does this' using errcode = '22023';
    end if;
end;
$$;
comment on function public.require_actor is 'Refuses an action without an actor for the audit log.';

create function public.job_states(p_job_ids uuid[]) returns jsonb
language sql stable set search_path = ''
as $$
    select coalesce(jsonb_object_agg(s.status, s.jobs), '{}')
    from (select q.status, count(*) as jobs from public.job_queue q where q.id = any (p_job_ids) group by q.status) s;
$$;
comment on function public.job_states is 'Number of the jobs in each status, for the audit log.';

create function public.record_action(p_actor text, p_action text, p_job_ids uuid[], p_details jsonb default '{}')
returns void
language sql volatile set search_path = ''
as $$
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, p_action, cardinality(p_job_ids), p_details || jsonb_build_object('job_ids', to_jsonb(p_job_ids)));
$$;
comment on function public.record_action is 'Records an operator''s action on jobs in the audit log.';

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
    -- Dynamic SQL, so that each combination of filters is planned for its own index.
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
    'Entries of the audit log from p_from to before p_to, newest first, by actor and action (null: all), next before the entry p_before in time or next after p_after.';

-- Jobs --------------------------------------------------------------------------------------------

create function public.operator_enqueue(
    p_actor text, p_job_type text, p_payload jsonb, p_priority int default 0, p_scheduled_at timestamptz default now()
) returns uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_id uuid;
begin
    perform public.require_actor(p_actor);
    v_id := public.enqueue_job(p_job_type, p_payload, p_priority, p_scheduled_at);
    perform public.record_action(p_actor, 'enqueue_job', array[v_id], jsonb_build_object(
        'job_type', p_job_type, 'priority', p_priority, 'scheduled_at', p_scheduled_at
    ));
    return v_id;
end;
$$;
comment on function public.operator_enqueue is
    'Adds a job like enqueue_job, and records the actor. Returns its id.';

select public.set_aside_existing('reset_stuck_jobs');
create function public.reset_stuck_jobs(p_actor text, p_job_ids uuid[] default null)
returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids uuid[];
    v_id  uuid;
begin
    perform public.require_actor(p_actor);
    -- Lock the job first, then the lease, as complete_job does: a late heartbeat waits here or is seen below.
    v_ids := array(
        select q.id from public.job_queue q
        where q.status = 'processing'
          and coalesce(q.started_at, q.updated_at) < clock_timestamp() - public.stuck_after()
          and (p_job_ids is null or q.id = any (p_job_ids))
        order by q.id for update skip locked
    );
    perform from public.job_leases l where l.job_id = any (v_ids) order by l.job_id for update;

    perform public.keep_attempt_worker(s.id, s.attempts) from public.stuck_jobs s where s.id = any (v_ids);
    with stale as (
        select s.id, row_number() over (order by s.priority desc, s.created_at) as place,
               format('Reset by an operator: no heartbeat since %s.', s.last_heartbeat_at) as error
        from public.stuck_jobs s where s.id = any (v_ids)
    ), reset as (
        update public.job_queue q
        set status = 'pending',
            -- Spread out, so that a mass reset does not flood the provider.
            scheduled_at = clock_timestamp() + least((s.place - 1) * interval '100 milliseconds', interval '1 minute'),
            error_message = s.error,
            error_details = public.append_attempt_error(q, s.error, null),
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
comment on function public.reset_stuck_jobs is
    'Sets stuck jobs (all, or those of p_job_ids that are still stuck) to pending with their attempts unchanged, and records the actor.';

select public.set_aside_existing('cancel_jobs');
-- Triggers do the rest, as for every UPDATE that cancels: note_cancellation and follow_cancellation.
create function public.cancel_jobs(p_actor text, p_job_ids uuid[], p_running boolean default true)
returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids    uuid[];
    v_before jsonb;
begin
    perform public.require_actor(p_actor);
    v_ids := array(
        select q.id from public.job_queue q
        where q.id = any (p_job_ids) and (q.status = 'pending' or (q.status = 'processing' and p_running))
        order by q.id for update
    );
    v_before := public.job_states(v_ids);
    update public.job_queue q set status = 'cancelled' where q.id = any (v_ids);
    perform public.record_action(
        p_actor, 'cancel_jobs', v_ids, jsonb_build_object('before', v_before, 'after', public.job_states(v_ids))
    );
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;
comment on function public.cancel_jobs is
    'Cancels the jobs that are pending or, unless p_running is false, running, and records the actor. A running job stops at the next heartbeat of its worker.';

select public.set_aside_existing('retry_jobs');
create function public.retry_jobs(p_actor text, p_job_ids uuid[]) returns setof public.job_queue
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
        -- Of several ended jobs of one type and generation only the newest can be retried.
        select q.id, q.status,
               row_number() over (partition by coalesce(public.generation_of(q.payload), q.id), q.job_type
                                  order by q.created_at desc, q.id) as rank,
               row_number() over (order by q.priority desc, q.created_at, q.id) as place
        from public.job_queue q where q.id = any (v_ids)
    ), retried as (
        update public.job_queue q
        set status = 'pending', completed_at = null, error_message = null, updated_at = clock_timestamp(),
            max_attempts = greatest(q.max_attempts, q.attempts + 1),
            -- Spread out, so that a mass retry does not flood the provider.
            scheduled_at = clock_timestamp() + least((p.place - 1) * interval '100 milliseconds', interval '1 minute')
        from places p
        where q.id = p.id and p.rank = 1
          and not exists (
              select from public.job_queue live
              where public.generation_of(live.payload) = public.generation_of(q.payload)
                and live.job_type = q.job_type and live.status in ('pending', 'processing')
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
comment on function public.retry_jobs is
    'Sets the failed and cancelled ones of the jobs to pending with at least one more attempt, unless their generation has a live job of the type, and records the actor.';

create function public.set_priority(p_actor text, p_ids uuid[], p_priority int) returns setof uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids    uuid[];
    v_before jsonb;
begin
    perform public.require_actor(p_actor);
    if p_priority is null then
        raise exception 'priority is empty: enter a whole number' using errcode = '22023';
    end if;
    v_ids := array(
        select q.id from public.job_queue q
        where q.id = any (p_ids) and q.status = 'pending' and q.priority is distinct from p_priority
        order by q.id for update
    );
    select coalesce(jsonb_object_agg(p.priority, p.jobs), '{}') into v_before
    -- An existing deployment's may be null, which counts as 0.
    from (select coalesce(q.priority, 0) as priority, count(*) as jobs from public.job_queue q where q.id = any (v_ids) group by 1) p;
    update public.job_queue q set priority = p_priority, updated_at = clock_timestamp() where q.id = any (v_ids);
    perform public.record_action(p_actor, 'set_priority', v_ids, jsonb_build_object(
        'before', v_before, 'after', jsonb_build_object('priority', p_priority)
    ));
    return query select unnest(v_ids);
end;
$$;
comment on function public.set_priority is
    'Changes the priority of the pending ones of the jobs, and records the actor. Returns the jobs that changed.';

create function public.actions_on_job(p_job_id uuid) returns table (at timestamptz, actor text, action text)
language plpgsql stable set search_path = '' set enable_seqscan = off
as $$
begin
    return query
        select a.at, a.actor, a.action from public.audit_log a
        where a.details -> 'job_ids' ? p_job_id::text
        order by a.at desc, a.id desc
        limit 20;
end;
$$;
comment on function public.actions_on_job is 'The last 20 operator actions on a job, newest first.';

-- The unique index of live generations prevents most duplicates. This finds the rest: ids that are not
-- UUIDs, and jobs enqueued after the generation completed.
create function public.live_duplicates()
returns table (id uuid, generation_id text, kept_id uuid, reason text)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
begin
    return query
    with live as materialized (
        select q.id, q.job_type, q.status, q.created_at, q.payload
        from public.job_queue q where q.status = 'pending' and q.payload ? 'generation_id'
        union all
        select q.id, q.job_type, q.status, q.created_at, q.payload
        from public.job_queue q where q.status = 'processing' and q.payload ? 'generation_id'
    ), ranked as (
        select l.id, l.job_type, l.status, l.payload, lower(l.payload ->> 'generation_id') as generation_id,
               -- A running job already costs money, so it counts as the oldest.
               first_value(l.id) over (partition by lower(l.payload ->> 'generation_id'), l.job_type
                                       order by l.status = 'processing' desc, l.created_at, l.id) as kept_id
        from live l
        where l.payload ->> 'generation_id' <> ''
    )
    select r.id, r.generation_id, nullif(r.kept_id, r.id),
           case when r.kept_id <> r.id then 'an older job of the same generation is pending or running' else 'its image already exists' end
    from ranked r
    where r.status = 'pending'
      and (r.kept_id <> r.id
           or r.job_type <> 'download-image' and exists (
               select from public.image_generations g
               where g.id = public.generation_of(r.payload) and g.status = 'completed'
           ));
end;
$$;
comment on function public.live_duplicates() is
    'Duplicate pending jobs: their generation has another live job of their type, kept_id (the running one, else the oldest), or was completed by an earlier job, unless they download its image.';

select public.set_aside_existing('cancel_duplicates');
create function public.cancel_duplicates(p_actor text) returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids uuid[];
begin
    perform public.require_actor(p_actor);
    -- Lock the kept jobs too: if one fails meanwhile, its duplicate must not be cancelled.
    perform from public.job_queue q
    where q.id in (select unnest(array[d.id, d.kept_id]) from public.live_duplicates() d)
    order by q.id for update;
    with cancelled as (
        update public.job_queue q
        set status = 'cancelled', error_message = format('Cancelled as a duplicate: %s.', d.reason)
        from public.live_duplicates() d
        where q.id = d.id and q.status = 'pending'
        returning q.id
    )
    select coalesce(array_agg(c.id order by c.id), '{}') into v_ids from cancelled c;
    -- The generations stay as they are: they follow the jobs that were kept.
    perform public.record_action(p_actor, 'cancel_duplicates', v_ids, jsonb_build_object(
        'before', jsonb_build_object('pending', cardinality(v_ids)), 'after', public.job_states(v_ids)
    ));
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;
comment on function public.cancel_duplicates is
    'Cancels the live_duplicates, keeps the running or else the oldest job of each generation, and records the actor.';

-- Queue -------------------------------------------------------------------------------------------

select public.set_aside_existing('pause_queue');
create function public.pause_queue(p_actor text, p_job_type text default '*', p_reason text default null)
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
comment on function public.pause_queue is 'Stops workers from claiming a type of jobs, or all; running jobs are not affected. An existing pause is kept.';

select public.set_aside_existing('resume_queue');
create function public.resume_queue(p_actor text, p_job_type text default '*') returns boolean
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
comment on function public.resume_queue is 'Ends the pause of a type of jobs, or of all; pauses of single types stay. False if there was none.';

create function public.probe_provider(p_actor text, p_provider text) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_before timestamptz;
begin
    perform public.require_actor(p_actor);
    select b.open_until into v_before from public.provider_breakers b
    where b.provider = p_provider and b.open_until > clock_timestamp() and not b.probing
    for update;
    if not found then
        return false;
    end if;
    update public.provider_breakers b set open_until = clock_timestamp() where b.provider = p_provider;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'probe_provider', 1, jsonb_build_object('provider', p_provider, 'open_until', v_before));
    perform pg_notify('job_queue', 'probe');
    return true;
end;
$$;
comment on function public.probe_provider is
    'Lets the next job try a provider whose circuit breaker is open, without further waiting. False if it is not open.';

-- Users -------------------------------------------------------------------------------------------

select public.set_aside_existing('set_user_limits');
create function public.set_user_limits(p_actor text, p_user_id uuid, p_daily_limit int, p_hourly_limit int)
returns public.user_limits
language plpgsql volatile set search_path = ''
as $$
declare
    v_before public.user_limits;
    v_after  public.user_limits;
begin
    perform public.require_actor(p_actor);
    if p_user_id is null then
        raise exception 'user is empty: name the user' using errcode = '22023';
    end if;
    if p_daily_limit < 0 or p_hourly_limit < 0 then
        raise exception 'a limit is negative: use 0 for none, null for the default' using errcode = '22023';
    end if;
    -- One change at a time per user, so that "before" in the log is what was replaced.
    perform pg_advisory_xact_lock(hashtextextended('set_user_limits:' || p_user_id, 0));
    select * into v_before from public.user_limits l where l.user_id = p_user_id;
    insert into public.user_limits as l (user_id, daily_limit, hourly_limit)
    values (p_user_id, p_daily_limit, p_hourly_limit)
    on conflict (user_id) do update
    set daily_limit = excluded.daily_limit, hourly_limit = excluded.hourly_limit, updated_at = now()
    returning * into v_after;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'set_user_limits', 1, jsonb_build_object(
        'user_id', p_user_id,
        'before', jsonb_build_object('daily_limit', v_before.daily_limit, 'hourly_limit', v_before.hourly_limit),
        'after', jsonb_build_object('daily_limit', v_after.daily_limit, 'hourly_limit', v_after.hourly_limit)
    ));
    return v_after;
exception
    when foreign_key_violation then
        raise exception 'there is no user %', p_user_id using errcode = 'DR404';
end;
$$;
comment on function public.set_user_limits is
    'Sets how many generations a user may start in 24 hours and in one hour; null for the default. Records the previous limits. Error: DR404 for an unknown user.';
