-- Which jobs has nobody worked on for too long?

-- name: stuck
-- Up to 500 of the stuck jobs, longest silent first; silent_seconds since the last sign of life.
select
    s.id,
    s.job_type,
    coalesce(g.model_id, s.payload ->> 'model_id') as model_id,
    left(coalesce(g.prompt, s.payload ->> 'prompt'), 200) as prompt,
    s.attempts,
    s.max_attempts,
    s.started_at,
    s.last_sign_of_life,
    extract(epoch from s.silent_for)::double precision as silent_seconds,
    w.host || ', pid ' || w.pid as worker
from public.stuck_jobs s
left join public.image_generations g on g.id = public.generation_of(s.payload)
left join public.workers w on w.id = s.worker_id
order by s.last_sign_of_life, s.id
limit 500;

-- name: count$
select count(*) from public.stuck_jobs;

-- name: recent_resets
-- The last ten resets. Columns: at, actor, affected.
select at, actor, affected
from public.audit_log
where action = 'reset_stuck_jobs'
order by at desc
limit 10;
