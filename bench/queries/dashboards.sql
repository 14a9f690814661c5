-- The same jobs in our tables and in those of the peers of bench.dashboards, each in a database of
-- its own. The peers make their own tables; what is loaded comes from ours by way of `staged_jobs`.

-- name: drop_pg_boss#
drop database if exists peer_pg_boss with (force);

-- name: create_pg_boss#
create database peer_pg_boss;

-- name: drop_chancy#
drop database if exists peer_chancy with (force);

-- name: create_chancy#
create database peer_chancy;

-- name: drop_sidequest#
drop database if exists peer_sidequest with (force);

-- name: create_sidequest#
create database peer_sidequest;

-- name: copy_ours!
copy (
    select id, job_type, payload, status, attempts, max_attempts, scheduled_at, started_at, completed_at,
           error_message, priority, created_at
    from public.job_queue
) to stdout (format binary);

-- name: stage#
create unlogged table public.staged_jobs (
    id uuid, job_type text, payload jsonb, status text, attempts int, max_attempts int,
    scheduled_at timestamptz, started_at timestamptz, completed_at timestamptz, error_message text,
    priority int, created_at timestamptz
);

-- name: copy_staged!
copy public.staged_jobs from stdin (format binary);

-- name: staged
-- What the peer is to hold. Columns: job_type, status, jobs.
select job_type, status, count(*) as jobs from public.staged_jobs group by job_type, status;

-- name: drop_staged#
drop table public.staged_jobs;

-- name: mark_loaded!
-- When it was loaded, and for which version of the peer.
create table public.bench_loaded as select now() as at, :version::text as version;

-- name: vacuum#
vacuum (analyze);

-- name: checkpoint#
checkpoint;

-- name: database_exists$
select exists (select from pg_database where datname = :database);

-- name: is_loaded$
select to_regclass('public.bench_loaded') is not null;

-- name: loaded^
select now() - at as age, version from public.bench_loaded;

-- name: load_pg_boss!
-- Its waiting jobs are created or, once tried, in retry. It fails active jobs after expire_seconds,
-- and deletes finished ones after deletion_seconds; 0 is never.
insert into pgboss.job (
    id, name, priority, data, state, retry_limit, retry_count, start_after, created_on, started_on, completed_on,
    keep_until, expire_seconds, deletion_seconds, policy, output
)
select
    id, job_type, priority, payload,
    case status
        when 'pending' then case when attempts > 0 then 'retry' else 'created' end
        when 'processing' then 'active'
        else status
    end::pgboss.job_state,
    max_attempts - 1, greatest(attempts - 1, 0), scheduled_at, created_at, started_at, completed_at,
    scheduled_at + interval '14 days', 86399, 0, 'standard',
    case when status = 'failed' then jsonb_build_object('name', 'Error', 'message', error_message) end
from public.staged_jobs
order by created_at;

-- name: counts_of_pg_boss
-- Columns: state, jobs. Its monitor counted total, failed and active; queued is the rest that waits.
select 'total' as state, sum(total_count)::bigint as jobs from pgboss.queue where name not like '\_\_%%'
union all
select 'failed', sum(failed_count)::bigint from pgboss.queue where name not like '\_\_%%'
union all
select 'active', sum(active_count)::bigint from pgboss.queue where name not like '\_\_%%'
union all
select 'waiting', sum(queued_count)::bigint from pgboss.queue where name not like '\_\_%%';

-- name: example_of_pg_boss$
select id::text from pgboss.job
where name = 'generate-image' and state = 'failed' and created_on < now() - interval '30 days'
order by created_on desc limit 1;

-- name: load_chancy!
-- It knows no cancelled jobs: its own cancel makes them failed. Ids are in the order of time.
insert into public.chancy_jobs (
    id, queue, func, kwargs, state, priority, attempts, max_attempts, created_at, started_at, completed_at,
    scheduled_at, errors
)
select
    uuidv7(created_at - now()), job_type, 'jobs.' || replace(job_type, '-', '_'), payload,
    case status
        when 'pending' then case when attempts > 0 then 'retrying' else 'pending' end
        when 'processing' then 'running'
        when 'completed' then 'succeeded'
        else 'failed'
    end,
    priority, attempts, max_attempts, created_at, started_at, completed_at, scheduled_at,
    case when status = 'failed'
        then jsonb_build_array(jsonb_build_object('attempt', attempts, 'traceback', error_message))
        else '[]'
    end
from public.staged_jobs
order by created_at;

-- name: load_chancy_queues!
insert into public.chancy_queues (name, concurrency, tags, executor_options)
select distinct job_type, 10, array['.*'], '{}'::jsonb from public.staged_jobs;

-- name: load_chancy_metrics#
-- What its workers would have measured of these jobs in the times that it keeps, in its chunks of
-- twelve buckets.
create temp table points as
with resolutions (seconds, span) as (
    values (60, interval '1 hour'), (300, '1 day'), (3600, '7 days'), (86400, '90 days')
), ended as (
    select j.*, extract(epoch from j.completed_at - j.started_at)::double precision as ran
    from public.chancy_jobs j where j.completed_at is not null
)
select m.key, m.type, m.unit, r.seconds,
       date_bin(make_interval(secs => r.seconds), e.completed_at, 'epoch') as bucket,
       count(*) as count, sum(m.value) as total, min(m.value) as minimum, max(m.value) as maximum,
       max(e.completed_at) as sampled_at
