-- Calls of the queue's SQL functions, one statement each. The functions are documented in the
-- migrations.

-- name: claim_jobs
select id, attempts, job_type, payload::text as payload
from public.claim_jobs(:limit, :job_types::text[], :worker_id::uuid);

-- name: claim_jobs_singly
select id, attempts, job_type, payload::text as payload
from public.claim_jobs_singly(:limit, :job_types::text[], :worker_id::uuid);

-- name: claim_generation^
select id, attempts, job_type, payload::text as payload
from public.claim_generation(:generation_id::uuid, :worker_id::uuid);

-- name: heartbeat_jobs
select job_id, attempt, status
from public.heartbeat_jobs(:worker_id::uuid, :job_ids::uuid[], :attempts::int[]);

-- name: complete_jobs
select job_id, attempt
from public.complete_jobs(:job_ids::uuid[], :attempts::int[], :results::jsonb[]);

-- name: fail_job$
select public.complete_job(:job_id::uuid, false, :error_message, :error_details::jsonb, :attempt);

-- name: release_jobs
select release_jobs as job_id
from public.release_jobs(:worker_id::uuid, :job_ids::uuid[], :attempts::int[]);

-- name: release_unheld_jobs
-- Releases the claims of a worker other than those named, such as after a lost reply.
select released as job_id
from (
    select array_agg(l.job_id) as job_ids, array_agg(l.attempt) as attempts
    from public.job_leases l
    where l.worker_id = :worker_id::uuid
      and (l.job_id, l.attempt) not in (
          select h.job_id, h.attempt from unnest(:job_ids::uuid[], :attempts::int[]) as h (job_id, attempt)
      )
) unheld
cross join lateral public.release_jobs(:worker_id::uuid, unheld.job_ids, unheld.attempts) as released
where unheld.job_ids is not null;

-- name: rescue_worker_jobs
select rescue_worker_jobs as job_id from public.rescue_worker_jobs(:worker_id::uuid);

-- name: stuck_after$
-- Seconds without a heartbeat after which a running job is stuck.
select extract(epoch from public.stuck_after())::double precision;

-- name: rescue_stuck_jobs
-- :silence_seconds null: as stuck_after() says.
select id
from public.rescue_stuck_jobs(
    coalesce(make_interval(secs => :silence_seconds::double precision), public.stuck_after())
);

-- name: start_generation$
select public.start_generation(
    :user_id::uuid, :prompt, :model_id, :parameters::jsonb, :source, :idempotency_key, :application,
    :metadata::jsonb
);

-- name: start_test_generations$
select public.start_test_generations(
    :run_id::uuid, :prompt, :model_id, :parameters::jsonb, :idempotency_key, :jobs, :per_second,
    :application, :metadata::jsonb
);

-- name: images$
-- The images of a generation, as the function says; null without the generation.
select public.images(g) from public.image_generations g where g.id = :generation_id;

-- name: record_progress$
select public.record_progress(:job_id::uuid, :attempt, :progress);
