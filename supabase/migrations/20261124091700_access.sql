-- Access: all row-level security, policies, grants and publications. At the end, the fingerprint of all
-- migrations.
--
-- Older Supabase projects grant everything to the API roles by default, newer ones nothing. So every object
-- is listed here, and its rights are first revoked, then granted.

-- service_role: every table, view and function ----------------------------------------------------

-- An existing deployment may have policies with these names.
drop policy if exists "Service role has full access" on public.job_queue;
drop policy if exists "Service role has full access" on public.image_generations;
drop policy if exists "Users can view their own jobs" on public.job_queue;
drop policy if exists "Users can cancel their own pending jobs" on public.job_queue;
drop policy if exists "Users can view their own generations" on public.image_generations;

-- What was set aside is read through views that others own.
do $$
begin
    if pg_catalog.to_regnamespace('before_darkroom') is not null then
        grant usage on schema before_darkroom to anon, authenticated, service_role;
    end if;
end;
$$;

do $$
declare
    v_table text;
begin
    foreach v_table in array array[
        'audit_log', 'job_queue', 'job_leases', 'attempt_workers', 'workers', 'models', 'model_servers', 'image_generations',
        'predictions', 'outputs', 'uploads', 'generation_uploads', 'user_limits', 'idempotency_keys', 'job_types', 'queue_pauses', 'provider_breakers',
        'model_holds', 'job_rollup', 'job_rollup_daily', 'arrival_rollup', 'failure_rollup',
        'job_minutes', 'arrival_minutes', 'rollup_state', 'rollup_dirty', 'job_totals',
        'set_aside_jobs', 'background_errors', 'queue_samples', 'cron_requests', 'alert_rules', 'alerts', 'alert_channels', 'alert_channel_urls',
        'alert_notifications', 'alert_silences', 'alert_watch', 'async_rollout', 'sync_generations',
        'path_rollup', 'rollbacks', 'rollback_jobs', 'test_runs', 'test_run_jobs',
        'deployment_points', 'purge_runs'
    ] loop
        execute format('alter table public.%I enable row level security', v_table);
        execute format('revoke all on public.%I from public, anon, authenticated, service_role', v_table);
        execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
        execute format(
            'create policy "Service role has full access" on public.%I for all to service_role '
            'using (true) with check (true)', v_table);
    end loop;
end;
$$;

-- The audit log is append-only, also for holders of the secret key.
revoke update, delete on public.audit_log from service_role;

revoke all on
    public.live_workers, public.live_jobs, public.stuck_jobs, public.failed_jobs_recent, public.queue_health,
    public.queue_health_recent, public.queue_state, public.queue_hours, public.queue_quarters, public.queue_pace,
    public.throughput_hourly, public.model_timings, public.failure_groups, public.unknown_outcomes, public.user_usage
    from public, anon, authenticated, service_role;
grant select on
    public.live_workers, public.live_jobs, public.stuck_jobs, public.failed_jobs_recent, public.queue_health,
    public.queue_health_recent, public.queue_state, public.queue_hours, public.queue_quarters, public.queue_pace,
    public.throughput_hourly, public.model_timings, public.failure_groups, public.unknown_outcomes, public.user_usage
    to service_role;

-- Identity columns need no right on their sequence.
revoke all on sequence public.audit_log_id_seq, public.purge_runs_id_seq
    from public, anon, authenticated, service_role;

