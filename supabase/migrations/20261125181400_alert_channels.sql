-- Whom to tell. No address leaves alert_channel_urls but to be sent to.

create function public.add_alert_channel(
    p_actor text, p_name text, p_url text, p_shown text, p_least_severity text
) returns uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_id uuid;
begin
    perform public.require_actor(p_actor);
    if coalesce(btrim(p_name), '') = '' or coalesce(p_url, '') = '' or coalesce(p_shown, '') = '' then
        raise exception 'a channel needs a name and an address' using errcode = '22023';
    end if;
    if coalesce(p_least_severity, '') not in ('warning', 'critical') then
        raise exception 'severity is %: choose warning or critical', coalesce(p_least_severity, 'null')
            using errcode = '22023';
    end if;
    insert into public.alert_channels (name, shown, least_severity, created_by)
    values (btrim(p_name), p_shown, p_least_severity, p_actor)
    on conflict (name) do nothing
    returning id into v_id;
    if v_id is null then
        raise exception 'there is a channel named % already', btrim(p_name) using errcode = 'DR409';
    end if;
    insert into public.alert_channel_urls (channel_id, url) values (v_id, p_url);
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'add_alert_channel', 1, jsonb_build_object(
        'name', btrim(p_name), 'shown', p_shown, 'least_severity', p_least_severity
    ));
    return v_id;
end;
$$;
comment on function public.add_alert_channel is
    'Adds whom to tell; p_shown is the address without any secret. It is told of what fires already.';

create function public.set_alert_channel(p_actor text, p_id uuid, p_enabled boolean, p_least_severity text) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_before public.alert_channels;
begin
    perform public.require_actor(p_actor);
    if coalesce(p_least_severity, '') not in ('warning', 'critical') then
        raise exception 'severity is %: choose warning or critical', coalesce(p_least_severity, 'null')
            using errcode = '22023';
    end if;
    select * into v_before from public.alert_channels c where c.id = p_id for update;
    if not found then
        raise exception 'there is no such channel any more' using errcode = 'DR404';
    end if;
    update public.alert_channels c
    set enabled = coalesce(p_enabled, true), least_severity = p_least_severity where c.id = p_id;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'set_alert_channel', 1, jsonb_build_object(
        'name', v_before.name,
        'before', jsonb_build_object('enabled', v_before.enabled, 'least_severity', v_before.least_severity),
        'after', jsonb_build_object('enabled', coalesce(p_enabled, true), 'least_severity', p_least_severity)
    ));
end;
$$;
comment on function public.set_alert_channel is
    'Switches a channel on or off, and sets what it is told of. While it is off, what waits for it waits on.';

create function public.remove_alert_channel(p_actor text, p_id uuid) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_channel public.alert_channels;
begin
    perform public.require_actor(p_actor);
    delete from public.alert_channels c where c.id = p_id returning * into v_channel;
    if not found then
        return false;
    end if;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'remove_alert_channel', 1, jsonb_build_object('name', v_channel.name, 'shown', v_channel.shown));
    return true;
end;
$$;
comment on function public.remove_alert_channel is 'Deletes a channel with its address and with what it was told. False when it was gone.';

create function public.begin_channel_test(p_actor text, p_channel_id uuid)
returns table (id uuid, attempt int, url text)
language plpgsql volatile set search_path = ''
as $$
declare
    v_channel public.alert_channels;
begin
    perform public.require_actor(p_actor);
    select * into v_channel from public.alert_channels c where c.id = p_channel_id;
    if not found then
        raise exception 'there is no such channel any more' using errcode = 'DR404';
    end if;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'test_alert_channel', 1, jsonb_build_object('name', v_channel.name));
    return query
    with test as (
        insert into public.alert_notifications (channel_id, kind, attempts) values (p_channel_id, 'test', 1)
        returning alert_notifications.id, attempts
    )
    select test.id, test.attempts, u.url
    from test join public.alert_channel_urls u on u.channel_id = p_channel_id;
end;
$$;
comment on function public.begin_channel_test is
    'Notes a test message and gives the address that the caller sends it to and settles, once.';
