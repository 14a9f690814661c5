-- Who may do what with the alerts.

do $$
declare
    v_name     text;
    v_function regprocedure;
begin
    foreach v_name in array array[
        'alert_rules', 'alerts', 'alert_channels', 'alert_channel_urls', 'alert_notifications', 'alert_silences',
        'alert_watch', 'job_totals'
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
              'oldest_due', 'recent_times', 'measure_waiting', 'measure_ended', 'measure_workers', 'measure_barriers',
              'measure_cron', 'alert_measures', 'follow_alerts', 'announce_alerts', 'forget_alerts', 'evaluate_alerts',
              'claim_notifications', 'settle_notification', 'set_alert_rule', 'silence_alerts', 'end_alert_silence',
              'add_alert_channel', 'set_alert_channel', 'remove_alert_channel', 'begin_channel_test', 'ended_totals'
          )
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
