-- What the pages on jobs and users need: the newest generations of all users, and setting limits.

-- Generations change their status in place (HOT): only their insertion pays for this index.
create index image_generations_created_idx on public.image_generations (created_at desc, user_id);

create function public.set_user_limits(p_actor text, p_user_id uuid, p_daily_limit int, p_hourly_limit int)
returns public.user_limits
language plpgsql volatile set search_path = ''
as $$
declare
    v_before public.user_limits;
    v_after  public.user_limits;
begin
    perform public.require_actor(p_actor);
    if p_user_id is null then
        raise exception 'user is empty: say whose limits' using errcode = '22023';
    end if;
    if p_daily_limit < 0 or p_hourly_limit < 0 then
        raise exception 'a limit is below zero: give 0 to allow nothing, null for the default' using errcode = '22023';
    end if;
    -- One at a time per user, so that what the log calls before is what was replaced.
    perform pg_advisory_xact_lock(hashtextextended('set_user_limits:' || p_user_id, 0));
    select * into v_before from public.user_limits l where l.user_id = p_user_id;
    insert into public.user_limits as l (user_id, daily_limit, hourly_limit)
    values (p_user_id, p_daily_limit, p_hourly_limit)
    on conflict (user_id) do update
    set daily_limit = excluded.daily_limit, hourly_limit = excluded.hourly_limit, updated_at = now()
    returning * into v_after;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'set_user_limits', 1, jsonb_build_object(
        'user_id', p_user_id,
        'before', jsonb_build_object('daily_limit', v_before.daily_limit, 'hourly_limit', v_before.hourly_limit),
        'after', jsonb_build_object('daily_limit', v_after.daily_limit, 'hourly_limit', v_after.hourly_limit)
    ));
    return v_after;
exception
    when foreign_key_violation then
        raise exception 'there is no user %', p_user_id using errcode = 'DR404';
end;
$$;
comment on function public.set_user_limits is
    'Sets how many generations a user may start in 24 hours and in one; null stands for the default. Recorded with what was before. Error: DR404 for no such user.';

revoke execute on function public.set_user_limits(text, uuid, int, int) from public, anon, authenticated;
grant execute on function public.set_user_limits(text, uuid, int, int) to service_role;
