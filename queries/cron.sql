-- pg_cron jobs, their runs and changes to them. The SQL functions called here check and audit each
-- change.

-- name: environment^
-- What is installed. version: of pg_cron (null without it); available: version is supported;
-- seconds: schedules in seconds are supported; time_zone: of the schedules; pg_net, vault;
-- database: its name; call_seconds: default timeout of a process-jobs call; response_seconds: how
-- long a response may take to arrive; key_name: name of the secret key.
select
    public.cron_version() as version,
    public.cron_available() as available,
    public.cron_at_least(1, 5) as seconds,
    coalesce(current_setting('cron.timezone', true), 'GMT') as time_zone,
    public.http_post_function() is not null as pg_net,
    to_regclass('vault.decrypted_secrets') is not null as vault,
    current_database()::text as database,
    public.process_jobs_seconds() as call_seconds,
    public.response_seconds() as response_seconds,
    public.secret_key_name() as key_name;

-- name: jobs
-- All jobs from cron_jobs, those that wake the queue first. findings: list of objects with finding
-- and detail; changed_at, changed_by: last change in the audit log.
select j.*, coalesce(f.list, '[]') as findings, c.at as changed_at, c.actor as changed_by
from public.cron_jobs() j
left join (
    select job_id, jsonb_agg(jsonb_build_object('finding', finding, 'detail', detail)) as list
    from public.cron_findings() group by job_id
) f using (job_id)
left join lateral (
    select a.at, a.actor from public.audit_log a
    where a.details ? 'cron_job_ids' and a.details -> 'cron_job_ids' @> to_jsonb(j.job_id)
    order by a.at desc limit 1
) c on true
order by not j.wakes_queue, j.job_name, j.job_id;

-- name: runs
-- The newest runs from cron_runs of :job_id (null for all jobs), before the run :before (null for
-- none), up to :most.
select * from public.cron_runs(:job_id::bigint, :before::bigint, :most::int);

-- name: secret_readable$
-- Whether cron jobs can read the key :name.
select public.secret_readable(:name);

-- name: schedule_process_jobs$
select public.schedule_process_jobs(:actor, :schedule, :url, :key_name, :timeout_seconds::int);

-- name: schedule_statement$
-- The equivalent statement for psql.
select format(
    'select public.schedule_process_jobs(%%L, %%L, %%L, %%L, %%s);',
    :actor::text, :schedule::text, :url::text, :key_name::text, :timeout_seconds::int
);

-- name: change_cron_job$
select public.change_cron_job(:actor, :job_id::bigint, :schedule);

-- name: set_cron_job_active$
select public.set_cron_job_active(:actor, :job_id::bigint, :active::boolean);

-- name: unschedule_cron_job$
select public.unschedule_cron_job(:actor, :job_id::bigint);

-- name: record_call!
-- Audits a manual call of process-jobs; :details (jsonb) holds its answer.
select public.record_action(:actor, 'call_process_jobs', '{}'::uuid[], :details::jsonb);