do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proname in (
            -- tables
            'set_aside_existing', 'fill_existing_columns', 'bound_job', 'generation_of', 'model_of', 'line_of', 'is_passing_error', 'set_aside_job', 'report_background_error',
            -- queue
            'refuse_transition', 'enqueue_job', 'worker_of', 'keep_attempt_worker', 'append_attempt_error', 'retry_delay', 'failed_attempts',
            'breaker_of', 'record_provider_failure', 'record_provider_success', 'barred_job_types', 'down_models', 'slow_start',
            'pending_lines', 'further_lines', 'resume_model', 'shares_of_lines', 'pick_jobs', 'start_attempts',
            'claim_jobs', 'claim_jobs_singly', 'claim_next_job', 'claim_generation', 'hold_claim', 'heartbeat_jobs',
            'is_being_generated', 'follow_job', 'end_busy_holds', 'return_to_busy', 'fail_claim', 'complete_job', 'complete_jobs', 'release_jobs',
             'note_cancellation', 'follow_cancellation',
            'stuck_after', 'end_lost_attempt', 'rescue_worker_jobs', 'rescue_stuck_jobs',
            -- models
            'check_model', 'check_provider', 'unfit_defaults', 'set_model', 'schema_in_brief', 'save_model_schema',
            -- model_inputs
            'file_kind', 'image_input', 'model_kind', 'parameter_schema_of', 'megapixels_of', 'sizes_of',
            'upload_of', 'data_uri_problem', 'file_problem', 'input_problem',
            'allowed_values', 'nearest_name', 'input_problems', 'problems_in_words', 'refuse_input', 'custom_size_input',
            'expected_size', 'size_inputs', 'neutral_inputs', 'default_input', 'resolve_input',
            -- uploads
            'record_upload', 'forget_uploads', 'upload_references', 'use_uploads', 'expire_unused_upload',
            -- generations
            'reserved_input', 'refuse_reserved_inputs', 'refuse_invalid_labels',
            'get_user_limits', 'default_limits', 'limit_resets_in', 'start_generation', 'enqueue_for_user',
            'begin_generation',
            'requested_input', 'data_reference', 'input_without_data', 'input_to_send',
            'intend_prediction', 'replace_prediction', 'renew_intent', 'record_prediction', 'adopt_prediction',
            'forget_provider_id', 'drop_intent', 'end_prediction', 'unwanted_predictions', 'note_uncancelled',
            'record_progress',
            'images_asked', 'record_output', 'missing_images_notice', 'images', 'stored_files', 'tell_generation_change',
            -- operator_actions
            'require_actor', 'job_states', 'record_action', 'audit_entries', 'operator_enqueue', 'reset_stuck_jobs',
            'cancel_jobs', 'retry_jobs', 'set_priority', 'actions_on_job', 'live_duplicates', 'cancel_duplicates',
            'pause_queue',
            'resume_queue', 'probe_provider', 'set_user_limits',
            -- rollup
            'failure_outcome', 'mark_rollup_dirty', 'error_group', 'error_key', 'failure_key', 'finished_jobs',
            'job_rollup_of', 'arrival_rollup_of', 'failure_rollup_of', 'minutes_since',
            'job_minutes_of', 'arrival_minutes_of', 'rolled_days',
            -- folding
            'add_to_hours', 'add_to_minutes', 'add_to_rollups', 'history_error', 'set_aside_unfoldable',
            'fold_jobs', 'refold_hour', 'roll_days', 'rewind_rollup', 'retry_set_aside_jobs',
            'forget_idempotency_keys',
            'rollup_patience', 'advance_safe_until', 'fold_until', 'refold_dirty_hours',
            'refresh_rollup', 'rebuild_rollup', 'verify_rollup',
            -- statistics
            'histogram_of', 'histogram_counts', 'histogram_bins', 'histogram_percentiles',
            'histogram_percentile', 'rollup_ranges', 'job_stats_parts', 'job_stats',
            'failure_stats', 'arrival_stats', 'queue_flow', 'whole_buckets', 'bucket_span',
            'minute_ranges',
            'recent_jobs', 'recent_arrivals', 'sample_queue', 'ended_totals',
            -- …_views
            'throughput', 'job_times', 'queue_lengths', 'purged_jobs', 'model_timings_between',
            'model_time_distribution', 'model_trend', 'failure_groups_between',
            'user_usage_between', 'user_standing', 'user_requests',
            -- cron
            'cron_version', 'cron_at_least', 'cron_available', 'http_post_function',
            'process_jobs_seconds', 'response_seconds', 'secret_key_name', 'named_secret', 'setting_readable', 'secret_readable',
            'mask_secrets', 'cron_jobs', 'cron_findings', 'cron_runs', 'request_process_jobs',
            'require_cron', 'require_cron_schedule', 'cron_job_state', 'record_cron_change',
            'schedule_process_jobs', 'unschedule_process_jobs', 'change_cron_job',
            'set_cron_job_active', 'unschedule_cron_job',
            -- alerts
            'oldest_due', 'recent_times', 'measure_waiting', 'measure_ended', 'worker_seen_at', 'measure_workers',
            'measure_barriers', 'measure_cron', 'measure_errors', 'alert_measures', 'follow_alerts',
            'announce_alerts', 'forget_alerts', 'evaluate_alerts', 'claim_notifications',
            'settle_notification',
            -- alert_actions
            'set_alert_rule', 'silence_alerts', 'end_alert_silence', 'add_alert_channel',
            'set_alert_channel', 'remove_alert_channel', 'begin_channel_test',
            -- migration_path
            'rollout_position', 'use_async_for_user', 'set_async_rollout', 'start_sync_generation',
            'end_sync_generation', 'async_totals', 'fold_async_totals', 'path_stats',
            -- rollback
            'start_rollback', 'open_rollback', 'note_notified', 'end_rollback',
            'roll_back_to_synchronous', 'restore_rollout', 'stop_cron', 'restart_cron',
            'cancel_for_rollback', 'put_back_cancelled',
            -- test_runs
            'start_test_run', 'start_test_generations', 'run_job_again', 'withdraw_test_run', 'delete_test_run',
            -- checks
            'note_deployment', 'tick_deployment_point', 'self_test_prompt', 'self_test_email',
            'start_self_test', 'silence_self_test_job', 'remove_self_test',
            -- maintenance
            'purge_horizon', 'end_purge', 'delete_finished_jobs', 'purge_finished_jobs', 'stop_purge',
            'purge_cron_history', 'cron_history_rows', 'remove_sample_data', 'record_maintenance', 'forgotten_after',
            'end_session', 'unpublished_tables', 'restore_realtime', 'restore_user_access'
        )
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;

