-- Prepares a database that already has another queue: functions and views whose names we need move to
-- the schema before_darkroom, and the tables that we share get the columns they lack.

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

-- Does nothing in a database that has our tables.
do $$
declare
    v_object record;
    v_column record;
begin
    if pg_catalog.to_regclass('public.job_leases') is not null then
        return;
    end if;

    for v_object in
        select case c.relkind when 'm' then 'materialized view' else 'view' end as kind,
               c.oid::regclass::text as name
        from pg_catalog.pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('v', 'm')
          and c.relname in (
              'queue_health', 'failed_jobs_recent', 'stuck_jobs', 'live_workers', 'live_jobs',
              'queue_health_recent', 'queue_state', 'queue_hours', 'queue_quarters', 'queue_pace', 'throughput_hourly',
              'model_timings', 'failure_groups', 'unknown_outcomes', 'user_usage'
          )
        union all
        select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
               p.oid::regprocedure::text
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in (
              'enqueue_job', 'claim_next_job', 'claim_jobs', 'complete_job', 'complete_jobs',
              'get_user_limits', 'heartbeat_jobs', 'release_jobs', 'reset_stuck_jobs', 'retry_jobs',
              'cancel_jobs', 'cancel_duplicates', 'pause_queue', 'resume_queue', 'set_user_limits',
              'start_generation', 'begin_generation', 'retry_delay'
          )
          and not exists (
              select from pg_catalog.pg_depend d
              where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
          )
    loop
        create schema if not exists before_darkroom;
        execute format('alter %s %s set schema before_darkroom', v_object.kind, v_object.name);
        raise notice 'set aside: % %, now in the schema before_darkroom', v_object.kind, v_object.name;
    end loop;

    for v_column in
        select * from (values
            ('models', 'id', 'text', null),
            ('models', 'display_name', 'text', 'not null default '''''),
            ('models', 'version', 'text', ''),
            ('models', 'default_parameters', 'jsonb', 'not null default ''{}'''),
            ('models', 'enabled', 'boolean', 'not null default true'),
            ('models', 'created_at', 'timestamp with time zone', 'not null default now()'),
            ('models', 'updated_at', 'timestamp with time zone', 'not null default now()'),
            ('models', 'price_per_image', 'numeric', '(10, 5) check (price_per_image >= 0)'),
            ('models', 'provider', 'text', 'not null default ''replicate'''),
            ('models', 'input_schema', 'jsonb', 'check (jsonb_typeof(input_schema) = ''object'')'),
            ('models', 'output_shape', 'text', 'check (output_shape in (''uri'', ''uri[]''))'),
            ('models', 'size_rules', 'jsonb', 'not null default ''{}'' check (jsonb_typeof(size_rules) = ''object'')'),
            ('models', 'operator_fields', 'text[]', 'not null default ''{disable_safety_checker}'''),
            ('models', 'deadline_seconds', 'integer', 'check (deadline_seconds > 0)'),
            ('models', 'refreshed_at', 'timestamp with time zone', ''),
            ('models', 'provider_url', 'text', ''),
            ('image_generations', 'id', 'uuid', null),
            ('image_generations', 'user_id', 'uuid', ''),
            ('image_generations', 'prompt', 'text', 'not null default '''''),
            ('image_generations', 'model_id', 'text', 'not null default '''''),
            ('image_generations', 'parameters', 'jsonb', 'not null default ''{}'''),
            ('image_generations', 'status', 'text', 'not null default ''queued'''),
            ('image_generations', 'progress', 'integer', 'not null default 0'),
            ('image_generations', 'image_url', 'text', ''),
            ('image_generations', 'storage_path', 'text', ''),
            ('image_generations', 'thumbnail_path', 'text', ''),
            ('image_generations', 'error_message', 'text', ''),
            ('image_generations', 'prediction_id', 'text', ''),
            ('image_generations', 'source', 'text', 'not null default ''app'''),
            ('image_generations', 'created_at', 'timestamp with time zone', 'not null default now()'),
            ('image_generations', 'started_at', 'timestamp with time zone', ''),
            ('image_generations', 'completed_at', 'timestamp with time zone', ''),
            ('image_generations', 'updated_at', 'timestamp with time zone', 'not null default now()'),
            ('image_generations', 'notices', 'text[]', ''),
            ('image_generations', 'size', 'jsonb', ''),
            ('image_generations', 'error_code', 'text', ''),
            ('image_generations', 'application', 'text', 'check (length(application) between 1 and 100)'),
            ('image_generations', 'metadata', 'jsonb', 'check (jsonb_typeof(metadata) = ''object'')')
        ) as c (relation, name, kind, terms)
        where pg_catalog.to_regclass('public.' || c.relation) is not null
    loop
        perform from pg_catalog.pg_attribute a
        where a.attrelid = ('public.' || v_column.relation)::regclass and a.attname = v_column.name
          and not a.attisdropped
          and pg_catalog.format_type(a.atttypid, null)
              in (v_column.kind, case v_column.kind when 'text' then 'character varying' end);
        if found then
            continue;
        end if;
        if v_column.name = 'id' or exists (
            select from pg_catalog.pg_attribute a
            where a.attrelid = ('public.' || v_column.relation)::regclass and a.attname = v_column.name
              and not a.attisdropped
        ) then
            raise exception 'the table public.% has a different structure: its column % is not of type %',
                v_column.relation, v_column.name, v_column.kind
                using errcode = '42804',
                      hint = format(
                          'Rename it first; its data is not changed: alter table public.%I rename to %I;',
                          v_column.relation, v_column.relation || '_before_darkroom'
                      );
        end if;
        execute format(
            'alter table public.%I add column %I %s %s',
            v_column.relation, v_column.name, v_column.kind, v_column.terms
        );
    end loop;
end;
$$;
