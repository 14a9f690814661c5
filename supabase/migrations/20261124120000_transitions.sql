-- Which state may follow which, for whoever updates the table, and what operators may do to a job.

create function public.refuse_transition() returns trigger
language plpgsql set search_path = ''
as $$
begin
    raise exception 'job % is %: it cannot become %', old.id, old.status, new.status
        using errcode = 'DR409', hint = 'Use the functions of the queue: they know which state may follow which.';
end;
$$;
comment on function public.refuse_transition is 'Refuses a change of status that the state machine does not have.';

-- The condition costs next to nothing on the way of every job; the function runs for illegal ones only.
create trigger job_queue_legal_transition
    before update of status on public.job_queue
    for each row
    when (
        old.status <> new.status
        and not (
            (old.status = 'pending' and new.status in ('processing', 'cancelled'))
            or old.status = 'processing'
            or (old.status in ('failed', 'cancelled') and new.status = 'pending')
        )
    )
    execute function public.refuse_transition();

create function public.require_actor(p_actor text) returns void
language plpgsql immutable set search_path = ''
as $$
begin
    if coalesce(btrim(p_actor), '') = '' then
        raise exception 'actor is empty: say who does this' using errcode = '22023';
    end if;
end;
$$;
comment on function public.require_actor is 'Refuses an operator''s action without an actor for the audit log.';

create function public.record_action(p_actor text, p_action text, p_job_ids uuid[], p_details jsonb default '{}')
returns void
language sql volatile set search_path = ''
as $$
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, p_action, cardinality(p_job_ids), p_details || jsonb_build_object('job_ids', to_jsonb(p_job_ids)));
$$;
comment on function public.record_action is 'Writes an operator''s action on jobs into the audit log.';

create function public.cancel_jobs(p_actor text, p_job_ids uuid[]) returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids uuid[];
    v_id  uuid;
begin
    perform public.require_actor(p_actor);
    v_ids := array(
        select q.id from public.job_queue q
        where q.id = any (p_job_ids) and q.status in ('pending', 'processing')
        order by q.id for update
    );
    update public.job_queue q
    set status = 'cancelled', completed_at = clock_timestamp(), updated_at = clock_timestamp(),
        error_message = format('Cancelled by %s.', p_actor)
    where q.id = any (v_ids);
    -- Without its lease a worker learns at its next heartbeat that it lost the job.
    delete from public.job_leases l where l.job_id = any (v_ids);
    foreach v_id in array v_ids loop
        perform public.follow_job(v_id);
    end loop;
    perform public.record_action(p_actor, 'cancel_jobs', v_ids);
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;
comment on function public.cancel_jobs is
    'Cancels those of the jobs that wait or run, and records who did it. The worker of a running one drops it at its next heartbeat.';

create function public.retry_jobs(p_actor text, p_job_ids uuid[]) returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids uuid[];
    v_id  uuid;
begin
    perform public.require_actor(p_actor);
    v_ids := array(
        select q.id from public.job_queue q
        where q.id = any (p_job_ids) and q.status in ('failed', 'cancelled')
        order by q.id for update
    );
    with places as (
        -- Of several ended jobs of one generation only the newest can live again.
        select q.id,
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
        returning q.id
    )
    select coalesce(array_agg(r.id), '{}') into v_ids from retried r;
    foreach v_id in array v_ids loop
        perform public.follow_job(v_id);
    end loop;
    perform public.record_action(p_actor, 'retry_jobs', v_ids);
    perform pg_notify('job_queue', 'retried');
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;
comment on function public.retry_jobs is
    'Puts those of the jobs that failed or were cancelled back to pending with at least one more attempt, unless their generation has a live job, and records who did it.';

drop function public.heartbeat_jobs(uuid, uuid[], int[]);
create function public.heartbeat_jobs(p_worker_id uuid, p_job_ids uuid[], p_attempts int[])
returns table (job_id uuid, attempt int, status text)
language sql volatile set search_path = ''
as $$
    with asked as (
        select * from unnest(p_job_ids, p_attempts) as a (job_id, attempt)
    ), held as (
        select l.job_id, l.attempt from public.job_leases l join asked a using (job_id, attempt)
        where l.worker_id = p_worker_id
        order by l.job_id
        for update of l
    ), beat as (
        update public.job_leases l set heartbeat_at = clock_timestamp()
        from held where l.job_id = held.job_id
    )
    select a.job_id, a.attempt, q.status
    from asked a left join public.job_queue q on q.id = a.job_id
    where not exists (select from held h where h.job_id = a.job_id and h.attempt = a.attempt);
$$;
comment on function public.heartbeat_jobs is
    'Shows that claims are alive. Returns the claims that the worker has lost, with what became of their jobs; null when a job is gone.';