from ended e
join resolutions r on e.completed_at > now() - r.span
cross join lateral (
    values
        ('global:status:' || e.state, 'counter', 'count', 1::double precision),
        ('job:' || e.func || ':' || e.state, 'counter', 'count', 1),
        ('queue:' || e.queue || ':' || e.state, 'counter', 'count', 1),
        ('queue:' || e.queue || ':throughput', 'counter', 'count', 1),
        ('job:' || e.func || ':execution_time', 'histogram', 'seconds', e.ran),
        ('queue:' || e.queue || ':execution_time', 'histogram', 'seconds', e.ran)
) m (key, type, unit, value)
where m.value is not null
group by 1, 2, 3, 4, 5;
insert into public.chancy_metric_definitions (key, metric_type, unit) select distinct key, type, unit from points;
insert into public.chancy_metrics (
    metric_id, resolution, chunk, session_id, worker_id, buckets, counts, totals, minimums, maximums, sampled_at
)
select
    d.id, p.seconds, date_bin(make_interval(secs => 12 * p.seconds), p.bucket, 'epoch') as chunk,
    '00000000-0000-4000-8000-000000000000', 'bench',
    array_agg(p.bucket order by p.bucket),
    case when p.type = 'histogram' then array_agg(p.count order by p.bucket) end,
    array_agg(p.total order by p.bucket),
    case when p.type = 'histogram' then array_agg(p.minimum order by p.bucket) end,
    case when p.type = 'histogram' then array_agg(p.maximum order by p.bucket) end,
    array_agg(p.sampled_at order by p.bucket)
from points p
join public.chancy_metric_definitions d on d.key = p.key
group by d.id, p.seconds, chunk, p.type;
drop table points;

-- name: counts_of_chancy
-- Columns: state, jobs. It shows no such count itself.
select case state when 'running' then 'active' when 'pending' then 'waiting' when 'retrying' then 'waiting' else state end as state,
       count(*) as jobs
from public.chancy_jobs group by 1
union all
select 'total', count(*) from public.chancy_jobs;

-- name: example_of_chancy$
select id::text from public.chancy_jobs
where queue = 'generate-image' and state = 'failed' and errors <> '[]' and created_at < now() - interval '30 days'
order by created_at desc limit 1;

-- name: load_sidequest!
insert into public.sidequest_jobs (
    queue, state, script, class, args, constructor_args, attempt, max_attempts, errors, inserted_at, attempted_at,
    available_at, completed_at, failed_at, canceled_at, claimed_at, claimed_by
)
select
    job_type,
    case status when 'pending' then 'waiting' when 'processing' then 'running' when 'cancelled' then 'canceled' else status end,
    'jobs/' || job_type || '.js', replace(initcap(job_type), '-', ''), jsonb_build_array(payload), '[]', attempts, max_attempts,
    case when status = 'failed' then jsonb_build_array(jsonb_build_object(
        'name', 'Error', 'message', error_message, 'attempt', attempts, 'attempt_by', 'bench', 'timestamp', completed_at
    )) end,
    created_at, started_at, scheduled_at,
    case when status = 'completed' then completed_at end,
    case when status = 'failed' then completed_at end,
    case when status = 'cancelled' then completed_at end,
    started_at, case when started_at is not null then 'bench' end
from public.staged_jobs
order by created_at;

-- name: load_sidequest_queues!
insert into public.sidequest_queues (name, state, concurrency, priority)
select distinct job_type, 'active', 10, 0 from public.staged_jobs;

-- name: counts_of_sidequest
-- Columns: state, jobs, as it counts them itself: over the whole table.
select case state when 'running' then 'active' else state end as state, count(*) as jobs
from public.sidequest_jobs group by 1
union all
select 'total', count(*) from public.sidequest_jobs;

-- name: example_of_sidequest$
select id::text from public.sidequest_jobs
where queue = 'generate-image' and state = 'failed' and inserted_at < now() - interval '30 days'
order by inserted_at desc limit 1;

-- name: counts_of_darkroom
-- Columns: state, jobs.
select case status when 'processing' then 'active' when 'pending' then 'waiting' else status end as state, count(*) as jobs
from public.job_queue group by 1
union all
select 'total', count(*) from public.job_queue;

-- name: example_of_darkroom$
select id::text from public.job_queue
where job_type = 'generate-image' and status = 'failed' and completed_at < now() - interval '30 days'
order by completed_at desc limit 1;

-- name: others_at_work$
-- Statements of others that run in this database.
select count(*) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and state <> 'idle' and pid <> pg_backend_pid();

-- name: version$
select current_setting('server_version');

-- name: size$
select pg_size_pretty(pg_database_size(current_database()));

-- name: reads_so_far
-- Of this transaction, by table: whole scans, and the rows that scans of it or of its indexes gave,
-- those inside functions too, and before any filter but an index's own.
select
    c.oid::regclass::text as relation,
    pg_stat_get_xact_numscans(c.oid) as whole_scans,
    pg_stat_get_xact_tuples_returned(c.oid) + coalesce(
        (select sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) from pg_index i where i.indrelid = c.oid), 0
    )::bigint as rows
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast');

-- name: without_parallel_workers#
set local max_parallel_workers_per_gather = 0;
