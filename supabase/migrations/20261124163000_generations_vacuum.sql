-- The newest generations are read from their index alone, as far as vacuum has been: let it come by
-- count, not by share of the table, as for job_queue.
alter table public.image_generations set (
    autovacuum_vacuum_scale_factor = 0.005, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.005
);
