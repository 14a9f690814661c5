-- What operators and admins change about alerts: rules, silences, channels.

-- Rules -------------------------------------------------------------------------------------------

create function public.set_alert_rule(
    p_actor text, p_rule text, p_enabled boolean, p_severity text,
    p_threshold double precision, p_resolve_at double precision, p_for_seconds int, p_minimum_jobs int
) returns public.alert_rules
language plpgsql volatile set search_path = ''
as $$
declare
    v_before public.alert_rules;
    v_after  public.alert_rules;
begin
    perform public.require_actor(p_actor);
    select * into v_before from public.alert_rules r where r.rule = p_rule for update;
    if not found then
        raise exception 'there is no alert rule %', p_rule using errcode = 'DR404';
    end if;
    if coalesce(p_severity, '') not in ('warning', 'critical') then
        raise exception 'severity is %: choose warning or critical', coalesce(p_severity, 'null') using errcode = '22023';
    end if;
    if not coalesce(p_resolve_at >= 0 and p_resolve_at <= p_threshold and p_threshold <= 1000000000, false) then
        raise exception 'fires above %, resolves at %: the second value must be between 0 and the first', p_threshold, p_resolve_at
            using errcode = '22023';
    end if;
    if not coalesce(p_for_seconds between 0 and 86400, false) then
        raise exception 'duration is % seconds: choose 0 to 86400', p_for_seconds using errcode = '22023';
    end if;
    if (v_before.minimum_jobs is null) <> (p_minimum_jobs is null) or p_minimum_jobs < 1 then
        raise exception 'minimum jobs is %: rules about a share or percentile need at least 1; leave it empty for other rules',
            p_minimum_jobs using errcode = '22023';
    end if;
    update public.alert_rules r
    set enabled = coalesce(p_enabled, true), severity = p_severity, threshold = p_threshold, resolve_at = p_resolve_at,
        for_seconds = p_for_seconds, minimum_jobs = p_minimum_jobs,
        changed_by = p_actor, changed_at = clock_timestamp()
    where r.rule = p_rule
    returning * into v_after;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'set_alert_rule', 1, jsonb_build_object(
        'rule', p_rule,
        'before', to_jsonb(v_before) - array['rule', 'changed_by', 'changed_at'],
        'after', to_jsonb(v_after) - array['rule', 'changed_by', 'changed_at']
    ));
    return v_after;
end;
$$;
comment on function public.set_alert_rule is 'Changes a rule from its next evaluation. Records the previous values.';

-- Silences ----------------------------------------------------------------------------------------

create function public.silence_alerts(
    p_actor text, p_rule text, p_subject text, p_seconds int, p_reason text default null
) returns uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_silence public.alert_silences;
begin
    perform public.require_actor(p_actor);
    if p_rule is not null and not exists (select from public.alert_rules r where r.rule = p_rule) then
        raise exception 'there is no alert rule %', p_rule using errcode = 'DR404';
    end if;
    if not coalesce(p_seconds between 60 and 2592000, false) then
        raise exception 'silence is % seconds: choose 60 (a minute) to 2592000 (30 days)', p_seconds
            using errcode = '22023';
    end if;
    insert into public.alert_silences (rule, subject, until, reason, created_by)
    values (p_rule, p_subject, now() + make_interval(secs => p_seconds), nullif(btrim(p_reason), ''), p_actor)
    returning * into v_silence;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'silence_alerts', 1, jsonb_build_object(
        'rule', p_rule, 'subject', p_subject, 'until', v_silence.until, 'reason', v_silence.reason
    ));
    return v_silence.id;
end;
$$;
comment on function public.silence_alerts is
    'Silences alerts of a rule (null: all) and a subject (null: all) for a duration. Alerts that are still firing afterwards send their notification then.';

create function public.end_alert_silence(p_actor text, p_id uuid) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_silence public.alert_silences;
begin
    perform public.require_actor(p_actor);
    update public.alert_silences s set until = now() where s.id = p_id and s.until > now() returning * into v_silence;
    if not found then
        return false;
    end if;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'end_alert_silence', 1, jsonb_build_object('rule', v_silence.rule, 'subject', v_silence.subject));
    return true;
end;
$$;
comment on function public.end_alert_silence is 'Ends a silence now. False if it had already ended.';

-- Channels ----------------------------------------------------------------------------------------
-- Only the functions that send read alert_channel_urls, because a URL may contain a token.

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
        raise exception 'a channel needs a name and a URL' using errcode = '22023';
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
        raise exception 'a channel named % already exists', btrim(p_name) using errcode = 'DR409';
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
    'Adds a channel; p_shown is the address without any secret. It is notified of alerts that are already firing.';

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
        raise exception 'the channel no longer exists' using errcode = 'DR404';
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
    'Switches a channel on or off, and sets its minimum severity. While it is off, its notifications stay pending.';

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
comment on function public.remove_alert_channel is 'Deletes a channel with its address and notifications. False if it does not exist.';

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
        raise exception 'the channel no longer exists' using errcode = 'DR404';
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
    'Records a test message and returns the address. The caller sends it once and settles it.';
