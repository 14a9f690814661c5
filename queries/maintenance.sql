-- What has to be done to keep the queue in order? Purging, sizes, growth, models, limits.
-- Of finished jobs the rollups are read; sizes and ages come from the server's statistics.

-- name: purge_finished_jobs^
-- Deletes one batch of at most :most finished jobs that ended :older_than (interval) ago. Columns: run,
-- purged, total: of the whole run, ended.
select run, purged, total, ended
from public.purge_finished_jobs(:actor, :older_than::interval, :most::int, :run::bigint);

-- name: stop_purge$
select public.stop_purge(:actor);

-- name: purge_cron_history$
-- How many records of pg_cron were deleted.
select public.purge_cron_history(:actor, :older_than::interval);

-- name: record_maintenance!
select public.record_maintenance(:actor, :task, :note);

-- name: replication_lag$
-- Seconds by which the slowest standby is behind; null without any, or where this may not be read.
select extract(epoch from max(replay_lag))::double precision from pg_catalog.pg_stat_replication;
