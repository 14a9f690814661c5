-- What bench.scaling waits for and looks at.

-- name: workers$
select count(*) from public.workers where stopped_at is null;

-- name: unfinished$
select exists (select from public.job_queue where job_type = 'bench' and status in ('pending', 'processing'));

-- name: connections$
-- Of clients, this one apart.
select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid();

-- name: jobs$
-- About how many jobs the table holds.
select reltuples::bigint from pg_class where oid = 'public.job_queue'::regclass;

-- name: take_out!
delete from public.job_queue where job_type = 'bench';

-- name: wal$
-- Bytes of WAL that were ever written.
select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint;
