-- Steps of the self-test, on rows of its own. Unless noted as committed, a step runs in a
-- transaction that is rolled back.

-- name: last_run^
-- The last completed run. Columns: at, actor, report (see lib/checks/selftest/report.py).
select at, actor, details -> 'report' as report
from public.audit_log
where action = 'self_test'
order by at desc
limit 1;

-- name: record_start$
-- Audits that :actor (text) starts a run.
select public.record_action(:actor, 'start_self_test', '{}', jsonb_build_object('run', :run::text));

-- name: record_run$
-- Audits the :report (jsonb) of a run by :actor.
select public.record_action(
    :actor, 'self_test', '{}', jsonb_build_object('report', :report::jsonb)
);

-- name: enqueue$
-- Enqueues a job of :job_type created by :created_by (uuid, may be null).
select public.enqueue_job(:job_type, '{"test": true}', p_created_by => :created_by::uuid);

-- name: job^
-- The state of a job.
select id, status, attempts, error_message from public.job_queue where id = :job_id;

-- name: claim^
-- Claims the next due job of :job_type.
select id, status, attempts from public.claim_next_job(array[:job_type]);

-- name: complete$
-- Ends attempt :attempt of a job: as failed with :error (text), as completed with null.
select public.complete_job(
    :job_id, :error::text is null, :error::text, p_attempt => :attempt
);

-- name: enqueue_without_type$
select public.enqueue_job('', '{}');

-- name: enqueue_a_list$
select public.enqueue_job(:job_type, '[]');

-- name: enqueue_without_attempts$
select public.enqueue_job(:job_type, '{}', p_max_attempts => 0);

-- name: claim_none^
select * from public.claim_jobs(0, array[:job_type]);

-- name: complete_unknown$
select public.complete_job('00000000-0000-0000-0000-000000000000');

-- name: reset_without_actor^
select * from public.reset_stuck_jobs('');

-- name: silence$
-- Makes a claimed job of the self-test look stuck.
select public.silence_self_test_job(:job_id);

-- name: is_stuck$
select exists (select from public.stuck_jobs where id = :job_id);

-- name: reset
-- Resets the job if it is stuck.
select id, status, attempts from public.reset_stuck_jobs('self-test', array[:job_id::uuid]);

-- name: paused^
-- Whether jobs of :job_type are held back. Columns: paused_by, down (reasons, or null).
select
    (
        select string_agg(p.paused_by, ', ') from public.queue_pauses p
        where p.job_type in ('*', :job_type)
    ) as paused_by,
    (
        select string_agg(coalesce(b.reason, b.provider), ', ')
        from public.job_types t join public.provider_breakers b using (provider)
        where t.job_type = :job_type and b.open_until is not null
    ) as down;

-- name: worker^
-- Workers that could run generations now. Columns: alive (workers and recent calls of
-- process-jobs), seen_seconds since the last heartbeat of any, null if never.
select
    (
        select count(*) from public.live_workers l
        where l.kind in ('worker', 'process-jobs') and 'generate-image' = any (l.job_types)
    ) as alive,
    extract(epoch from now() - max(last_seen_at))::double precision as seen_seconds
from public.workers
where kind in ('worker', 'process-jobs') and 'generate-image' = any (job_types);

-- name: model$
-- The model to test with: a fast one, else any enabled one.
select id from public.models
where enabled
order by id <> 'black-forest-labs/flux-schnell', id
limit 1;

-- name: clock$
select clock_timestamp();

-- name: forget_call!
-- Committed. Deletes the record of one call of function :kind that ran since :since (timestamptz):
-- like every call, it was registered as a worker. Two concurrent runs delete one each.
delete from public.workers
where id = (
    select id from public.workers
    where kind = :kind and started_at >= :since and stopped_at is not null
    order by started_at
    limit 1
    for update skip locked
);

-- name: prompt$
-- The prompt that marks generations started through the functions by run :run (uuid).
select public.self_test_prompt(:run);

-- name: start^
-- Committed. Starts a test generation of any :model_id whose job waits for process-generation.
select generation_id, job_id from public.start_self_test(:run, :model_id);

-- name: generation^
-- The state of a generation. seconds since it was created.
select
    g.status,
    g.progress,
    g.image_url,
    g.error_message,
    extract(epoch from clock_timestamp() - g.created_at)::double precision as seconds
from public.image_generations g
where g.id = :generation_id;

-- name: failed_job^
-- A job in the view of recent failures.
select id, attempts, error_message from public.failed_jobs_recent where id = :job_id;

-- name: email$
-- E-mail address of the user of run :run.
select public.self_test_email(:run);

-- name: make_user$
-- Committed. Creates the user of run :run, bypassing the project's sign-up.
insert into auth.users (id, email, created_at)
values (:run, public.self_test_email(:run), now())
returning id;

-- name: limit_user!
-- Committed. Limits a user to one generation per hour.
insert into public.user_limits (user_id, hourly_limit) values (:user_id, 1);

-- name: owners^
-- Owners of a generation and its job: user_id, created_by.
select
    (select user_id from public.image_generations where id = :generation_id),
    (select created_by from public.job_queue where id = :job_id);

-- name: make_generation$
-- Committed. Creates a test generation of run :run without a job.
insert into public.image_generations (prompt, model_id, source, status)
values (public.self_test_prompt(:run), 'self-test', 'test', 'cancelled')
returning id;

-- name: progress!
-- Committed. Sets the progress of a generation without a job.
update public.image_generations set progress = :progress where id = :generation_id;

-- name: published^
-- Whether the publication of Supabase Realtime exists, and whether it includes the table.
select
    exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') as exists,
    exists (
        select from pg_catalog.pg_publication_tables
        where pubname = 'supabase_realtime' and schemaname = 'public'
          and tablename = 'image_generations'
    ) as published;

-- name: make_any_user!
-- Creates a user who disappears with the transaction.
insert into auth.users (id, email, created_at)
values (:user_id, public.self_test_email(:user_id), now());

-- name: make_generation_of$
insert into public.image_generations (user_id, prompt, model_id, source, status)
values (:user_id, public.self_test_prompt(:run), 'self-test', 'test', 'cancelled')
returning id;

-- name: become!
-- For the rest of the transaction: acts as a signed-in user with the :claims (JSON text) of a
-- token.
select set_config('request.jwt.claims', :claims, true), set_config('role', 'authenticated', true);

-- name: visible^
-- Which of two jobs and two generations the current role can see. Columns: jobs, generations (ids).
select
    array(select id from public.job_queue where id = any (:job_ids::uuid[])) as jobs,
    array(
        select id from public.image_generations where id = any (:generation_ids::uuid[])
    ) as generations;

-- name: unfinished$
-- Number of running generations of run :run.
select count(*) from public.image_generations g
where g.status = 'processing'
  and (
      g.user_id in (select u.id from auth.users u where u.email = public.self_test_email(:run))
      or (g.source = 'test' and g.prompt = public.self_test_prompt(:run))
  );

-- name: remove^
-- Committed. Deletes what run :run created; with null, leftovers of runs more than 15 minutes ago.
select users, generations, jobs, storage_paths from public.remove_self_test(:run::uuid);
