-- Takes over a database that already has another queue. All that stands in the way is reported at once, and
-- then nothing is changed. Otherwise the tables that we share get what they lack, in one statement, and the other
-- queue goes on: its functions and views make way one by one, just before ours of the same name are created.

-- Stands before all other tables because applying this very file from the dashboard is audited.
create table if not exists public.audit_log (
    id       bigint      generated always as identity primary key,
    at       timestamptz not null default now(),
    actor    text        not null check (actor <> ''),
    action   text        not null,
    affected int         not null,
    details  jsonb       not null default '{}'
);
comment on table public.audit_log is 'Actions of operators: what was done, to how many jobs and by whom.';

-- This file alone may be applied again, from the dashboard: hence "or replace".
create or replace function public.set_aside_existing(variadic p_names text[]) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_object record;
begin
    for v_object in
        select case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end as kind,
               c.oid::regclass::text as name
        from pg_catalog.pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and c.relname = any (p_names)
        union all
        select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
               p.oid::regprocedure::text
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proname = any (p_names)
          and not exists (
              select from pg_catalog.pg_depend d
              where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
          )
    loop
        if pg_catalog.to_regnamespace('before_darkroom') is null then
            create schema before_darkroom;
        end if;
        execute format('alter %s %s set schema before_darkroom', v_object.kind, v_object.name);
        raise notice 'moved to the schema before_darkroom: % %', v_object.kind, v_object.name;
    end loop;
end;
$$;
comment on function public.set_aside_existing is
    'Moves what an existing deployment has under these names to the schema before_darkroom. For migrations, just before they create the same names.';

