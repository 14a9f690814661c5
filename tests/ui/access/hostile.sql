-- Jobs, people and operators whose every text is hostile: what a browser, Markdown or a terminal
-- would interpret, in the setting test.hostile.

-- name: plant#
create function pg_temp.bad(p_part text default '') returns text
language sql stable return current_setting('test.hostile') || p_part;

insert into auth.users (id, email)
values ('00000000-0000-4000-8000-000000000001', left(pg_temp.bad(), 255));

insert into public.models (id, display_name, input_schema, price_per_image)
values (pg_temp.bad(), pg_temp.bad(' model'), jsonb_build_object(pg_temp.bad(' name'), jsonb_build_object(
    'type', 'string', 'title', pg_temp.bad(' label'), 'enum', jsonb_build_array(pg_temp.bad(' choice')),
    'description', pg_temp.bad(' help')
)), 1);

-- Two hours in which the model did well, and one in which it is slow and fails.
insert into public.job_queue (
    job_type, payload, status, attempts, created_at, scheduled_at, started_at, completed_at, error_message,
    error_details, created_by
)
select case when n % 3 = 0 then 'generate-image' else pg_temp.bad() end,
       jsonb_build_object('prompt', pg_temp.bad(' prompt'), 'model_id', pg_temp.bad(), pg_temp.bad(), pg_temp.bad()),
       case when late and n % 3 = 0 then 'failed' when n % 50 = 1 then 'cancelled' else 'completed' end, 1, at, at,
       at + interval '1 second', at + case when late then interval '40 seconds' else interval '5 seconds' end,
       case when late and n % 3 = 0 or n % 50 = 1 then pg_temp.bad(' error') end,
       case when late and n % 3 = 0 then jsonb_build_object(
           'code', pg_temp.bad(' code'), pg_temp.bad(), pg_temp.bad(),
           'attempts', jsonb_build_array(jsonb_build_object(
               'attempt', pg_temp.bad(), 'at', pg_temp.bad(), 'error', pg_temp.bad(),
               'details', jsonb_build_object(
                   'code', pg_temp.bad(' code'), 'permanent', pg_temp.bad(), 'retry_after_seconds', pg_temp.bad()
               )
           ))
       ) end,
       '00000000-0000-4000-8000-000000000001'
from (
    select n, n <= 120 as late, now() - case when n <= 120 then n * interval '20 seconds' else interval '25 hours' end as at
    from generate_series(1, 240) n
) jobs;

-- A generation of each fate, with its job.
insert into public.image_generations (
    id, user_id, prompt, model_id, status, error_message, prediction_id, storage_path, thumbnail_path,
    image_url, completed_at
)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, '00000000-0000-4000-8000-000000000001',
       pg_temp.bad(' prompt'), pg_temp.bad(), status, pg_temp.bad(' error'), pg_temp.bad(' prediction'),
       case status when 'completed' then pg_temp.bad('.png') end, case status when 'completed' then pg_temp.bad('.webp') end,
       case status when 'completed' then pg_temp.bad() end,
       case when status not in ('queued', 'processing') then now() end
from unnest(array['queued', 'processing', 'completed', 'failed', 'cancelled']) with ordinality s (status, n);
insert into public.job_queue (
    id, job_type, payload, status, attempts, created_at, started_at, completed_at, error_message, error_details, created_by
)
select g.id, 'generate-image',
       jsonb_build_object('generation_id', g.id, 'prompt', g.prompt, 'model_id', g.model_id),
       case g.status when 'queued' then 'pending' else g.status end, 1, now() - interval '1 minute', now() - interval '50 seconds',
       g.completed_at, pg_temp.bad(' error'), jsonb_build_object(
           'code', pg_temp.bad(' code'), 'attempts', jsonb_build_array(jsonb_build_object(
               'attempt', 1, 'at', now(), 'error', pg_temp.bad(' error'), 'details', jsonb_build_object('code', pg_temp.bad())
           ))
       ), g.user_id
from public.image_generations g;
-- The second job of a generation that is done.
insert into public.job_queue (job_type, payload, created_by)
select 'generate-image', q.payload, q.created_by from public.job_queue q where q.id = '00000000-0000-4000-8000-000000000103';

insert into public.workers (id, kind, host, pid, process_started_at, version, job_types, concurrency)
values ('00000000-0000-4000-8000-000000000201', 'worker', pg_temp.bad(), 1, now(), pg_temp.bad(), array[pg_temp.bad()], 1);
-- One runs, one is stuck.
insert into public.job_leases (job_id, attempt, worker_id, heartbeat_at)
values ('00000000-0000-4000-8000-000000000102', 1, '00000000-0000-4000-8000-000000000201', now());
insert into public.job_queue (id, job_type, payload, status, attempts, started_at, updated_at, created_by)
values ('00000000-0000-4000-8000-000000000301', pg_temp.bad(), jsonb_build_object('prompt', pg_temp.bad(), 'model_id', pg_temp.bad()),
        'processing', 1, now() - interval '1 hour', now() - interval '1 hour', '00000000-0000-4000-8000-000000000001'),
       ('00000000-0000-4000-8000-000000000302', 'a', '{}', 'processing', 1, now() - interval '1 hour', now() - interval '1 hour', null);
