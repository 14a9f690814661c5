-- From measures to alerts, and from alerts to what is to be told.

create function public.follow_alerts(p_now timestamptz) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    with measured as materialized (
        select m.subject, m.value, m.detail, r.* from public.alert_measures() m
        join public.alert_rules r using (rule) where r.enabled
    ), open as materialized (
        select a.id, m.value, m.detail, r.severity,
               make_interval(secs => r.for_seconds) as long_enough,
               coalesce(m.value > m.threshold, false) as wrong,
               case when coalesce(m.value <= m.resolve_at, true) then coalesce(a.calm_since, p_now) end as calm_since
        from public.alerts a
        join public.alert_rules r using (rule)
        left join measured m using (rule, subject)
        where a.resolved_at is null
    ), false_alarms as (
        delete from public.alerts a using open o where a.id = o.id and a.fired_at is null and not o.wrong
    ), followed as (
        update public.alerts a
        set severity = o.severity,
            value = coalesce(o.value, 0), worst = greatest(a.worst, o.value), detail = coalesce(o.detail, a.detail),
            fired_at = coalesce(a.fired_at, case when p_now - a.began_at >= o.long_enough then p_now end),
            calm_since = o.calm_since,
            resolved_at = case when p_now - o.calm_since >= o.long_enough then p_now end
        from open o
        where a.id = o.id and (a.fired_at is not null or o.wrong)
    )
    insert into public.alerts (rule, subject, severity, value, worst, detail, began_at, fired_at)
    select m.rule, m.subject, m.severity, m.value, m.value, m.detail, p_now,
           case when m.for_seconds = 0 then p_now end
    from measured m
    where m.value > m.threshold
      and not exists (
          select from public.alerts a where a.rule = m.rule and a.subject = m.subject and a.resolved_at is null
      );
end;
$$;
comment on function public.follow_alerts is
    'Begins, fires and resolves alerts by what is measured. What is not measured, or of a rule that is switched off, counts as right.';

create function public.announce_alerts(p_now timestamptz) returns void
language sql volatile set search_path = ''
as $$
    insert into public.alert_notifications (alert_id, channel_id, kind, value)
    select a.id, c.id, 'firing', a.value
    from public.alerts a
    join public.alert_channels c on c.enabled and c.least_severity in ('warning', a.severity)
    where a.fired_at is not null and a.resolved_at is null
      and not exists (
          select from public.alert_silences s
          where s.until > p_now
            and coalesce(s.rule, a.rule) = a.rule and coalesce(s.subject, a.subject) = a.subject
      )
    on conflict (alert_id, channel_id, kind) do nothing;

    -- Whoever was told of the beginning is told of the end, in spite of silences.
    insert into public.alert_notifications (alert_id, channel_id, kind, value)
    select a.id, n.channel_id, 'resolved', a.value
    from public.alerts a
    join public.alert_notifications n on n.alert_id = a.id and n.kind = 'firing'
    where a.resolved_at = p_now;
$$;
comment on function public.announce_alerts is
    'Notes who is to be told what: each channel once of the beginning of an alert, unless it is silenced, and of its end.';

create function public.forget_alerts(p_before timestamptz) returns void
language sql volatile set search_path = ''
as $$
    delete from public.alerts a where a.resolved_at < p_before;
    delete from public.alert_notifications n where n.alert_id is null and n.created_at < p_before;
    delete from public.alert_silences s where s.until < p_before;
$$;
comment on function public.forget_alerts is 'Deletes what is over since before a time: alerts with their notifications, tests of channels, silences.';

create function public.evaluate_alerts(p_every interval default '0') returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_now constant timestamptz := clock_timestamp();
begin
    perform from public.alert_watch w where w.evaluated_at <= v_now - p_every for update skip locked;
    if not found then
        return false;
    end if;
    perform public.follow_alerts(v_now);
    perform public.announce_alerts(v_now);
    perform public.forget_alerts(v_now - interval '90 days');
    update public.alert_watch w set evaluated_at = v_now;
    return true;
end;
$$;
comment on function public.evaluate_alerts is
    'Compares what is measured with the rules, once for all who ask at the same time or sooner than p_every after another. False when it was not its turn.';

-- Sending.

create function public.claim_notifications(p_limit int default 20)
returns table (
    id uuid, attempt int, url text, channel text, kind text, rule text, subject text, severity text, detail jsonb,
    value double precision, worst double precision, fired_at timestamptz, resolved_at timestamptz
)
language sql volatile set search_path = ''
as $$
    with due as (
        select n.id from public.alert_notifications n
        join public.alert_channels c on c.id = n.channel_id and c.enabled
        where n.sent_at is null and n.given_up_at is null and n.due_at <= clock_timestamp() and n.kind <> 'test'
          -- Nobody hears of the end before the beginning.
          and not exists (
              select from public.alert_notifications first
              where first.alert_id = n.alert_id and first.channel_id = n.channel_id and first.kind < n.kind
                and first.sent_at is null and first.given_up_at is null
          )
        order by n.due_at
        limit p_limit
        for update of n skip locked
    ), claimed as (
        update public.alert_notifications n
        set attempts = n.attempts + 1, due_at = clock_timestamp() + interval '2 minutes'
        from due where n.id = due.id
        returning n.*
    )
    select n.id, n.attempts, u.url, c.name, n.kind, a.rule, a.subject, a.severity, a.detail,
           n.value, a.worst, a.fired_at, a.resolved_at
    from claimed n
    join public.alerts a on a.id = n.alert_id
    join public.alert_channels c on c.id = n.channel_id
    join public.alert_channel_urls u on u.channel_id = n.channel_id;
$$;
comment on function public.claim_notifications is
    'Up to p_limit notifications that are due, for the caller alone: it sends them within two minutes and settles each, or another will.';

create function public.settle_notification(p_id uuid, p_attempt int, p_error text default null) returns boolean
language sql volatile set search_path = ''
as $$
    with settled as (
        update public.alert_notifications n
        set error = p_error,
            sent_at = case when p_error is null then clock_timestamp() end,
            given_up_at = case
                when p_error is not null and (n.kind = 'test' or n.created_at < clock_timestamp() - interval '1 day')
                then clock_timestamp() end,
            due_at = clock_timestamp() + least(10 * 2 ^ least(n.attempts - 1, 10), 1800) * interval '1 second'
        where n.id = p_id and n.attempts = p_attempt and n.sent_at is null and n.given_up_at is null
        returning n.id
    )
    select exists (select from settled);
$$;
comment on function public.settle_notification is
    'Notes that a claimed notification was sent, or why not: then it is due again after ten seconds, twice as long each time up to half an hour, for a day. False when the claim is another''s.';
