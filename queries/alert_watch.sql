-- Evaluating alerts and sending notifications. The SQL functions are documented in the migrations.

-- name: evaluate_alerts$
select public.evaluate_alerts(make_interval(secs => :every_seconds));

-- name: claim_notifications
-- url is secret; channel is its name; fired_at and resolved_at are in UTC.
select id, attempt, url, channel, kind, rule, subject, severity, detail, value, worst,
       fired_at, resolved_at
from public.claim_notifications();

-- name: settle_notification$
select public.settle_notification(:id::uuid, :attempt::int, :error);
