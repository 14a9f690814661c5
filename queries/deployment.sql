-- Facts for the deployment checks, from the catalog and live jobs; nothing scans the queue. All but
-- the last queries work on any database.

-- name: publication^
-- Columns: present, published: whether it includes image_generations, changes: whether it publishes
-- inserts and updates.
select
    p.oid is not null as present,
    coalesce(p.pubinsert and p.pubupdate, false) as changes,
    exists (
        select from pg_catalog.pg_publication_tables t
        where t.pubname = 'supabase_realtime' and t.schemaname = 'public' and t.tablename = 'image_generations'
    ) as published
from (select) as one
left join pg_catalog.pg_publication p on p.pubname = 'supabase_realtime';

-- name: workers^
-- Columns: alive, hosts: up to five of their hosts.
with alive as (
    select w.host from public.live_workers w where w.kind = 'worker'
)
select
    (select count(*) from alive) as alive,
    array(select distinct a.host from alive a order by 1 limit 5) as hosts;

-- name: cron^
-- The schedule that wakes the queue. Columns: available; jobs: those that call process-jobs, as
-- objects with id, name, schedule, active, last_seconds (since the last run started), failures (in a
-- row), error (of the last failure); findings: problems with them, as objects with job_id, finding,
-- detail; pg_net; key_name: of the secret that schedule_process_jobs names; key:
-- whether cron can read it.
select
    public.cron_available() as available,
    coalesce((
        select jsonb_agg(jsonb_build_object(
            'id', c.job_id, 'name', c.job_name, 'schedule', c.schedule, 'active', c.active,
            'last_seconds', extract(epoch from clock_timestamp() - c.last_started_at),
            'failures', c.failures_in_row, 'error', c.last_error
        ) order by c.job_id)
        from public.cron_jobs() c where c.wakes_queue
    ), '[]') as jobs,
    coalesce((
        select jsonb_agg(jsonb_build_object('job_id', f.job_id, 'finding', f.finding, 'detail', f.detail))
        from public.cron_findings() f
    ), '[]') as findings,
    to_regproc('net.http_post') is not null as pg_net,
    public.secret_key_name() as key_name,
    public.secret_readable(public.secret_key_name()) as key;

-- name: failed^
-- Jobs that failed permanently in the last 24 hours, counted up to 1001 with the refused ones.
-- Columns: jobs, newest_seconds: age of the newest failure, both without refused; refused.
select
    count(*) filter (where not f.is_refused) as jobs,
    count(*) filter (where f.is_refused) as refused,
    extract(epoch from now() - max(f.completed_at) filter (where not f.is_refused))::double precision as newest_seconds
from (
    select f.completed_at, f.error_details ->> 'code' is not distinct from 'refused' as is_refused
    from public.failed_jobs_recent f limit 1001
) f;

-- name: stuck^
-- Columns: jobs, longest_seconds: longest time without a heartbeat.
select count(*) as jobs,
       extract(epoch from max(s.silent_for))::double precision as longest_seconds
from public.stuck_jobs s;

-- name: self_test^
-- The last self-test run. Columns: seconds since, outcome, actor, failed: titles of the failed
-- checks.
select
    extract(epoch from now() - a.at)::double precision as seconds, a.actor,
    a.details -> 'report' ->> 'outcome' as outcome,
    array(
        select c ->> 'title' from jsonb_array_elements(a.details -> 'report' -> 'checks') c
        where c ->> 'status' = 'failed'
    ) as failed
from public.audit_log a
where a.action = 'self_test'
order by a.at desc
limit 1;

-- name: points
-- The stored checklist. Columns: those of the table.
select name, done, since, last_done_at, seen_at, ticked_by from public.deployment_points order by name;

-- name: note!
-- Stores the results of the checks: :points, a JSON object {name: done}.
select public.note_deployment(:points::jsonb);

-- name: tick!
select public.tick_deployment_point(:actor, :name, :done);