-- Does nothing in a database that has our tables. Whether a change is possible is found out by making it: each error
-- is noted, and all of them end the statement. A function, because the Supabase CLI repeats the whole statement that
-- fails after its error.
create or replace function pg_temp.take_over_existing() returns void
language plpgsql volatile
as $$
declare
    -- Written by tests/database/test_fingerprint.py.
    -- Names of ours, of which some are set aside:
    v_relations constant text[] := '{
        alert_channel_urls, alert_channels, alert_notifications, alert_rules, alert_silences, alert_watch,
        alerts, arrival_minutes, arrival_rollup, async_rollout, attempt_workers, background_errors,
        cron_requests, deployment_points, failed_jobs_recent, failure_groups, failure_rollup,
        generation_uploads, idempotency_keys, job_leases, job_minutes, job_rollup, job_rollup_daily,
        job_totals, job_types, live_jobs, live_workers, model_holds, model_servers, model_timings, outputs,
        path_rollup, pending_line, predictions, provider_breakers, purge_runs, queue_health,
        queue_health_recent, queue_hours, queue_pace, queue_pauses, queue_quarters, queue_samples,
        queue_state, rollback_jobs, rollbacks, rollup_dirty, rollup_state, set_aside_jobs, stuck_jobs,
        sync_generations, test_run_jobs, test_runs, throughput_hourly, unknown_outcomes, uploads, user_limits,
        user_usage, workers
    }'::text[];
    v_functions constant text[] := '{
        actions_on_job, add_alert_channel, add_to_hours, add_to_minutes, add_to_rollups, adopt_prediction,
        advance_safe_until, alert_measures, allowed_values, announce_alerts, append_attempt_error,
        arrival_minutes_of, arrival_rollup_of, arrival_stats, async_totals, audit_entries, barred_job_types,
        begin_channel_test, begin_generation, bound_job, breaker_of, bucket_span, cancel_duplicates,
        cancel_for_rollback, cancel_jobs, change_cron_job, check_model, check_provider, claim_generation,
        claim_jobs, claim_jobs_singly, claim_next_job, claim_notifications, complete_job, complete_jobs,
        cron_at_least, cron_available, cron_findings, cron_history_rows, cron_job_state, cron_jobs, cron_runs,
        cron_version, custom_size_input, data_reference, data_uri_problem, default_input, default_limits,
        delete_finished_jobs, delete_test_run, down_models, drop_intent, end_alert_silence, end_busy_holds,
        end_lost_attempt, end_prediction, end_purge, end_rollback, end_session, end_sync_generation,
        ended_totals, enqueue_for_user, enqueue_job, error_group, error_key, evaluate_alerts, expected_size,
        expire_unused_upload, fail_claim, failed_attempts, failure_groups_between, failure_key,
        failure_outcome, failure_rollup_of, failure_stats, file_kind, file_problem, fill_existing_columns,
        finished_jobs, fold_async_totals, fold_jobs, fold_until, follow_alerts, follow_cancellation,
        follow_job, forget_alerts, forget_idempotency_keys, forget_provider_id, forget_uploads,
        forgotten_after, further_lines, generation_of, get_user_limits, heartbeat_jobs, histogram_bins,
        histogram_counts, histogram_of, histogram_percentile, histogram_percentiles, history_error,
        hold_claim, http_post_function, image_input, images, images_asked, input_problem, input_problems,
        input_to_send, input_without_data, intend_prediction, is_being_generated, is_passing_error,
        job_minutes_of, job_rollup_of, job_states, job_stats, job_stats_parts, job_times, keep_attempt_worker,
        limit_resets_in, line_of, live_duplicates, mark_rollup_dirty, mask_secrets, measure_barriers,
        measure_cron, measure_ended, measure_errors, measure_waiting, measure_workers, megapixels_of,
        minute_ranges, minutes_since, missing_images_notice, model_kind, model_of, model_time_distribution,
        model_timings_between, model_trend, named_secret, nearest_name, net_responses, net_waiting,
        neutral_inputs, note_cancellation, note_deployment, note_notified, note_uncancelled, oldest_due,
        open_rollback, operator_enqueue, parameter_schema_of, path_stats, pause_queue, pending_lines,
        pick_jobs, probe_provider, problems_in_words, process_jobs_seconds, purge_cron_history,
        purge_finished_jobs, purge_horizon, purged_jobs, put_back_cancelled, queue_flow, queue_lengths,
        rebuild_rollup, recent_arrivals, recent_jobs, recent_times, record_action, record_cron_change,
        record_maintenance, record_output, record_prediction, record_progress, record_provider_failure,
        record_provider_success, record_upload, refold_dirty_hours, refold_hour, refresh_rollup, refuse_input,
        refuse_invalid_labels, refuse_reserved_inputs, refuse_transition, release_jobs, remove_alert_channel,
        remove_sample_data, remove_self_test, renew_intent, replace_prediction, report_background_error,
        request_process_jobs, requested_input, require_actor, require_cron, require_cron_schedule,
        rescue_stuck_jobs, rescue_worker_jobs, reserved_input, reset_stuck_jobs, resolve_input,
        response_seconds, restart_cron, restore_realtime, restore_rollout, restore_user_access, resume_model,
        resume_queue, retry_delay, retry_jobs, retry_set_aside_jobs, return_to_busy, rewind_rollup,
        roll_back_to_synchronous, roll_days, rolled_days, rollout_position, rollup_patience, rollup_ranges,
        run_job_again, sample_queue, save_model_schema, schedule_process_jobs, schema_fingerprint,
        schema_in_brief, secret_key_name, secret_readable, self_test_email, self_test_prompt,
        set_alert_channel, set_alert_rule, set_aside_job, set_aside_unfoldable, set_async_rollout,
        set_cron_job_active, set_model, set_priority, set_user_limits, setting_readable, settle_notification,
        shares_of_lines, silence_alerts, silence_self_test_job, size_inputs, sizes_of, slow_start,
        start_attempts, start_generation, start_rollback, start_self_test, start_sync_generation,
        start_test_generations, start_test_run, stop_cron, stop_purge, stored_files, stuck_after,
        tell_generation_change, throughput, tick_deployment_point, unfit_defaults, unpublished_tables,
        unschedule_cron_job, unschedule_process_jobs, unwanted_predictions, upload_of, upload_references,
        use_async_for_user, use_uploads, user_requests, user_standing, user_usage_between, verify_rollup,
        whole_buckets, withdraw_test_run, worker_of, worker_seen_at
    }'::text[];
    v_replaced  constant text[] := '{
        begin_generation, cancel_duplicates, cancel_jobs, claim_jobs, claim_next_job, complete_job,
        complete_jobs, enqueue_job, failed_jobs_recent, failure_groups, get_user_limits, heartbeat_jobs,
        live_jobs, live_workers, model_timings, pause_queue, queue_health, queue_health_recent, queue_hours,
        queue_pace, queue_quarters, queue_state, release_jobs, reset_stuck_jobs, resume_queue, retry_delay,
        retry_jobs, set_user_limits, start_generation, stuck_jobs, throughput_hourly, unknown_outcomes,
        user_usage
    }'::text[];
    -- Indexes on the shared tables:
    v_indexes   constant text[] := '{
        image_generations_created_idx, image_generations_test_idx, image_generations_user_idx,
        job_queue_failed_idx, job_queue_failure_key_idx, job_queue_finished_idx,
        job_queue_live_generation_key, job_queue_pending_idx, job_queue_processing_idx,
        job_queue_user_jobs_idx
    }'::text[];
    v_columns   constant jsonb := (
        select jsonb_agg(to_jsonb(c)) from (values
            ('job_queue', 'id', 'uuid', 'gen_random_uuid()', 'not null'),
            ('job_queue', 'job_type', 'text', null, 'not null'),
            ('job_queue', 'payload', 'jsonb', '''{}''', 'not null'),
            ('job_queue', 'status', 'text', '''pending''', 'not null'),
            ('job_queue', 'attempts', 'integer', '0', 'not null'),
            ('job_queue', 'max_attempts', 'integer', '3', 'not null'),
            ('job_queue', 'scheduled_at', 'timestamp with time zone', 'now()', 'not null'),
            ('job_queue', 'started_at', 'timestamp with time zone', null, ''),
            ('job_queue', 'completed_at', 'timestamp with time zone', null, ''),
            ('job_queue', 'error_message', 'text', null, ''),
            ('job_queue', 'error_details', 'jsonb', null, ''),
            ('job_queue', 'created_by', 'uuid', null, ''),
            ('job_queue', 'priority', 'integer', '0', ''),
            ('job_queue', 'created_at', 'timestamp with time zone', 'now()', 'not null'),
            ('job_queue', 'updated_at', 'timestamp with time zone', 'now()', 'not null'),
            ('image_generations', 'id', 'uuid', 'gen_random_uuid()', 'not null'),
            ('image_generations', 'user_id', 'uuid', null, ''),
            ('image_generations', 'prompt', 'text', '''''', 'not null'),
            ('image_generations', 'model_id', 'text', '''''', 'not null'),
            ('image_generations', 'parameters', 'jsonb', '''{}''', 'not null'),
            ('image_generations', 'status', 'text', '''queued''', 'not null'),
            ('image_generations', 'progress', 'integer', '0', 'not null'),
            ('image_generations', 'image_url', 'text', null, ''),
            ('image_generations', 'storage_path', 'text', null, ''),
            ('image_generations', 'thumbnail_path', 'text', null, ''),
            ('image_generations', 'error_message', 'text', null, ''),
            ('image_generations', 'prediction_id', 'text', null, ''),
            ('image_generations', 'source', 'text', '''app''', 'not null'),
            ('image_generations', 'created_at', 'timestamp with time zone', 'now()', 'not null'),
            ('image_generations', 'started_at', 'timestamp with time zone', null, ''),
            ('image_generations', 'completed_at', 'timestamp with time zone', null, ''),
            ('image_generations', 'updated_at', 'timestamp with time zone', 'now()', 'not null'),
            ('image_generations', 'notices', 'text[]', null, ''),
            ('image_generations', 'size', 'jsonb', null, ''),
            ('image_generations', 'error_code', 'text', null, ''),
            ('image_generations', 'application', 'text', null, 'check (length(application) between 1 and 100)'),
            ('image_generations', 'metadata', 'jsonb', null, 'check (jsonb_typeof(metadata) = ''object'')')
        ) as c (relation, name, kind, fallback, terms)
    );
    v_table    text;
    v_oid      regclass;
    v_ours     text[];
    v_retyped  text[];
    v_enums    text[];
    v_types    text[];
    v_defaults text[];
    v_fills    jsonb;
    v_attnums  int[];
    v_casts    text;
    v_views    oid[];
    v_drops    text[];
    v_back     text[];
    v_blocked  boolean;
    v_triggers text[];
    v_steps    text[];
    v_step     text;
    v_found    record;
    v_unknown  text;
    v_detail   text;
    v_before   int;
    v_id       uuid;
    v_notes    text[] := '{}'::text[];
    v_problems text[] := '{}'::text[];
