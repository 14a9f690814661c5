-- How the queue copes with provider faults. Live jobs and the last minutes, by index.

-- name: now^
-- One row. pending, and of these retrying: failed before; processing, and of these stuck; completed and failed in the
-- last five minutes; opened_seconds: how long the circuit breaker of generate-image has been open
-- (null: closed), open_seconds: until its next probe (0 when due), probing, breaker_failures:
-- consecutive failures while closed, breaker_reason; held_models: rate-limited models,
-- held_seconds: the longest remaining limit.
select
    p.pending, p.retrying,
    (select count(*) from public.job_queue where status = 'processing') as processing,
    (select count(*) from public.stuck_jobs) as stuck,
    f.completed, f.failed,
    extract(epoch from now() - b.opened_at)::double precision as opened_seconds,
    case when b.open_until is not null
        then greatest(extract(epoch from b.open_until - now()), 0)::double precision end as open_seconds,
    coalesce(b.probing, false) as probing,
    coalesce(b.failures, 0) as breaker_failures,
    b.reason as breaker_reason,
    array(select h.model_id from public.model_holds h where h.held_until > now() order by h.model_id) as held_models,
    (
        select extract(epoch from max(h.held_until) - now())::double precision
        from public.model_holds h where h.held_until > now()
    ) as held_seconds
from (
    select count(*) as pending, count(*) filter (where q.attempts > 0) as retrying
    from public.job_queue q where q.status = 'pending'
) p
cross join (
    select count(*) filter (where q.status = 'completed') as completed,
           count(*) filter (where q.status = 'failed') as failed
    from public.job_queue q
    where q.status in ('completed', 'failed', 'cancelled') and q.completed_at > now() - interval '5 minutes'
) f
left join public.job_types t on t.job_type = 'generate-image'
left join public.provider_breakers b on b.provider = t.provider;

-- name: errors
-- Current errors, the most frequent first. Columns: code (empty: none), waiting: pending jobs that
-- failed with it and will be retried, failed: jobs that failed permanently in the last five
-- minutes.
select e.code, sum(e.waiting)::bigint as waiting, sum(e.failed)::bigint as failed
from (
    select coalesce(q.error_details ->> 'code', '') as code, 1 as waiting, 0 as failed
    from public.job_queue q where q.status = 'pending' and q.error_message is not null
    union all
    select coalesce(q.error_details ->> 'code', ''), 0, 1
    from public.job_queue q where q.status = 'failed' and q.completed_at > now() - interval '5 minutes'
) e
group by e.code
order by sum(e.waiting) + sum(e.failed) desc, e.code
limit 10;

-- name: changes
-- The last ten changes of the injected faults. Columns: at, actor, faults (sentences).
select at, actor, array(select jsonb_array_elements_text(details -> 'after' -> 'faults')) as faults
from public.audit_log
where action = 'inject_faults'
order by at desc
limit 10;
