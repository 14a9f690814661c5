-- What operators and admins do.

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
        raise exception 'fires above %, over at %: the second must be from 0 up to the first', p_threshold, p_resolve_at
            using errcode = '22023';
    end if;
    if not coalesce(p_for_seconds between 0 and 86400, false) then
        raise exception 'it must last % seconds: choose 0 to 86400', p_for_seconds using errcode = '22023';
    end if;
    if (v_before.minimum_jobs is null) <> (p_minimum_jobs is null) or p_minimum_jobs < 1 then
        raise exception 'minimum of jobs is %: rules about a share or a percentile need one from 1, others have none',
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
comment on function public.set_alert_rule is 'Changes a rule from its next evaluation on. Recorded with what was before.';

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
        raise exception 'silence for % seconds: choose 60 (a minute) to 2592000 (30 days)', p_seconds
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
    'Alerts of a rule (null: of all) and of a subject (null: of all) fire without a word for so long. What still fires then is told.';

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
comment on function public.end_alert_silence is 'Ends a silence now. False when it was over.';
