-- A job that is cancelled while it waits for another attempt did not run from its last attempt until now:
-- it has no start, so that it counts in no mean and no percentile of waits and runs.

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
        started_at = case when q.status = 'processing' then q.started_at end,
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
        set status = 'cancelled', completed_at = clock_timestamp(), updated_at = clock_timestamp(), started_at = null,
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
