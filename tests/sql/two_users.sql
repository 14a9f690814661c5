-- Rows of user A (aaaaaaaa-…) and user B (bbbbbbbb-…) for tests/test_privileges.py. A row counts as
-- a user's when it holds the user's id anywhere. Every table and view needs at least one row,
-- and as many of A as of B; what belongs to nobody (models, workers) names neither.
create temporary view people as
select id::uuid from (values
    ('aaaaaaaa-0000-0000-0000-000000000000'),
    ('bbbbbbbb-0000-0000-0000-000000000000')
) as two (id);

insert into auth.users (id) select id from people;

-- The job type names the user too, so that a view which groups by it shows whose jobs it counts.
insert into public.job_queue
    (id, job_type, payload, status, attempts, started_at, completed_at, created_by)
select id, 'job of ' || id, jsonb '{}', 'processing', 1, now() - interval '1 hour', null, id from people
union all
select gen_random_uuid(), 'job of ' || id, '{}', 'failed', 3, now(), now(), id from people;

insert into public.workers (id, kind, host, pid, process_started_at, version, job_types, concurrency)
values (gen_random_uuid(), 'worker', 'host', 1, now(), '1', '{}', 1);

insert into public.job_leases (job_id, attempt, heartbeat_at)
select id, 1, now() - interval '1 hour' from people;

insert into public.attempt_workers select id, 1, 'host, pid 1' from people;

insert into public.image_generations (user_id, prompt, model_id)
select id, 'a prompt', 'a/model' from people;

insert into public.sync_generations (generation_id, model_id) select id, 'a/model' from public.image_generations;

insert into public.models (id, display_name, enabled) values ('disabled/model', 'Disabled', false);
insert into public.model_servers values ('disabled/model', 'http://gpu.lan:5000');

insert into public.user_limits (user_id, daily_limit) select id, 7 from people;

insert into public.idempotency_keys (scope, key, request, generation_id, job_id)
select id, 'key', '{}', gen_random_uuid(), id from people;

insert into public.audit_log (actor, action, affected) select id, 'reset_stuck_jobs', 1 from people;

insert into public.queue_pauses (job_type, paused_by) values ('paused', 'operator');
insert into public.provider_breakers (provider) values ('provider');
insert into public.model_holds (model_id, held_until) values ('a/model', now());

-- Figures of all users together, so nobody's: users may not read them at all.
insert into public.job_rollup
select now(), 'job', '', 'completed', false, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, now(), now(), 1;
insert into public.job_rollup_daily
select now(), 'job', '', 'completed', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, now(), now(), 1;
insert into public.arrival_rollup
select now(), 'completed', now(), 'job', '', false, 1;
insert into public.job_minutes values (now(), 'job', 'completed', 1, 1, 1, 1, 1);
insert into public.arrival_minutes values (now(), 'completed', now(), 1);
insert into public.failure_rollup
select now(), 'job', '', 'error', '', false, 1, now(), now(), array_agg(id) from people;
insert into public.path_rollup (hour, path, model_id, outcome, generations, total_us, total_histogram)
values (now(), 'sync', 'a/model', 'completed', 1, 1, 1);
insert into public.rollup_dirty (hour, status) values ('2000-01-01', 'failed');
insert into public.predictions (provider, model_id, generation_id, input)
select 'replicate', 'a/model', id, '{}' from public.image_generations;
insert into public.outputs (generation_id, index, user_id, url, storage_path, media_type, bytes)
select id, 0, user_id, '/images/' || id || '/0.webp', id || '/0.webp', 'image/webp', 1
from public.image_generations;
insert into public.uploads (id, user_id, storage_path, content_type, width, height, bytes)
select id, id, 'uploads/' || id || '/0.png', 'image/png', 1, 1, 1 from people;
insert into public.generation_uploads (generation_id, upload_id)
select g.id, g.user_id from public.image_generations g;
insert into public.set_aside_jobs (job_id, step, error) values ('00000000-0000-0000-0000-00000000aaaa', 'claim', 'x');
insert into public.background_errors (task, error) values ('rescue', 'x');
insert into public.queue_samples (minute, pending, due, processing) values ('2000-01-01', 1, 1, 1);

insert into public.purge_runs (actor, older_than, finished_before) values ('operator', '90 days', now());

-- Operators' tests, whose generations belong to no user.
insert into public.test_runs (id, actor, prompt, models, jobs)
values ('00000000-0000-0000-0000-00000000000f', 'operator', 'a prompt', '{a/model}', 1);
insert into public.image_generations (id, prompt, model_id, source)
values ('00000000-0000-0000-0000-00000000000f', 'a prompt', 'a/model', 'test');
insert into public.test_run_jobs (run_id, place, generation_id, job_id, due_at)
select id, 1, id, id, now() from public.test_runs;

insert into public.cron_requests (request_id) values (1);

-- The deployment's checklist and rollbacks: operators' own.
insert into public.deployment_points (name, done, since, seen_at) values ('tables', true, now(), now());
insert into public.rollbacks (id, reason, started_by, rollout_before)
values ('00000000-0000-0000-0000-00000000000e', 'a reason', 'operator', 0);
insert into public.rollback_jobs (rollback_id, job_id) select id, id from public.rollbacks;

-- Alerts are about the queue, and whom they tell belongs to no user.
insert into public.alerts (rule, subject, severity, value, worst, detail, began_at)
values ('stuck_jobs', '', 'warning', 1, 1, '{}', now());
insert into public.alert_channels (name, shown, least_severity, created_by) values ('pager', 'json://', 'warning', 'me');
insert into public.alert_channel_urls select id, 'json://host' from public.alert_channels;
insert into public.alert_notifications (channel_id, kind) select id, 'test' from public.alert_channels;
insert into public.alert_silences (until, created_by) values (now(), 'me');
insert into public.job_totals values ('job', 'completed', 1);
