-- Purging, sizes, growth, models and limits. Finished jobs are read from the rollups; sizes and
-- ages from the server's statistics.

-- name: purge_finished_jobs^
-- Deletes one batch of at most :most finished jobs that ended more than :older_than (interval) ago.
-- Columns: run, purged, total: of the whole run, ended.
select run, purged, total, ended
from public.purge_finished_jobs(:actor, :older_than::interval, :most::int, :run::bigint);

-- name: record_maintenance!
select public.record_maintenance(:actor, :task, :note);

-- name: replication_lag$
-- Replication lag of the slowest standby in seconds; null without one or without permission.
select extract(epoch from max(replay_lag))::double precision from pg_catalog.pg_stat_replication;

-- name: done
-- When each of :tasks (text[]) was last done. Columns: task, at, actor, note; null if never.
select t.task, l.at, l.actor, l.details ->> 'note' as note
from unnest(:tasks::text[]) as t (task)
left join lateral (
    select a.at, a.actor, a.details
    from public.audit_log a
    where a.action = 'maintenance' and a.details ->> 'task' = t.task
    order by a.at desc
    limit 1
) l on true;

-- name: purge_done^
-- The last completed purge. Columns: at, actor, jobs.
select ended_at as at, actor, jobs
from public.purge_runs
where outcome = 'finished'
order by started_at desc
limit 1;

-- name: purge_now^
-- The purge in progress. Columns: id, actor, older_than_days, finished_before, jobs, batches,
-- started_at, last_batch_at; silent: no batch was requested for a minute.
select
    id, actor, (extract(epoch from older_than) / 86400)::double precision as older_than_days, finished_before,
    jobs, batches, started_at, last_batch_at, last_batch_at < now() - interval '1 minute' as silent
from public.purge_runs
where ended_at is null;

-- name: purges
-- The last twenty purges. Columns: started_at, actor, older_than_days, jobs, seconds, outcome.
select
    started_at, actor, (extract(epoch from older_than) / 86400)::double precision as older_than_days, jobs,
    extract(epoch from coalesce(ended_at, last_batch_at) - started_at)::double precision as seconds,
    coalesce(outcome, 'running') as outcome
from public.purge_runs
order by started_at desc
limit 20;

-- name: purgeable^
-- What a purge of jobs that ended more than :older_than (interval) ago would delete, from the
-- rollup. Columns: jobs; later: jobs as old that can be deleted once the history includes their
-- hour; oldest (hour of the oldest finished job; null if none), kept: number of finished jobs.
select
    coalesce(sum(r.jobs) filter (where r.hour < public.purge_horizon(:older_than)), 0)::bigint as jobs,
    coalesce(sum(r.jobs) filter (
        where r.hour >= public.purge_horizon(:older_than)
          and r.hour < date_trunc('hour', now() - :older_than::interval, 'UTC')
    ), 0)::bigint as later,
    min(r.hour) as oldest,
    coalesce(sum(r.jobs), 0)::bigint as kept
from public.job_rollup r
where not r.purged;

-- name: sample_data^
-- How much sample data there is, for the embedded database. Columns: users, generations.
with users as materialized (
    select id from auth.users where email like 'sample-user-__@example.invalid'
)
select
    (select count(*) from users) as users,
    (select count(*) from users u join public.image_generations g on g.user_id = u.id) as generations;

-- name: remove_sample_data^
-- Columns: users, generations, jobs, storage_paths (of images that the caller deletes).
select users, generations, jobs, storage_paths from public.remove_sample_data(:actor);

-- name: cron_history_rows$
-- Number of run records kept by pg_cron; null without pg_cron.
select public.cron_history_rows();

-- name: tables
-- Our tables, the largest first. Columns: name; rows (estimate of the last analyze); bytes: total,
-- heap_bytes, index_bytes, toast_bytes; live, dead: row versions; due_at: dead rows that trigger
-- autovacuum; vacuumed_at, analyzed_at: manually or automatically; age: transactions since the
-- oldest row was frozen, freeze_at: age at which autovacuum is forced; vacuuming: phase of a
-- running vacuum.
select
    c.relname as name,
    greatest(c.reltuples, 0)::bigint as "rows",
    pg_total_relation_size(c.oid) as bytes,
    pg_relation_size(c.oid) as heap_bytes,
    pg_indexes_size(c.oid) as index_bytes,
    pg_total_relation_size(c.oid) - pg_relation_size(c.oid) - pg_indexes_size(c.oid) as toast_bytes,
    s.n_live_tup as live,
    s.n_dead_tup as dead,
    (o.threshold + o.scale * greatest(c.reltuples, 0))::bigint as due_at,
    greatest(s.last_vacuum, s.last_autovacuum) as vacuumed_at,
    greatest(s.last_analyze, s.last_autoanalyze) as analyzed_at,
    age(c.relfrozenxid) as age,
    current_setting('autovacuum_freeze_max_age')::bigint as freeze_at,
    p.phase as vacuuming
from pg_catalog.pg_class c
join pg_catalog.pg_stat_user_tables s on s.relid = c.oid
cross join lateral (
    select
        coalesce(max(r.option_value) filter (where r.option_name = 'autovacuum_vacuum_threshold'),
                 current_setting('autovacuum_vacuum_threshold'))::double precision as threshold,
        coalesce(max(r.option_value) filter (where r.option_name = 'autovacuum_vacuum_scale_factor'),
                 current_setting('autovacuum_vacuum_scale_factor'))::double precision as scale
    from pg_options_to_table(c.reloptions) r
) o
left join pg_catalog.pg_stat_progress_vacuum p on p.relid = c.oid
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
order by bytes desc, name
limit 100;

