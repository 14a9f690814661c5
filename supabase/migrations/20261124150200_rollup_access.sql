-- Who may do what with the rollups.

do $$
declare
    v_name     text;
    v_function regprocedure;
begin
    foreach v_name in array array[
        'job_rollup', 'job_rollup_daily', 'arrival_rollup', 'failure_rollup', 'rollup_state', 'rollup_dirty'
    ] loop
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
              'mark_rollup_dirty', 'rollup_patience', 'error_group', 'finished_jobs', 'job_rollup_of',
              'arrival_rollup_of', 'failure_rollup_of', 'add_to_rollups', 'refold_hour', 'rolled_days',
              'roll_days',
              'advance_safe_until', 'fold_until', 'refold_dirty_hours', 'refresh_rollup', 'rebuild_rollup',
              'purge_jobs', 'histogram_counts',
              'histogram_bins', 'histogram_percentile', 'rollup_ranges', 'job_stats',
              'failure_stats', 'arrival_stats', 'verify_rollup'
          )
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
