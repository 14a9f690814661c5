-- Alerts, rules, channels and silences. All tables are small, and the measures are bounded
-- (alert_measures).

-- name: watch^
-- known: evaluated within the last minute; evaluated_at: null if never; channels, rules: how many
-- are enabled.
select
    w.evaluated_at > clock_timestamp() - interval '1 minute' as known,
    nullif(w.evaluated_at, '-infinity') as evaluated_at,
    (select count(*) from public.alert_channels where enabled) as channels,
    (select count(*) from public.alert_rules where enabled) as rules
from public.alert_watch w;

-- name: open
-- Open alerts, critical and oldest first. fired_at: null until the problem has lasted for_seconds;
-- seconds: its duration so far; silenced_until: null without a silence; told: number of channels
-- notified.
select
    a.id, a.rule, a.subject, a.severity, a.value, a.worst, a.detail, a.fired_at, a.calm_since,
    extract(epoch from now() - a.began_at)::double precision as seconds,
    r.for_seconds,
    (
        select max(s.until) from public.alert_silences s
        where s.until > now() and coalesce(s.rule, a.rule) = a.rule and coalesce(s.subject, a.subject) = a.subject
    ) as silenced_until,
    (
        select count(*) from public.alert_notifications n
        where n.alert_id = a.id and n.kind = 'firing' and n.sent_at is not null
    ) as told
from public.alerts a
join public.alert_rules r using (rule)
where a.resolved_at is null
order by a.fired_at is null, a.severity, a.fired_at
limit 100;

-- name: rules
-- All rules with the current value, the worst of their subjects (null if there is nothing to
-- measure), and the number of subjects that are firing and beginning (pending).
select
    r.rule, r.severity, r.threshold, r.resolve_at, r.for_seconds, r.minimum_jobs, r.enabled,
    r.changed_by, r.changed_at, m.value, coalesce(a.firing, 0) as firing, coalesce(a.beginning, 0) as beginning
from public.alert_rules r
left join (select rule, max(value) as value from public.alert_measures() group by rule) m using (rule)
left join (
    select rule, count(*) filter (where fired_at is not null) as firing, count(*) filter (where fired_at is null) as beginning
    from public.alerts where resolved_at is null group by rule
) a using (rule);

-- name: channels
-- Channels, without secrets. last_kind, last_at, last_error (null if delivered): the last attempted
-- message; waiting: undelivered messages.
select
    c.id, c.name, c.shown, c.least_severity, c.enabled, c.created_by, c.created_at,
    last.kind as last_kind, last.at as last_at, last.error as last_error,
    (
        select count(*) from public.alert_notifications n
        where n.channel_id = c.id and n.sent_at is null and n.given_up_at is null and n.kind <> 'test'
    ) as waiting
from public.alert_channels c
left join lateral (
    select n.kind, coalesce(n.sent_at, n.given_up_at, n.created_at) as at, n.error
    from public.alert_notifications n
    where n.channel_id = c.id and n.attempts > 0
    order by n.created_at desc limit 1
) last on true
order by c.name
limit 200;

-- name: silences
-- Active silences, the next to end first. rule, subject: null for all.
select id, rule, subject, until, reason, created_by, created_at
from public.alert_silences where until > now() order by until limit 200;

-- name: history
-- Alerts that fired, newest first, up to :most, before the position (:before, :before_id). seconds:
-- duration so far; resolved_at: null while firing.
select
    id, rule, subject, severity, worst, detail, fired_at, resolved_at,
    extract(epoch from coalesce(resolved_at, now()) - fired_at)::double precision as seconds,
    (
        select count(*) from public.alert_notifications n
        where n.alert_id = alerts.id and n.kind = 'firing' and n.sent_at is not null
    ) as told
from public.alerts
where fired_at is not null and (fired_at, id) < (:before::timestamptz, :before_id::uuid)
order by fired_at desc, id desc
limit :most;
