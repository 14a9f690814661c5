-- Test runs begun and removed.

-- name: create_run!
-- Notes what is submitted; a repetition changes nothing.
insert into public.test_runs (id, actor, prompt, models, settings, jobs)
values (:id::uuid, :actor, :prompt, :models::text[], :settings::jsonb, :jobs)
on conflict (id) do nothing;

-- name: forget_empty_run!
-- Removes a run of which nothing was started.
delete from public.test_runs r
where r.id = :id::uuid and not exists (select from public.test_run_jobs t where t.run_id = r.id);

-- name: delete_run
-- Removes a run with its jobs and generations. Columns: generation_id, storage_path.
select generation_id, storage_path from public.delete_test_run(:actor, :run::uuid);
