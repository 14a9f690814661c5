-- A transaction that stays open keeps vacuum from all that was deleted since it began.

create function public.forgotten_after() returns interval
language sql immutable parallel safe set search_path = ''
return interval '5 minutes';
comment on function public.forgotten_after() is 'How long a transaction may be open before it counts as forgotten.';

create function public.end_session(p_actor text, p_pid int) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_session record;
begin
    perform public.require_actor(p_actor);
    -- Only what the page shows: another session may have got the number meanwhile.
    select a.pid, a.usename, a.application_name, a.state, a.xact_start into v_session
    from pg_catalog.pg_stat_activity a
    where a.pid = p_pid and a.datname = current_database() and a.pid <> pg_backend_pid()
      and a.xact_start < now() - public.forgotten_after();
    if not found or not pg_terminate_backend(p_pid) then
        return false;
    end if;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'end_session', 1, to_jsonb(v_session));
    return true;
end;
$$;
comment on function public.end_session is
    'Ends a session of this database whose transaction has been open for longer than forgotten_after(); what it did in it is undone. False when there is none such any more.';

do $$
declare
    v_function regprocedure;
begin
    foreach v_function in array array['public.forgotten_after()', 'public.end_session(text, int)']::regprocedure[] loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
