-- Starting and deleting test runs.

-- name: start_run!
-- Records a test run; idempotent.
select public.start_test_run(:actor, :id::uuid, :prompt, :models::text[], :settings::jsonb, :jobs::int);

-- name: withdraw_run!
-- Deletes a run of which no job was started.
select public.withdraw_test_run(:actor, :id::uuid);

-- name: delete_run^
-- Deletes a run with its jobs and generations. Columns: generations, how many; storage_paths, of
-- their images and thumbnails.
select generations, storage_paths from public.delete_test_run(:actor, :run::uuid);
