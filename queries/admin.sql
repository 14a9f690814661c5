-- What the page Admin shows on its cards: one row of each small table or index.

-- name: state^
-- One row. self_test, self_test_seconds: outcome of the last completed self-test (passed or failed)
-- and its age, null without one; percentage: of users on the queue; rollback_seconds: age of the
-- open rollback, null without one; purging: a purge is running; purged_seconds: age of the last
-- completed purge, null without one; audit_seconds: age of the newest audit entry, null without one.
select
    t.outcome as self_test,
    extract(epoch from now() - t.at)::double precision as self_test_seconds,
    r.percentage,
    (
        select extract(epoch from now() - b.started_at)::double precision
        from public.rollbacks b where b.ended_at is null
    ) as rollback_seconds,
    exists (select from public.purge_runs p where p.ended_at is null) as purging,
    (
        select extract(epoch from now() - p.ended_at)::double precision
        from public.purge_runs p
        where p.outcome = 'finished' order by p.started_at desc limit 1
    ) as purged_seconds,
    (
        select extract(epoch from now() - a.at)::double precision
        from public.audit_log a order by a.at desc, a.id desc limit 1
    ) as audit_seconds
from public.async_rollout r
left join lateral (
    select a.at, a.details -> 'report' ->> 'outcome' as outcome
    from public.audit_log a where a.action = 'self_test' order by a.at desc limit 1
) t on true;