-- name: indexes
-- Our B-tree indexes, the largest first. Columns: name, table_name, bytes; expected_bytes: estimate
-- at the default fill factor of 90, from the column widths of the last analyze (null without one);
-- scans since the statistics were reset; valid: false after a failed build; building: phase of a
-- running build.
select
    i.relname as name, t.relname as table_name, pg_relation_size(i.oid) as bytes,
    case when w.width is not null and i.reltuples >= 0 then
        (8192 * (1 + ceil(i.reltuples * (12 + 8 * ceil(w.width / 8.0)) / ((8192 - 40) * 0.9))))::bigint
    end as expected_bytes,
    s.idx_scan as scans,
    x.indisvalid as valid,
    p.phase as building
from pg_catalog.pg_index x
join pg_catalog.pg_class i on i.oid = x.indexrelid
join pg_catalog.pg_class t on t.oid = x.indrelid
join pg_catalog.pg_am a on a.oid = i.relam and a.amname = 'btree'
join pg_catalog.pg_stat_user_indexes s on s.indexrelid = i.oid
cross join lateral (
    -- Columns use the table's statistics, expressions those of the index.
    select sum(n.avg_width)::int as width
    from pg_catalog.pg_attribute c
    join pg_catalog.pg_stats n
        on n.schemaname = 'public' and n.attname = c.attname and n.tablename in (t.relname, i.relname)
    where c.attrelid = i.oid
) w
left join pg_catalog.pg_stat_progress_create_index p on p.index_relid = i.oid
where t.relnamespace = 'public'::regnamespace
order by bytes desc, name
limit 200;

-- name: database_bytes$
select pg_database_size(current_database());

-- name: vacuum_statement$
-- The statement that vacuums and analyzes one of our tables; null if it does not exist.
select format('vacuum (analyze) public.%%I', c.relname)
from pg_catalog.pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname = :name;

-- name: reindex_statement$
-- The statement that rebuilds one of our indexes concurrently; null if it does not exist.
select format('reindex index concurrently public.%%I', c.relname)
from pg_catalog.pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'i' and c.relname = :name;

-- name: days
-- Jobs that ended on each of the last 91 full days (UTC) in the rollup, purged ones included.
-- Columns: day, jobs.
select bucket as day, sum(jobs)::bigint as jobs
from public.job_stats_parts(
    date_trunc('day', now(), 'UTC') - interval '91 days', date_trunc('day', now(), 'UTC'), 'day'
)
group by bucket
order by bucket;

-- name: models
-- All models. Columns: those of the table; provider_url: the address of its own server, if it has one; user_inputs: names of the inputs that requests of users may
-- set unless they are in operator_fields; jobs in the last 7 days (from the rollup).
select
    m.id, m.display_name, m.version, m.default_parameters,
    m.price_per_image::double precision as price_per_image, m.enabled, m.updated_at,
    m.operator_fields, m.deadline_seconds, m.refreshed_at, m.provider, s.url as provider_url,
    array(
        select f.name from jsonb_each(m.input_schema) as f (name, said)
        where f.name <> 'prompt' and not f.said ? 'x-cog-secret' and public.reserved_input(f.name) is null
        order by (f.said ->> 'x-order')::int, f.name
    ) as user_inputs,
    coalesce(j.jobs, 0)::bigint as jobs
from public.models m
left join public.model_servers s on s.model_id = m.id
left join (
    select r.model_id, sum(r.jobs) as jobs
    from public.job_rollup r
    where r.hour > now() - interval '7 days'
    group by r.model_id
) j on j.model_id = m.id
order by m.enabled desc, jobs desc, m.id
limit 500;

-- name: model_changes
-- The last twenty changes of models. Columns: at, actor, model_id, before, after (objects; before
-- is null for a new model).
select at, actor, details ->> 'model_id' as model_id, details -> 'before' as before, details -> 'after' as after
from public.audit_log
where action in ('set_model', 'add_model', 'refresh_model')
order by at desc
limit 20;

-- name: near_limits
-- Users at or above :share of their daily or hourly limit, among those who requested the newest
-- 20,000 generations of the last day; highest usage first, up to 200. Columns: user_id, daily_used,
-- daily_limit, hourly_used, hourly_limit, used: the larger share; own: whether the limits are
-- custom.
with users as (
    select
        n.user_id, count(*) as daily_used,
        count(*) filter (where n.created_at > now() - interval '1 hour') as hourly_used
    from (
        select g.user_id, g.created_at
        from public.image_generations g
        where g.created_at > now() - interval '1 day' and g.source <> 'test' and g.user_id is not null
        order by g.created_at desc
        limit 20000
    ) n
    group by n.user_id
), limited as (
    select
        u.*, l.user_id is not null as own,
        coalesce(l.daily_limit, d.daily_limit) as daily_limit,
        coalesce(l.hourly_limit, d.hourly_limit) as hourly_limit
    from users u
    cross join public.default_limits() d
    left join public.user_limits l using (user_id)
), shares as (
    select
        *,
        greatest(
            case when daily_limit > 0 then daily_used::double precision / daily_limit else 1 end,
            case when hourly_limit > 0 then hourly_used::double precision / hourly_limit else 1 end
        ) as used
    from limited
)
select * from shares where used >= :share order by used desc, daily_used desc, user_id limit 200;

-- name: asking$
-- Number of users who requested the newest 20,000 generations of the last day.
select count(distinct n.user_id) from (
    select g.user_id from public.image_generations g
    where g.created_at > now() - interval '1 day' and g.source <> 'test'
    order by g.created_at desc
    limit 20000
) n;
