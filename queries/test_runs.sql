-- Test runs begun and removed.

-- name: start_run!
-- Notes what is submitted; a repetition changes nothing.
select public.start_test_run(:actor, :id::uuid, :prompt, :models::text[], :settings::jsonb, :jobs::int);

-- name: withdraw_run!
-- Removes a run of which nothing was started.
select public.withdraw_test_run(:actor, :id::uuid);

-- name: delete_run
-- Removes a run with its jobs and generations. Columns: generation_id, storage_path.
select generation_id, storage_path from public.delete_test_run(:actor, :run::uuid);
