-- Operator actions on jobs and the queue. The SQL functions check and audit them.

-- name: reset_stuck_jobs
select id from public.reset_stuck_jobs(:actor, :job_ids::uuid[]);

-- name: cancel_jobs
select id from public.cancel_jobs(:actor, :job_ids::uuid[], :running);

-- name: retry_jobs
select id from public.retry_jobs(:actor, :job_ids::uuid[]);

-- name: set_priority
-- Column: id, of the jobs that changed.
select set_priority as id from public.set_priority(:actor, :job_ids::uuid[], :priority::int);

-- name: run_job_again$
-- Id of the new job. :settings is null for a run on behalf of the job's user.
select public.run_job_again(
    :actor, :job_id::uuid, :key::uuid, :prompt, :parameters::jsonb, :settings::jsonb
);

-- name: cancel_duplicates
select id from public.cancel_duplicates(:actor);

-- name: pause_queue!
select public.pause_queue(:actor, :job_type, :reason);

-- name: resume_queue$
select public.resume_queue(:actor, :job_type);

-- name: set_user_limits!
select public.set_user_limits(:actor, :user_id::uuid, :daily_limit::int, :hourly_limit::int);

-- name: set_async_rollout!
select public.set_async_rollout(:actor, :percentage::int);

-- name: record_faults!
-- For the simulated provider only: :details (jsonb) holds the previous and the new faults.
select public.record_action(:actor, 'inject_faults', '{}'::uuid[], :details::jsonb);

-- name: stop_purge$
select public.stop_purge(:actor);

-- name: purge_cron_history$
-- Number of pg_cron run records deleted.
select public.purge_cron_history(:actor, :older_than::interval);

-- name: set_model!
select public.set_model(
    :actor, :id, :display_name, :version, :default_parameters::jsonb, :price::numeric, :enabled::boolean,
    :operator_fields::text[], :deadline_seconds::int
);

-- name: enable_model!
-- Enables or disables a model without changing anything else.
select public.set_model(
    :actor, m.id, m.display_name, m.version, m.default_parameters, m.price_per_image, :enabled::boolean,
    m.operator_fields, m.deadline_seconds
)
from public.models m
where m.id = :id;

-- name: restore_realtime$
select public.restore_realtime(:actor);

-- name: restore_user_access$
select public.restore_user_access(:actor);

-- name: probe_provider$
select public.probe_provider(:actor, :provider);

-- name: enqueue_job$
-- Id of the new job. :payload is a JSON object.
select public.operator_enqueue(:actor, :job_type, :payload::jsonb, :priority::int, coalesce(:scheduled_at::timestamptz, now()));
