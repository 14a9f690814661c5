-- Configuring models, and repairs that the page Troubleshooting offers.

create function public.set_model(
    p_actor text, p_id text, p_display_name text, p_version text, p_default_parameters jsonb, p_price numeric,
    p_enabled boolean
) returns public.models
language plpgsql volatile set search_path = ''
as $$
declare
    v_before public.models;
    v_after  public.models;
    v_bad    text;
begin
    perform public.require_actor(p_actor);
    if coalesce(p_id, '') !~ '^[a-zA-Z0-9][a-zA-Z0-9._-]*/[a-zA-Z0-9][a-zA-Z0-9._-]*$' then
        raise exception 'the model id is %: write it as owner/name, as at Replicate', p_id using errcode = '22023';
    end if;
    if coalesce(btrim(p_display_name), '') = '' then
        raise exception 'the display name is empty: say what users see' using errcode = '22023';
    end if;
    if p_version !~ '^[0-9a-f]{64}$' then
        raise exception 'the version is no version id of Replicate: 64 digits 0-9 and a-f, or none for an official model'
            using errcode = '22023';
    end if;
    if jsonb_typeof(p_default_parameters) is distinct from 'object' then
        raise exception 'the default parameters must be a JSON object' using errcode = '22023';
    end if;
    if p_enabled is null or p_price < 0 then
        raise exception 'enabled must be true or false, and the price not below 0' using errcode = '22023';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('set_model:' || p_id, 0));
    select * into v_before from public.models m where m.id = p_id;
    -- What the model is known to take must fit: a wrong default fails every job of the model.
    select format('%s must be %s', s.name, s.needs) into v_bad
    from (
        select
            d ->> 'name' as name, p_default_parameters -> (d ->> 'name') as value, d,
            case d ->> 'kind'
                when 'boolean' then 'true or false'
                when 'choice' then 'one of ' || (d ->> 'choices')
                when 'text' then 'a text'
                else concat_ws(' ', 'a', case d ->> 'kind' when 'integer' then 'whole' end, 'number',
                               'from ' || (d ->> 'min'), 'to ' || (d ->> 'max'))
            end as needs
        from jsonb_array_elements(v_before.parameter_schema) d
    ) s
    where s.value is not null and not coalesce(case s.d ->> 'kind'
        when 'boolean' then jsonb_typeof(s.value) = 'boolean'
        when 'choice' then s.d -> 'choices' @> s.value
        when 'text' then jsonb_typeof(s.value) = 'string'
        else case when jsonb_typeof(s.value) = 'number' then
            coalesce(s.value::numeric >= (s.d ->> 'min')::numeric, true)
            and coalesce(s.value::numeric <= (s.d ->> 'max')::numeric, true)
            and (s.d ->> 'kind' <> 'integer' or s.value::numeric % 1 = 0) end
        end, false)
    limit 1;
    if v_bad is not null then
        raise exception 'a default parameter does not fit: %', v_bad using errcode = '22023';
    end if;
    insert into public.models as m (id, display_name, version, default_parameters, price_per_image, enabled)
    values (p_id, btrim(p_display_name), p_version, p_default_parameters, p_price, p_enabled)
    on conflict (id) do update
    set display_name = excluded.display_name, version = excluded.version,
        default_parameters = excluded.default_parameters, price_per_image = excluded.price_per_image,
        enabled = excluded.enabled, updated_at = now()
    returning * into v_after;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'set_model', 1, jsonb_build_object(
        'model_id', p_id,
        'before', case when v_before.id is not null then to_jsonb(v_before) - '{id,parameter_schema,created_at,updated_at}'::text[] end,
        'after', to_jsonb(v_after) - '{id,parameter_schema,created_at,updated_at}'::text[]
    ));
    return v_after;
end;
$$;
comment on function public.set_model is
    'Adds a model or changes all of it but what it takes, and records what was before. Jobs that wait run with the new values.';

create function public.restore_realtime(p_actor text) returns text[]
language plpgsql volatile security definer set search_path = ''
as $$
declare
    v_restored text[] := '{}';
    v_enabled  "char" := (
        select t.tgenabled from pg_catalog.pg_trigger t
        where t.tgrelid = 'public.image_generations'::regclass and t.tgname = 'image_generations_changed'
    );
