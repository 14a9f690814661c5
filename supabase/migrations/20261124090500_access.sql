-- Who may do what. Older projects grant everything to the API roles, newer ones nothing: say both.

do $$
declare
    v_name text;
begin
    foreach v_name in array array[
        'job_queue', 'models', 'image_generations', 'job_leases', 'workers', 'user_limits',
        'idempotency_keys', 'audit_log'
    ] loop
        execute format('alter table public.%I enable row level security', v_name);
        execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_name);
        execute format('grant select, insert, update, delete on public.%I to service_role', v_name);
        execute format('drop policy if exists "Service role has full access" on public.%I', v_name);
        execute format(
            'create policy "Service role has full access" on public.%I for all to service_role '
            'using (true) with check (true)', v_name);
    end loop;
    foreach v_name in array array['queue_health', 'failed_jobs_recent', 'stuck_jobs'] loop
        execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_name);
        execute format('grant select on public.%I to service_role', v_name);
    end loop;
end;
$$;

revoke all on sequence public.audit_log_id_seq from public, anon, authenticated, service_role;

grant select on public.job_queue, public.image_generations, public.user_limits to authenticated;
grant select on public.models to anon, authenticated;

drop policy if exists "Users can view their own jobs" on public.job_queue;
create policy "Users can view their own jobs" on public.job_queue
    for select to authenticated using ((select auth.uid()) = created_by);

create policy "Users can view their own generations" on public.image_generations
    for select to authenticated using ((select auth.uid()) = user_id);

create policy "Users can view their own limits" on public.user_limits
    for select to authenticated using ((select auth.uid()) = user_id);

create policy "Everyone can view enabled models" on public.models
    for select to anon, authenticated using (enabled);

do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in (
              'stuck_after', 'generation_of', 'append_attempt_error', 'retry_delay', 'enqueue_job',
              'start_attempts', 'claim_jobs', 'claim_next_job', 'claim_generation', 'hold_claim',
              'heartbeat_jobs', 'complete_job', 'follow_job', 'release_jobs', 'rescue_worker_jobs',
              'reset_stuck_jobs', 'get_user_limits', 'start_generation', 'limit_resets_in',
              'begin_generation', 'record_prediction', 'record_progress'
          )
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
grant execute on function public.get_user_limits(uuid) to authenticated;

-- Applications watch their generations over Realtime.
do $$
begin
    if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime')
       and not exists (
           select from pg_catalog.pg_publication_tables
           where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'image_generations'
       )
    then
        alter publication supabase_realtime add table public.image_generations;
    end if;
end;
$$;
