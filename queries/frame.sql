-- What the sidebar and the browser tab show on every page. Reads a few dozen rows, whatever the
-- length of the queue.

-- name: state^
-- One row. alerts_known: alerts were evaluated within the last minute; critical, warnings: firing
-- alerts. pending: pending jobs, counted up to 10, then as last sampled; pending_at_least: there is
-- no sample of the last three minutes, so there may be more. failure_groups: kinds of errors in this
-- hour and the one before, without refusals; failure_groups_at_least: only the newest 20 entries of the rollup were
-- read. workers_alive: workers alive (live_workers); workers_expected: these and the workers that
-- fell silent in the last ten minutes.
select
    w.evaluated_at > clock_timestamp() - interval '1 minute' as alerts_known,
    a.critical,
    a.warnings,
    case when p.counted < 10 then p.counted else greatest(s.pending, p.counted) end as pending,
    p.counted = 10 and s.pending is null as pending_at_least,
    f.kinds as failure_groups,
    f.entries = 20 as failure_groups_at_least,
    live.alive as workers_alive,
    recent.workers + live.calls as workers_expected
from public.alert_watch w
cross join lateral (
    select
        count(*) filter (where o.severity = 'critical') as critical,
        count(*) filter (where o.severity <> 'critical') as warnings
    from public.alerts o
    where o.resolved_at is null and o.fired_at is not null
) a
cross join lateral (
    select count(*) as counted from (
        -- In the order of its index, which this reads in any case.
        select from public.job_queue q where q.status = 'pending'
        order by public.line_of(q.priority, q.job_type, q.payload), q.scheduled_at limit 10
    ) first
) p
left join lateral (
    select s.pending from public.queue_samples s
    where p.counted = 10 and s.minute > now() - interval '3 minutes'
    order by s.minute desc limit 1
) s on true
cross join lateral (
    select
        count(*) as entries,
        count(distinct (r.error_group, r.error_code)) filter (where r.error_code <> 'refused') as kinds
    from (
        select r.error_group, r.error_code from public.failure_rollup r
        where r.hour >= date_trunc('hour', now() - interval '1 hour', 'UTC')
        order by r.hour desc limit 20
    ) r
) f
cross join lateral (
    select count(*) as workers
    from public.workers w
    where w.kind = 'worker' and w.stopped_at is null and w.last_seen_at > now() - interval '10 minutes'
) recent
cross join lateral (
    select count(*) as alive, count(*) filter (where l.kind <> 'worker') as calls from public.live_workers l
) live;
