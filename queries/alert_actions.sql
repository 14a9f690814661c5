-- Alert actions of admins and operators. The SQL functions check and audit them.

-- name: set_alert_rule!
select public.set_alert_rule(
    :actor, :rule, :enabled::boolean, :severity, :threshold::double precision,
    :resolve_at::double precision, :for_seconds::int, :minimum_jobs::int
);

-- name: silence_alerts$
select public.silence_alerts(:actor, :rule::text, :subject::text, :seconds::int, :reason::text);

-- name: end_alert_silence$
select public.end_alert_silence(:actor, :id::uuid);

-- name: add_alert_channel$
select public.add_alert_channel(:actor, :name, :url, :shown, :least_severity);

-- name: set_alert_channel!
select public.set_alert_channel(:actor, :id::uuid, :enabled::boolean, :least_severity);

-- name: remove_alert_channel$
select public.remove_alert_channel(:actor, :id::uuid);

-- name: begin_channel_test^
select id, attempt, url from public.begin_channel_test(:actor, :id::uuid);

-- name: settle_notification$
select public.settle_notification(:id::uuid, :attempt::int, :error);