-- Unmasked text, and a table of others: only the owner may call them, as cron_runs does (security definer).
revoke execute on function public.net_responses, public.net_waiting from public, anon, authenticated, service_role;

-- authenticated and anon: own rows, enabled models ------------------------------------------------

grant select on public.job_queue, public.image_generations, public.outputs, public.uploads, public.user_limits
    to authenticated;
grant select on public.models to anon, authenticated;
grant execute on function public.get_user_limits(uuid) to authenticated;
grant execute on function
    public.enqueue_job(text, jsonb, int, timestamptz, int, uuid),
    public.enqueue_for_user(text, jsonb, int, timestamptz, int, uuid)
    to authenticated;
grant execute on function public.images(public.image_generations) to authenticated;

create policy "Users can view their own jobs" on public.job_queue
    for select to authenticated using ((select auth.uid()) = created_by);

-- The one exception to "only SQL functions change job_queue". Existing clients cancel by UPDATE; the triggers of
-- queue do the rest. The restrictive policy holds for policies of an existing deployment too, which the grant
-- would wake.
grant update (status) on public.job_queue to authenticated;
create policy "Users can cancel their own pending jobs" on public.job_queue
    for update to authenticated
    using ((select auth.uid()) = created_by and status = 'pending')
    with check ((select auth.uid()) = created_by and status = 'cancelled');
create policy "Users change jobs only by cancelling them" on public.job_queue
    as restrictive for update to authenticated
    using ((select auth.uid()) = created_by and status = 'pending')
    with check ((select auth.uid()) = created_by and status = 'cancelled');

create policy "Users can view their own generations" on public.image_generations
    for select to authenticated using ((select auth.uid()) = user_id);

create policy "Users can view their own outputs" on public.outputs
    for select to authenticated using ((select auth.uid()) = user_id);

create policy "Users can view their own uploads" on public.uploads
    for select to authenticated using ((select auth.uid()) = user_id);

create policy "Users can view their own limits" on public.user_limits
    for select to authenticated using ((select auth.uid()) = user_id);

create policy "Everyone can view enabled models" on public.models
    for select to anon, authenticated using (enabled);

-- Realtime ----------------------------------------------------------------------------------------

-- Applications follow their jobs and generations over Realtime.
do $$
declare
    v_table text;
begin
    if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
        foreach v_table in array public.unpublished_tables() loop
            execute format('alter publication supabase_realtime add table public.%I', v_table);
        end loop;
    end if;
end;
$$;

-- Fingerprint -------------------------------------------------------------------------------------

-- Until 1.0 these files are edited in place, so a database may have been made by another version of them.
-- tests/database/test_fingerprint.py keeps this up to date.
create function public.schema_fingerprint() returns text
language sql immutable parallel safe set search_path = ''
return 'f27fe767bd24fc1c';
comment on function public.schema_fingerprint is
    'Fingerprint of the migrations that created this schema. The app, the worker and the migrator refuse any other than their own.';
revoke execute on function public.schema_fingerprint from public, anon, authenticated;
grant execute on function public.schema_fingerprint to service_role;
