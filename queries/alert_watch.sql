-- Watching and sending; the functions are documented where they are made.

-- name: evaluate_alerts$
select public.evaluate_alerts(make_interval(secs => :every_seconds));

-- name: claim_notifications
-- url is a secret. channel: its name; fired_at, resolved_at in UTC.
select id, attempt, url, channel, kind, rule, subject, severity, detail, value, worst,
       fired_at, resolved_at
from public.claim_notifications();

-- name: settle_notification$
select public.settle_notification(:id::uuid, :attempt::int, :error);