begin
    if pg_catalog.to_regclass('public.job_leases') is not null then
        return;
    end if;

    -- Whatever holds the tables for long must not make the other queue wait behind this.
    if current_setting('lock_timeout') = '0' then
        perform set_config('lock_timeout', '10s', true);
    end if;

    -- Names ---------------------------------------------------------------------------------------

    for v_found in
        select o.kind, o.full_name, o.name, o.is_mine, o.name = any (v_replaced) or o.name = 'models' as is_replaced,
               o.fits
        from (
            select case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                       when 'i' then 'index' when 'c' then 'type' when 'f' then 'foreign table' else 'table' end as kind,
                   c.oid::regclass::text as full_name, c.relname::text as name,
                   pg_has_role(c.relowner, 'usage') as is_mine,
                   case when c.relname = 'models' then c.relkind in ('r', 'p', 'v', 'm') else c.relkind in ('v', 'm') end as fits
            from pg_catalog.pg_class c
            where c.relnamespace = 'public'::regnamespace and c.relname = any (v_relations || '{models}')
            union all
            -- A table needs its name as a type too.
            select case t.typtype when 'd' then 'domain' else 'type' end, t.oid::regtype::text, t.typname::text,
                   pg_has_role(t.typowner, 'usage'), false
            from pg_catalog.pg_type t
            where t.typnamespace = 'public'::regnamespace and t.typrelid = 0 and t.typname = any (v_relations || '{models}')
            union all
            select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
                   p.oid::regprocedure::text, p.proname::text, pg_has_role(p.proowner, 'usage'), true
            from pg_catalog.pg_proc p
            where p.pronamespace = 'public'::regnamespace and p.proname = any (v_functions)
              and not exists (
                  select from pg_catalog.pg_depend d
                  where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
              )
        ) o
        order by o.kind, o.full_name
    loop
        if not v_found.is_replaced or not v_found.fits then
            v_problems := v_problems || format(
                'The %1$s %2$s has a name that Darkroom needs. Rename it: alter %1$s %2$s rename to %3$I;',
                v_found.kind, v_found.full_name, v_found.name || '_before_darkroom'
            );
        elsif not v_found.is_mine then
            v_problems := v_problems || format(
                'The %s %s must move to the schema before_darkroom, but %I does not own it.',
                v_found.kind, v_found.full_name, current_user
            );
        elsif not has_database_privilege(current_database(), 'create') then
            v_problems := v_problems || format(
                'The %s %s must move to the schema before_darkroom, but %I may not create schemas.',
                v_found.kind, v_found.full_name, current_user
            );
        end if;
    end loop;
    if array(
        select a.attname::text from pg_catalog.pg_attribute a
        where a.attrelid = 'public.audit_log'::regclass and a.attnum > 0 and not a.attisdropped order by 1
    ) <> '{action,actor,affected,at,details,id}' then
        v_problems := v_problems || 'The table audit_log has a name that Darkroom needs. Rename it: alter table audit_log rename to audit_log_before_darkroom;'::text;
    end if;

    -- Both at once: one after the other might meet a transaction that takes them the other way round.
    select string_agg(c.oid::regclass::text, ', ') into v_step
    from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relname in ('job_queue', 'image_generations')
      and c.relkind = 'r' and pg_has_role(c.relowner, 'usage');
    if v_step is not null then
        execute 'lock table ' || v_step || ' in access exclusive mode';
    end if;

    foreach v_table in array '{job_queue,image_generations}'::text[] loop
        v_oid := pg_catalog.to_regclass('public.' || v_table);
        continue when v_oid is null;
        if not exists (
            select from pg_catalog.pg_class c where c.oid = v_oid and c.relkind = 'r' and pg_has_role(c.relowner, 'usage')
        ) then
            v_problems := v_problems || format('public.%I must be a table owned by %I and not partitioned.', v_table, current_user);
            continue;
        end if;
        if not exists (
            select from pg_catalog.pg_index i
            join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
            where i.indrelid = v_oid and i.indisunique and i.indimmediate and i.indnkeyatts = 1 and i.indpred is null
              and a.attname = 'id'
        ) then
            v_problems := v_problems || format(
                'The table public.%1$I has no primary key on its column id. Add one: alter table public.%1$I add primary key (id);', v_table
            );
        end if;

        v_ours := array(select c ->> 'name' from jsonb_array_elements(v_columns) c where c ->> 'relation' = v_table);
        v_steps := '{}';

        -- Their triggers are off while rows are changed: no webhook is to hear of it.
        v_triggers := array(
            select t.tgname from pg_catalog.pg_trigger t
            where t.tgrelid = v_oid and not t.tgisinternal and t.tgenabled = 'O'
        );
        v_steps := v_steps || array(select format('alter table public.%I disable trigger %I', v_table, t) from unnest(v_triggers) t);

        -- Indexes and constraints ------------------------------------------------------------------

        for v_found in
            select c.relname as name from pg_catalog.pg_class c
            where c.relnamespace = 'public'::regnamespace and c.relkind = 'i' and c.relname = any (v_indexes)
              and c.relname like v_table || '%'
        loop
            v_steps := v_steps || format('alter index public.%I rename to %I', v_found.name, left(v_found.name, 45) || '_before_darkroom');
        end loop;
        for v_found in
            select c.conname as name, pg_catalog.pg_get_constraintdef(c.oid) as definition, c.contype
            from pg_catalog.pg_constraint c
            where c.conrelid = v_oid and c.contype in ('c', 'f')
              and (c.contype = 'c' or c.confrelid <> 'auth.users'::regclass)
              and exists (
                  select from pg_catalog.pg_attribute a
                  where a.attrelid = v_oid and a.attnum = any (c.conkey) and a.attname = any (v_ours)
              )
        loop
            v_steps := v_steps || format('alter table public.%I drop constraint %I', v_table, v_found.name);
            v_notes := v_notes || format('%s: dropped the constraint %s: %s', v_table, v_found.name, v_found.definition);
        end loop;
        for v_found in
            select a.attname as name from pg_catalog.pg_attribute a
            left join jsonb_array_elements(v_columns) c on c ->> 'relation' = v_table and c ->> 'name' = a.attname
            where a.attrelid = v_oid and a.attnum > 0 and not a.attisdropped and a.attnotnull
              and case when c is null then not a.atthasdef and a.attidentity = '' else c ->> 'terms' <> 'not null' end
              and not exists (
                  select from pg_catalog.pg_index i where i.indrelid = v_oid and i.indisprimary and a.attnum = any (i.indkey)
              )
        loop
            v_steps := v_steps || format('alter table public.%I alter column %I drop not null', v_table, v_found.name);
            v_notes := v_notes || format('%s: %s may now be null', v_table, v_found.name);
        end loop;

        -- Columns ----------------------------------------------------------------------------------

        v_blocked := false; v_retyped := '{}'; v_enums := '{}'; v_types := '{}'; v_drops := '{}'; v_back := '{}'; v_defaults := '{}'; v_fills := '{}';
        for v_found in
            select c.name, c.kind, c.fallback, c.terms, a.attnum, a.attgenerated <> '' or a.attidentity = 'a' as is_made,
                   pg_catalog.format_type(a.atttypid, null) as has, t.typcategory
            from jsonb_to_recordset(v_columns) as c (relation text, name text, kind text, fallback text, terms text)
            left join pg_catalog.pg_attribute a on a.attrelid = v_oid and a.attname = c.name and not a.attisdropped
            left join pg_catalog.pg_type t on t.oid = a.atttypid
            where c.relation = v_table
        loop
            if v_found.attnum is null and v_found.name <> 'id' then
                v_steps := v_steps || concat_ws(
                    ' ', format('alter table public.%I add column %I %s', v_table, v_found.name, v_found.kind),
                    'default ' || v_found.fallback, v_found.terms
                );
                continue;
            elsif v_found.name = 'id' and v_found.has is distinct from 'uuid' then
                v_problems := v_problems || format(
                    'The table public.%1$I has no column id of the type uuid. Rename the table: alter table public.%1$I rename to %2$I;',
                    v_table, v_table || '_before_darkroom'
                );
                continue;
            elsif v_found.has = v_found.kind and not v_found.is_made then
                null;
            elsif not v_found.is_made and (
                v_found.kind = 'text' and v_found.typcategory in ('S', 'E')
                or v_found.kind = 'jsonb' and v_found.has = 'json' or v_found.kind = 'integer' and v_found.has = 'smallint'
            ) then
                v_retyped := v_retyped || v_found.name;
                v_types := v_types || format('alter column %1$I type %2$s using %1$I::%2$s', v_found.name, v_found.kind);
                if v_found.typcategory = 'E' then
                    v_enums := v_enums || v_found.has;
                end if;
                v_steps := v_steps || format('alter table public.%I alter column %I drop default', v_table, v_found.name);
                v_notes := v_notes || format('%s: the column %s is now %s (was %s)', v_table, v_found.name, v_found.kind, v_found.has);
            else
                v_problems := v_problems || format(
                    'The column %s of public.%I is %s, not %s. %s;', v_found.name, v_table,
                    case when v_found.is_made then 'generated' else v_found.has end, v_found.kind,
                    case
                        when not v_found.is_made and v_found.has = 'timestamp without time zone' then format(
                            'Change its type: alter table public.%1$I alter column %2$I type timestamptz using %2$I at time zone ''UTC''',
                            v_table, v_found.name
                        )
                        when not v_found.is_made and v_found.kind = 'integer' and v_found.has in ('bigint', 'numeric') then
                            format('Change its type: alter table public.%I alter column %I type integer', v_table, v_found.name)
                        else format(
                            'Rename it: alter table public.%I rename %I to %I', v_table, v_found.name, v_found.name || '_before_darkroom'
                        )
                    end
                );
                continue;
            end if;
            if v_found.fallback is not null then
                v_defaults := v_defaults || format('alter table public.%I alter column %I set default %s', v_table, v_found.name, v_found.fallback);
                if v_found.terms = 'not null' and v_found.name not in ('id', 'payload', 'status') then
                    v_fills := v_fills || jsonb_build_object(v_found.name, v_found.fallback);
                end if;
            end if;
        end loop;
        v_attnums := array(select a.attnum from pg_catalog.pg_attribute a where a.attrelid = v_oid and a.attname = any (v_retyped));
        if v_retyped <> '{}' then
            -- What reads a column must make way while its type changes. "pending"::status becomes "pending"::text.
            v_casts := '::(' || coalesce(nullif(array_to_string(v_enums, '|'), ''), '$.') || ')(?![\w"])';
            v_views := array(
                with recursive reading as (
                    select r.ev_class as view, 1 as depth
                    from pg_catalog.pg_depend d join pg_catalog.pg_rewrite r on r.oid = d.objid
                    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
                      and d.refobjid = v_oid and d.refobjsubid = any (v_attnums) and r.ev_class <> v_oid
                    union
                    select r.ev_class, v.depth + 1
                    from reading v
                    join pg_catalog.pg_depend d
                        on d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = v.view
                    join pg_catalog.pg_rewrite r on r.oid = d.objid and r.ev_class <> v.view
                )
                select v.view from reading v group by v.view order by max(v.depth)
            );
            for v_found in
                select c.oid::regclass::text as name, c.relkind, c.relowner, c.reloptions, c.relacl,
                       pg_catalog.obj_description(c.oid, 'pg_class') as comment,
                       c.relhastriggers or exists (
                           select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attacl is not null
                       ) as has_more,
                       rtrim(regexp_replace(pg_catalog.pg_get_viewdef(c.oid), v_casts, '::text', 'g'), ';') as definition
                from unnest(v_views) with ordinality as v (oid, place) join pg_catalog.pg_class c on c.oid = v.oid
                order by v.place
            loop
                if v_found.relkind <> 'v' or v_found.has_more then
                    v_problems := v_problems || format(
                        'The %3$s %1$s reads columns of public.%2$I whose type must change. Drop it, and create it again afterwards: drop %3$s %1$s;',
                        v_found.name, v_table, case v_found.relkind when 'm' then 'materialized view' else 'view' end
                    );
                    v_blocked := true;
                    continue;
                end if;
                v_drops := format('drop view %s', v_found.name) || v_drops;
                v_back := v_back
                    || format(
                        'create view %s %s as %s', v_found.name,
                        coalesce('with (' || array_to_string(v_found.reloptions, ', ') || ')', ''), v_found.definition
                    )
                    || format('alter view %s owner to %s', v_found.name, v_found.relowner::regrole)
                    || format('comment on view %s is %L', v_found.name, v_found.comment)
                    || format('revoke all on %s from public, anon, authenticated, service_role', v_found.name)
                    || array(
                        select format(
                            'grant %s on %s to %s%s', a.privilege_type, v_found.name,
                            case when a.grantee = 0 then 'public' else a.grantee::regrole::text end,
                            case when a.is_grantable then ' with grant option' else '' end
                        )
                        from aclexplode(v_found.relacl) a where a.grantee <> v_found.relowner
                    );
            end loop;
            for v_found in
                select p.polname as name, p.polrelid::regclass::text as relation, format(
                    'create policy %I on %s as %s for %s to %s%s%s', p.polname, p.polrelid::regclass,
                    case when p.polpermissive then 'permissive' else 'restrictive' end,
                    case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
                    (select string_agg(case when r = 0 then 'public' else r::regrole::text end, ', ') from unnest(p.polroles) r),
                    ' using (' || regexp_replace(pg_catalog.pg_get_expr(p.polqual, p.polrelid), v_casts, '::text', 'g') || ')',
                    ' with check (' || regexp_replace(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), v_casts, '::text', 'g') || ')'
                ) as definition
                from pg_catalog.pg_policy p
                where p.oid in (
                    select d.objid from pg_catalog.pg_depend d
                    where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_class'::regclass
                      and d.refobjid = v_oid and d.refobjsubid = any (v_attnums)
                )
            loop
                v_drops := v_drops || format('drop policy %I on %s', v_found.name, v_found.relation);
                v_back := v_back || v_found.definition;
            end loop;
            for v_found in
                select i.indexrelid::regclass::text as name,
                       regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), v_casts, '::text', 'g') as definition
                from pg_catalog.pg_index i
                where i.indrelid = v_oid and pg_catalog.pg_get_indexdef(i.indexrelid) ~ v_casts
            loop
                v_drops := v_drops || format('drop index %s', v_found.name);
                v_back := v_back || v_found.definition;
            end loop;
            for v_found in
                select t.tgname as name, t.tgenabled,
                       regexp_replace(pg_catalog.pg_get_triggerdef(t.oid), v_casts, '::text', 'g') as definition
                from pg_catalog.pg_trigger t
                where t.tgrelid = v_oid and not t.tgisinternal and t.oid in (
                    select d.objid from pg_catalog.pg_depend d
                    where d.classid = 'pg_trigger'::regclass and d.refclassid = 'pg_class'::regclass
                      and d.refobjid = v_oid and d.refobjsubid = any (v_attnums)
                )
            loop
                v_drops := v_drops || format('drop trigger %I on public.%I', v_found.name, v_table);
                v_back := v_back || v_found.definition
                    || format('alter table public.%I disable trigger %I', v_table, v_found.name);
            end loop;
            -- One step, for one of its parts means nothing without the others.
            if not v_blocked then
                v_steps := v_steps || array_to_string(
                    v_drops || format('alter table public.%I %s', v_table, array_to_string(v_types, ', ')) || v_back, '; '
                );
            end if;
        end if;
        v_steps := v_steps || v_defaults;

        -- Rows -------------------------------------------------------------------------------------

        if v_fills <> '{}' then
            v_steps := v_steps || format(
                'update public.%I set %s where %s', v_table,
                (select string_agg(format('%1$I = coalesce(%1$I, %2$s)', f.key, f.value), ', ') from jsonb_each_text(v_fills) f),
                (select string_agg(format('%I is null', f.key), ' or ') from jsonb_each_text(v_fills) f)
            );
        end if;
        if v_table = 'job_queue' and exists (
            select from pg_catalog.pg_attribute a where a.attrelid = v_oid and a.attname = 'status' and not a.attisdropped
        ) then
            v_unknown := null;
            for v_found in
                execute 'select coalesce(status::text, ''null'') as status, count(*) as n from public.job_queue
                    where status is null or status::text not in (''pending'', ''processing'', ''completed'', ''failed'', ''cancelled'')
                    group by 1 order by 1'
            loop
                v_unknown := concat_ws(', ', v_unknown, format('%s with status %s', v_found.n, v_found.status));
            end loop;
            v_steps := v_steps || array[
                'update public.job_queue set started_at = coalesce(updated_at, created_at)
                 where status = ''processing'' and started_at is null',
                'update public.job_queue set completed_at = coalesce(updated_at, created_at)
                 where status in (''completed'', ''failed'', ''cancelled'') and completed_at is null'
            ];
            if v_unknown is null then
                v_steps := v_steps ||
                    'alter table public.job_queue add check (status in (''pending'', ''processing'', ''completed'', ''failed'', ''cancelled''))'::text;
            else
                v_notes := v_notes || format('job_queue: jobs that Darkroom does not run: %s', v_unknown);
            end if;
        elsif v_table = 'image_generations' then
            v_steps := v_steps || format(
                'update public.image_generations g
                 set model_id = coalesce(nullif(g.model_id, ''''), %s, ''''),
                     completed_at = case when g.status in (''completed'', ''failed'')
                                         then coalesce(g.completed_at, g.updated_at, g.created_at) else g.completed_at end
                 where g.model_id = '''' or g.completed_at is null',
                case when exists (
                    select from pg_catalog.pg_attribute a where a.attrelid = v_oid and a.attname = 'model' and not a.attisdropped
                ) then 'g.model::text' else 'null' end
            );
            if not exists (
                select from pg_catalog.pg_constraint c where c.conrelid = v_oid and c.confrelid = 'auth.users'::regclass
            ) then
                v_steps := v_steps || 'alter table public.image_generations
                    add foreign key (user_id) references auth.users (id) on delete cascade not valid'::text;
            end if;
            if (
                select count(*) = 2 from pg_catalog.pg_attribute a
                where a.attrelid = pg_catalog.to_regclass('public.images') and a.attname in ('generation_id', 'public_url')
                  and not a.attisdropped
            ) then
                v_steps := v_steps || 'update public.image_generations g set image_url = i.url
                    from (
                        select m.generation_id::text as generation_id, min(m.public_url::text) as url from public.images m group by 1
                    ) i
                    where g.image_url is null and g.id::text = i.generation_id'::text;
            end if;
        end if;
        v_steps := v_steps || array(select format('alter table public.%I enable trigger %I', v_table, t) from unnest(v_triggers) t);

        -- The change, and a trial of what Darkroom writes ------------------------------------------

        v_before := cardinality(v_problems);
        foreach v_step in array v_steps loop
            begin
                execute v_step;
            exception
                when lock_not_available or query_canceled or deadlock_detected then
                    raise;
                when others then
                    get stacked diagnostics v_detail = pg_exception_detail;
                    v_problems := v_problems || format(
                        'public.%I cannot be changed: %s', v_table,
                        concat_ws(' ', sqlerrm || '.', nullif(v_detail, ''), format('(%s)', left(regexp_replace(v_step, '\s+', ' ', 'g'), 120)))
                    );
            end;
        end loop;
        continue when v_blocked or cardinality(v_problems) > v_before;
        begin
            if v_table = 'job_queue' then
                insert into public.job_queue (job_type, payload, priority, scheduled_at, max_attempts, created_by)
                values ('self-test-adoption', '{}', 0, now(), 3, null) returning id into v_id;
                update public.job_queue q set status = 'processing', attempts = 1, started_at = now() where q.id = v_id;
                update public.job_queue q set status = 'pending', scheduled_at = now(), error_message = repeat('x', 1000) where q.id = v_id;
                update public.job_queue q set status = 'cancelled', completed_at = now() where q.id = v_id;
                update public.job_queue q set status = 'pending', completed_at = null where q.id = v_id;
                update public.job_queue q set status = 'processing' where q.id = v_id;
                update public.job_queue q set status = 'failed', completed_at = now(), error_details = '{}' where q.id = v_id;
                update public.job_queue q set status = 'pending' where q.id = v_id;
                update public.job_queue q set status = 'processing' where q.id = v_id;
                update public.job_queue q set status = 'completed', completed_at = now() where q.id = v_id;
            else
                insert into public.image_generations (user_id, prompt, model_id, parameters, source, notices)
                select u.id, repeat('x', 1000), 'owner/' || repeat('x', 100), '{}', 'test', '{}'
                from (select null as id union all (select u.id from auth.users u limit 1)) u;
                insert into public.image_generations (prompt, model_id) values ('x', 'x') returning id into v_id;
                foreach v_step in array '{processing,queued,cancelled,failed,completed}'::text[] loop
                    update public.image_generations g set status = v_step, progress = 5, error_message = repeat('x', 1000)
                    where g.id = v_id;
                end loop;
            end if;
            raise exception using errcode = 'DR000';
        exception
            -- Takes the rows back.
            when sqlstate 'DR000' then null;
            when others then
                get stacked diagnostics v_detail = pg_exception_context;
                v_problems := v_problems || format(
                    'public.%I rejects what Darkroom writes: %s%s', v_table, sqlerrm,
                    coalesce(' (in ' || substring(v_detail from 'PL/pgSQL function ([^ ]+\(\))') || ')', '')
                );
        end;
    end loop;

    if v_problems <> '{}' then
        raise exception using errcode = '42804', message = format(
            E'Darkroom cannot take over this database yet. Nothing was changed. Resolve these problems first:\n- %s',
            array_to_string(v_problems, E'\n- ')
        );
    end if;
    if v_notes <> '{}' then
        insert into public.audit_log (actor, action, affected, details)
        values (current_user, 'adopt_database', 0, jsonb_build_object('changes', to_jsonb(v_notes)));
    end if;
    foreach v_step in array v_notes loop
        raise notice '%', v_step;
    end loop;
end;
$$;

select pg_temp.take_over_existing();
