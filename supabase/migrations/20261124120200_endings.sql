-- How a claim ends: with success, one or many at once; with an error; with a worker that fell silent.

create or replace function public.complete_job(
    p_job_id        uuid,
    p_success       boolean default true,
    p_error_message text default null,
    p_error_details jsonb default null,
    p_attempt       int default null,
    p_result        jsonb default null
) returns text
language plpgsql volatile set search_path = ''
as $$
declare
    v_job    public.job_queue;
    v_status text;
begin
    select * into v_job from public.job_queue q where q.id = p_job_id for update;
    if not found then
        raise exception 'there is no job %', p_job_id using errcode = 'DR404';
    end if;
    if p_attempt is not null and (v_job.status <> 'processing' or v_job.attempts <> p_attempt) then
        return 'lost';
    end if;
    if v_job.status <> 'processing' then
        raise exception 'job % is %: only a processing job can be completed', p_job_id, v_job.status
            using errcode = 'DR409';
    end if;

    if coalesce(p_success, true) then
        v_status := 'completed';
        update public.job_queue q
        set status = v_status, completed_at = clock_timestamp(), updated_at = clock_timestamp(), error_message = null
        where q.id = p_job_id;
        perform public.record_provider_success(t.provider) from public.job_types t
        where t.job_type = v_job.job_type and t.provider is not null;
    else
        v_status := public.fail_claim(v_job, coalesce(p_error_message, 'failed without a message'), p_error_details);
    end if;
    delete from public.job_leases l where l.job_id = p_job_id;
    perform public.follow_job(p_job_id, p_result);
    return v_status;
end;
$$;

-- The row is locked by the caller.
create function public.fail_claim(p_job public.job_queue, p_error text, p_details jsonb) returns text
language plpgsql volatile set search_path = ''
as $$
declare
    v_code        text := p_details ->> 'code';
    -- The provider refused to begin: that says nothing about the job, so it costs no try.
    v_limited     boolean := coalesce(v_code = 'rate_limited', false);
    v_final       boolean := coalesce(p_details -> 'permanent' = 'true', false)
                             or (p_job.attempts >= p_job.max_attempts and not v_limited);
    v_retry_after numeric := case when jsonb_typeof(p_details -> 'retry_after_seconds') = 'number'
                                  then least((p_details ->> 'retry_after_seconds')::numeric, 86400) end;
    v_model       text := p_job.payload ->> 'model_id';
    v_provider    text := (select t.provider from public.job_types t where t.job_type = p_job.job_type);
begin
    update public.job_queue q
    set status = case when v_final then 'failed' else 'pending' end,
        completed_at = case when v_final then clock_timestamp() end,
        scheduled_at = case when v_final then q.scheduled_at
                            else clock_timestamp() + public.retry_delay(q.job_type, q.attempts, v_retry_after) end,
        max_attempts = q.max_attempts + case when v_limited and not v_final then 1 else 0 end,
        error_message = p_error,
        error_details = public.append_attempt_error(q.error_details, q.attempts, p_error, p_details),
        updated_at = clock_timestamp()
    where q.id = p_job.id;

    if v_limited and v_model is not null and v_retry_after > 0 then
        insert into public.model_holds as h (model_id, held_until, reason)
        values (v_model, clock_timestamp() + v_retry_after * interval '1 second', p_error)
        on conflict (model_id) do update
        set held_until = greatest(h.held_until, excluded.held_until), reason = excluded.reason;
    end if;
    if v_provider is not null then
        if v_code in ('unreachable', 'provider_error', 'unauthorized', 'no_credit') then
            perform public.record_provider_failure(v_provider, p_error);
        elsif v_code in ('model_not_found', 'invalid_input', 'prediction_failed') then
            perform public.record_provider_success(v_provider);
        end if;
    end if;
    return case when v_final then 'failed' else 'pending' end;
end;
$$;
comment on function public.fail_claim is
    'Ends a locked claim with an error: failed, or pending again after its backoff. Holds a rate-limited model and counts for the provider''s breaker.';

create function public.complete_jobs(p_job_ids uuid[], p_attempts int[], p_results jsonb[])
returns table (job_id uuid, attempt int)
language plpgsql volatile set search_path = ''
as $$
declare
    v_done      uuid[];
    v_providers text[];
