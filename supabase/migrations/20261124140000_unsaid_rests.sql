-- A refusal for too many requests holds back the model for ten seconds where the provider names no time.

create or replace function public.fail_claim(p_job public.job_queue, p_error text, p_details jsonb) returns text
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

    if v_limited and v_model is not null then
        insert into public.model_holds as h (model_id, held_until, reason)
        -- A provider that does not say for how long is asked by one job after another, not by all.
        values (v_model, clock_timestamp() + coalesce(v_retry_after, 10) * interval '1 second', p_error)
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
