-- Calls of the queue's functions, one statement each; the functions are documented where they are made.

-- name: claim_jobs
select * from public.claim_jobs(:limit, :job_types::text[], :worker_id::uuid);

-- name: claim_generation^
select * from public.claim_generation(:generation_id::uuid, :worker_id::uuid);

-- name: heartbeat_jobs
select heartbeat_jobs as job_id
from public.heartbeat_jobs(:worker_id::uuid, :job_ids::uuid[], :attempts::int[]);

-- name: complete_job$
select public.complete_job(
    :job_id::uuid, :success, :error_message, :error_details::jsonb, :attempt, :result::jsonb
);

-- name: release_jobs
select release_jobs as job_id
from public.release_jobs(:worker_id::uuid, :job_ids::uuid[], :attempts::int[]);

-- name: rescue_worker_jobs
select rescue_worker_jobs as job_id from public.rescue_worker_jobs(:worker_id::uuid);

-- name: reset_stuck_jobs
select id from public.reset_stuck_jobs(:actor, :job_ids::uuid[]);

-- name: start_generation$
select public.start_generation(
    :user_id::uuid, :prompt, :model_id, :parameters::jsonb, :source, :idempotency_key
);

-- name: begin_generation^
select * from public.begin_generation(:job_id::uuid, :attempt);

-- name: record_prediction$
select public.record_prediction(:job_id::uuid, :attempt, :prediction_id);

-- name: record_progress$
select public.record_progress(:job_id::uuid, :attempt, :progress);

-- name: stored_image^
-- Where the image of a completed generation lies.
select image_url, storage_path from public.image_generations where id = :generation_id::uuid;
