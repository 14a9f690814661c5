-- The table of the pgbench script single_row_update.sql.

-- name: create_table#
create table if not exists public.single_row as
select id, 0 as value from generate_series(1, 10000) as g (id);

-- name: create_key#
create unique index if not exists single_row_key on public.single_row (id);