begin
    with asked as (
        select a.* from unnest(p_job_ids, p_attempts, p_results) as a (job_id, attempt, result)
    ), held as (
        select q.id, a.result from public.job_queue q
        join asked a on q.id = a.job_id and q.attempts = a.attempt
        -- By primary key, not by the index of processing jobs: most of its entries no longer count.
        where q.status || '' = 'processing'
        order by q.id for update of q
    ), done as (
        update public.job_queue q
        set status = 'completed', completed_at = clock_timestamp(), updated_at = clock_timestamp(), error_message = null
        from held where q.id = held.id
        returning q.id, q.job_type, q.completed_at, q.payload, held.result
    ), freed as (
        delete from public.job_leases l using done where l.job_id = done.id
    ), followed as (
        update public.image_generations g
        set status = 'completed', progress = 100, error_message = null,
            image_url = coalesce(d.result ->> 'image_url', g.image_url),
            storage_path = coalesce(d.result ->> 'storage_path', g.storage_path),
            completed_at = d.completed_at, updated_at = clock_timestamp()
        from done d
        where d.payload ? 'generation_id' and g.id = public.generation_of(d.payload) and g.status <> 'completed'
    )
    select coalesce(array_agg(d.id), '{}'), array_agg(distinct t.provider) filter (where t.provider is not null)
    into v_done, v_providers
    from done d left join public.job_types t using (job_type);

    if v_providers is not null then
        perform public.record_provider_success(p) from unnest(v_providers) as p;
    end if;
    if cardinality(v_done) < cardinality(p_job_ids) then
        return query
            select a.job_id, a.attempt from unnest(p_job_ids, p_attempts) as a (job_id, attempt)
            where not exists (
                select from public.job_queue q
                where q.id = a.job_id and q.attempts = a.attempt and q.id = any (v_done)
            );
    end if;
end;
$$;
comment on function public.complete_jobs is
    'Ends many claims with success; p_results as in complete_job, null for none. Returns the claims that were lost: nothing of theirs changed.';

create function public.rescue_stuck_jobs(p_silence interval default public.stuck_after(), p_limit int default 500)
returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_job   public.job_queue;
    v_since timestamptz;
    v_error text;
    v_ids   uuid[] := '{}';
begin
    if p_silence is null or p_silence <= interval '0' then
        raise exception 'silence is %: give a positive interval', p_silence using errcode = '22023';
    end if;
    for v_job in
        select q.* from public.job_queue q
        where q.status = 'processing' and q.started_at < clock_timestamp() - p_silence
          -- Without a lease nobody promised to show life: that is for an operator to judge.
          and exists (
              select from public.job_leases l
              where l.job_id = q.id and l.attempt = q.attempts and l.heartbeat_at < clock_timestamp() - p_silence
          )
        order by q.id
        limit p_limit
        for update of q skip locked
    loop
        -- A heartbeat may have come since: it locks the lease, not the job.
        select l.heartbeat_at into v_since from public.job_leases l where l.job_id = v_job.id for update;
        continue when not found or v_since >= clock_timestamp() - p_silence;
        v_error := format('No sign of life from its worker since %s.', date_trunc('second', v_since));
        update public.job_queue q
        set status = case when q.attempts >= q.max_attempts then 'failed' else 'pending' end,
            completed_at = case when q.attempts >= q.max_attempts then clock_timestamp() end,
            scheduled_at = case when q.attempts >= q.max_attempts then q.scheduled_at
                                else clock_timestamp() + public.retry_delay(q.job_type, q.attempts) end,
            error_message = v_error,
            error_details = public.append_attempt_error(q.error_details, q.attempts, v_error, '{"code": "worker_lost"}'),
            updated_at = clock_timestamp()
        where q.id = v_job.id;
        delete from public.job_leases l where l.job_id = v_job.id;
        perform public.follow_job(v_job.id);
        v_ids := v_ids || v_job.id;
    end loop;
    if cardinality(v_ids) > 0 then
        perform pg_notify('job_queue', 'rescued');
    end if;
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;
comment on function public.rescue_stuck_jobs is
    'Takes the claims of workers that fell silent. The attempt counts, so that a job which kills its workers ends as failed.';

create or replace function public.limit_resets_in(p_user_id uuid, p_limits jsonb) returns int
language sql stable set search_path = ''
as $$
    select greatest(1, ceil(extract(epoch from max(w.at) - now())))::int
    from (
        -- The slot is free when the generation that fills the window's last place leaves it.
        select case when n.allowed = 0 then now() else (
            select g.created_at from public.image_generations g
            where g.user_id is not distinct from p_user_id
              and g.created_at > now() - n.length
              and g.source <> 'test'
            order by g.created_at desc
            offset n.allowed - 1 limit 1
        ) end + n.length as at
        from (values
            (interval '1 hour', (p_limits ->> 'hourly_limit')::int, (p_limits ->> 'hourly_used')::int),
            (interval '1 day', (p_limits ->> 'daily_limit')::int, (p_limits ->> 'daily_used')::int)
        ) as n (length, allowed, used)
        where n.used >= n.allowed
    ) w;
$$;
comment on function public.limit_resets_in is
    'Seconds until a user over the limit may start another generation; a limit of zero answers with its window.';
