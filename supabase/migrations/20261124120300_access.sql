-- Who may do what with the tables and functions of the last three migrations.

do $$
declare
    v_name     text;
    v_function regprocedure;
begin
    foreach v_name in array array['job_types', 'queue_pauses', 'provider_breakers', 'model_holds'] loop
        execute format('alter table public.%I enable row level security', v_name);
        execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_name);
        execute format('grant select, insert, update, delete on public.%I to service_role', v_name);
        execute format(
            'create policy "Service role has full access" on public.%I for all to service_role '
            'using (true) with check (true)', v_name);
    end loop;
    for v_function in
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in (
              'refuse_transition', 'require_actor', 'record_action', 'cancel_jobs', 'retry_jobs', 'heartbeat_jobs',
              'retry_delay', 'pause_queue', 'resume_queue', 'record_provider_failure', 'record_provider_success',
              'barred_job_types', 'pick_jobs', 'claim_jobs', 'claim_generation', 'complete_job', 'fail_claim',
              'complete_jobs', 'rescue_stuck_jobs'
          )
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;

-- What was done stays written down, whoever holds the secret key.
revoke update, delete on public.audit_log from service_role;
