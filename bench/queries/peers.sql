-- What became of the peers' jobs, in the peers' own tables.

-- name: procrastinate_left$
select count(*) from procrastinate_jobs where status <> 'succeeded';

-- name: procrastinate_last_at$
-- When the last job was completed, in seconds since 1970.
select extract(epoch from max(at))::double precision from procrastinate_events where type = 'succeeded';

-- name: pgqueuer_left$
select count(*) from pgqueuer;

-- name: pgqueuer_last_at$
select extract(epoch from max(created))::double precision from pgqueuer_log where status = 'successful';

-- name: graphile_worker_left$
select count(*) from graphile_worker.jobs;

-- name: pg_boss_left$
select count(*) from pgboss.job where name = 'bench' and state <> 'completed';