insert into public.job_leases (job_id, attempt, worker_id, heartbeat_at)
values ('00000000-0000-4000-8000-000000000301', 1, '00000000-0000-4000-8000-000000000201', now() - interval '1 hour');

select public.pause_queue(pg_temp.bad(), pg_temp.bad(), pg_temp.bad());
select public.pause_queue(pg_temp.bad(), '*', pg_temp.bad());
insert into public.provider_breakers (provider, failures, opened_at, open_until, reason)
values (pg_temp.bad(), 5, now() - interval '1 hour', now() + interval '1 hour', pg_temp.bad()),
       ('replicate', 5, now() - interval '1 hour', now() + interval '1 hour', pg_temp.bad());
insert into public.model_holds (model_id, held_until, reason) values (pg_temp.bad(), now() + interval '1 hour', pg_temp.bad());

insert into public.test_runs (id, actor, prompt, models, settings, jobs)
values ('00000000-0000-4000-8000-000000000401', pg_temp.bad(), pg_temp.bad(), array[pg_temp.bad(), 'another/model'],
        jsonb_build_object('prompt', pg_temp.bad(), 'models', jsonb_build_array(pg_temp.bad())), 5);
insert into public.test_run_jobs (run_id, place, generation_id, job_id, due_at)
select '00000000-0000-4000-8000-000000000401', row_number() over (order by g.id), g.id, g.id, now()
from public.image_generations g;

insert into public.image_generations (id, prompt, model_id, status)
values ('00000000-0000-4000-8000-000000000501', pg_temp.bad(), pg_temp.bad(), 'processing');
insert into public.sync_generations (generation_id, model_id)
values ('00000000-0000-4000-8000-000000000501', pg_temp.bad());
select public.end_sync_generation('00000000-0000-4000-8000-000000000501', 'failed', pg_temp.bad(), pg_temp.bad());

insert into public.audit_log (actor, action, affected, details)
select pg_temp.bad(), action, 1, jsonb_build_object(
    'before', jsonb_build_object(pg_temp.bad(), pg_temp.bad()), 'after', jsonb_build_object('faults', jsonb_build_array(pg_temp.bad())),
    'reason', pg_temp.bad(), 'job_ids', jsonb_build_array('00000000-0000-4000-8000-000000000104')
)
from unnest(array[pg_temp.bad(), 'inject_faults', 'reset_stuck_jobs', 'retry_jobs', 'set_user_limits']) action;
insert into public.audit_log (actor, action, affected, details)
values (pg_temp.bad(), 'set_async_rollout', 1, '{"before": 0, "after": 1}'),
       (pg_temp.bad(), 'self_test', 0, jsonb_build_object('report', jsonb_build_object(
           'run', 'x', 'outcome', 'failed', 'started_at', now(), 'seconds', 1, 'database', pg_temp.bad(),
           'functions', pg_temp.bad(), 'provider', pg_temp.bad(), 'checks', jsonb_build_array(jsonb_build_object(
               'name', 'x', 'area', 'Area', 'title', 'Title', 'expected', pg_temp.bad(), 'status', 'failed',
               'came_back', pg_temp.bad(), 'repair', pg_temp.bad(E'\n\n') || pg_temp.bad(), 'seconds', 1
           ))
       )));

-- Alerts of what is wrong above, and one that is over; whom they tell, and for how long they do not.
insert into public.alert_channels (id, name, shown, least_severity, enabled, created_by)
values ('00000000-0000-4000-8000-000000000601', pg_temp.bad(), pg_temp.bad(), 'warning', true, pg_temp.bad());
update public.alert_rules set changed_by = pg_temp.bad(), changed_at = now();
select public.evaluate_alerts();
insert into public.alerts (rule, subject, severity, value, worst, detail, began_at, fired_at, resolved_at)
values ('provider_down', pg_temp.bad(' over'), 'critical', 1, 1, jsonb_build_object('reason', pg_temp.bad(), pg_temp.bad(), pg_temp.bad()),
        now() - interval '1 hour', now() - interval '1 hour', now() - interval '1 minute');
-- The next try of each is tomorrow.
delete from public.alert_notifications;
insert into public.alert_notifications (alert_id, channel_id, kind, attempts, error, due_at)
select a.id, '00000000-0000-4000-8000-000000000601', 'firing', 9, pg_temp.bad(), now() + interval '1 day' from public.alerts a;
insert into public.alert_silences (rule, subject, until, reason, created_by)
values ('provider_down', pg_temp.bad(), now() + interval '1 hour', pg_temp.bad(), pg_temp.bad());

select public.tick_deployment_point(pg_temp.bad(), 'team', true);
select public.start_rollback(pg_temp.bad(), pg_temp.bad());
select public.record_action(pg_temp.bad(), 'note_notified', '{}', jsonb_build_object(
    'who', pg_temp.bad(), 'message', pg_temp.bad(), 'rollback_id', (select id from public.rollbacks), 'rollback', (select id from public.rollbacks)
));
insert into public.purge_runs (actor, older_than, finished_before, ended_at, outcome)
values (pg_temp.bad(), '90 days', now(), now(), 'stopped'), (pg_temp.bad(), '90 days', now(), null, null);
select public.record_action(pg_temp.bad(), 'record_maintenance', '{}', jsonb_build_object('task', pg_temp.bad()));

select public.rebuild_rollup();
