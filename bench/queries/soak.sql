-- A steady load on an app, and what it holds of the database.

-- name: start_generation$
-- One of the models that make an image from a prompt alone.
select public.start_generation(
    null, 'A lighthouse at ' || clock_timestamp(),
    (select id from public.models where enabled and kind = 'generate' order by md5(id || clock_timestamp()) limit 1), '{}', 'test'
);

-- name: connections$
-- Of the app's pools.
select count(*) from pg_stat_activity where application_name like 'darkroom %%';

-- name: completed$
select count(*) from public.image_generations where source = 'test' and status = 'completed';
