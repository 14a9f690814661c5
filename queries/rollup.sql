-- Folding history; the functions are documented where they are made.

-- name: refresh_rollup$
-- True when more is left to fold. every_seconds: does nothing when the last refresh is younger.
select public.refresh_rollup(make_interval(secs => :every_seconds));
