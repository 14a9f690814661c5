-- Settings of a new connection. Not sent with the connection itself, since poolers refuse that.

-- name: limit_statements$
-- Cancel statements that run longer. milliseconds: as text; 0 sets no limit.
select set_config('statement_timeout', :milliseconds, false);
