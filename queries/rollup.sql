-- Folding history into the rollups. The SQL functions are documented in the migrations.

-- name: sample_queue$
select public.sample_queue();

-- name: refresh_rollup$
-- True if more is left to fold. every_seconds: does nothing if the last refresh is more recent.
select public.refresh_rollup(make_interval(secs => :every_seconds));
