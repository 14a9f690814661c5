-- What bench.pages asks the server besides the queries of the pages.

-- name: reads_so_far
-- Of this session: whole scans of each table, and the rows that scans of it or of its indexes gave,
-- those inside functions too, and before any filter but an index's own.
select
    c.relname as relation,
    pg_stat_get_xact_numscans(c.oid) as whole_scans,
    pg_stat_get_xact_tuples_returned(c.oid) + coalesce(
        (select sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) from pg_index i where i.indrelid = c.oid), 0
    )::bigint as rows
from pg_class c
where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'auth'::regnamespace);

-- name: without_parallel_workers#
set local max_parallel_workers_per_gather = 0;

-- name: examples
-- What pages about one thing need in their URL. Columns: path, parameters.
select 'job' as path, jsonb_build_object('id', q.id::text) as parameters
from (
    select id from public.job_queue where status = 'failed' order by completed_at desc limit 1
) q;

-- name: commits$
-- Transactions of all sessions so far; a page's query is one.
select xact_commit from pg_stat_database where datname = current_database();

-- name: other_sessions$
-- Connections of others to this database.
select count(*) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid();