begin
    perform public.require_actor(p_actor);
    if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
        create publication supabase_realtime;
        v_restored := v_restored || text 'the publication supabase_realtime';
    end if;
    if not exists (
        select from pg_catalog.pg_publication_tables
        where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'image_generations'
    ) then
        alter publication supabase_realtime add table public.image_generations;
        v_restored := v_restored || text 'image_generations in the publication';
    end if;
    if v_enabled is null then
        create trigger image_generations_changed
            after insert or update of status, progress, image_url, error_message on public.image_generations
            for each row execute function public.tell_generation_change();
    elsif v_enabled = 'D' then
        alter table public.image_generations enable trigger image_generations_changed;
    end if;
    if v_enabled is null or v_enabled = 'D' then
        v_restored := v_restored || text 'the trigger that sends NOTIFY';
    end if;
    if cardinality(v_restored) > 0 then
        insert into public.audit_log (actor, action, affected, details)
        values (p_actor, 'restore_realtime', cardinality(v_restored), jsonb_build_object('restored', v_restored));
    end if;
    return v_restored;
end;
$$;
comment on function public.restore_realtime is
    'Puts back what tells those who wait of changes: the publication of Supabase Realtime and the trigger that sends NOTIFY. Returns what was missing.';

create function public.probe_provider(p_actor text, p_provider text) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_before timestamptz;
begin
    perform public.require_actor(p_actor);
    select b.open_until into v_before from public.provider_breakers b
    where b.provider = p_provider and b.open_until > clock_timestamp() and not b.probing
    for update;
    if not found then
        return false;
    end if;
    update public.provider_breakers b set open_until = clock_timestamp() where b.provider = p_provider;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'probe_provider', 1, jsonb_build_object('provider', p_provider, 'open_until', v_before));
    perform pg_notify('job_queue', 'probe');
    return true;
end;
$$;
comment on function public.probe_provider is
    'Lets the next job try a provider whose breaker is open, without waiting any longer. False when it is not open.';

create function public.restore_user_access(p_actor text) returns text[]
language plpgsql volatile security definer set search_path = ''
as $$
declare
    v_table    record;
    v_restored text[] := '{}';
begin
    perform public.require_actor(p_actor);
    for v_table in
        select c.oid, c.relname, c.relrowsecurity, t.policy, t.owner
        from (values
            ('public.job_queue'::regclass, 'Users can view their own jobs', 'created_by'),
            ('public.image_generations'::regclass, 'Users can view their own generations', 'user_id')
        ) as t (id, policy, owner)
        join pg_catalog.pg_class c on c.oid = t.id
    loop
        if not v_table.relrowsecurity then
            execute format('alter table public.%I enable row level security', v_table.relname);
            v_restored := v_restored || format('row-level security of %s', v_table.relname);
        end if;
        if not has_table_privilege('authenticated', v_table.oid, 'select') then
            execute format('grant select on public.%I to authenticated', v_table.relname);
            v_restored := v_restored || format('the right to read %s', v_table.relname);
        end if;
        if not exists (
            select from pg_catalog.pg_policy p where p.polrelid = v_table.oid and p.polname = v_table.policy
        ) then
            execute format('create policy %I on public.%I for select to authenticated using ((select auth.uid()) = %I)',
                           v_table.policy, v_table.relname, v_table.owner);
            v_restored := v_restored || format('the policy "%s" of %s', v_table.policy, v_table.relname);
        end if;
    end loop;
    if cardinality(v_restored) > 0 then
        insert into public.audit_log (actor, action, affected, details)
        values (p_actor, 'restore_user_access', cardinality(v_restored), jsonb_build_object('restored', v_restored));
    end if;
    return v_restored;
end;
$$;
comment on function public.restore_user_access is
    'Puts back what lets signed-in users read their own jobs and generations, and only those. Returns what was missing.';

do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in (
              'set_model', 'restore_realtime', 'probe_provider', 'restore_user_access'
          )
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
