-- Stuck jobs, read from the running jobs only.

-- name: stuck
-- Stuck jobs of a :model_id and :job_type (text, null for all) after the position (:after,
-- timestamptz of the last heartbeat, and :after_id), longest silent first, up to :most.
-- silent_seconds: since the last heartbeat; total: stuck jobs of the model and type.
select *
from (
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
        w.host || ', pid ' || w.pid as worker,
        count(*) over () as total
    from public.stuck_jobs s
    left join public.image_generations g on g.id = public.generation_of(s.payload)
    left join public.workers w on w.id = s.worker_id
    where (:job_type::text is null or s.job_type = :job_type)
      and (:model_id::text is null or coalesce(g.model_id, s.payload ->> 'model_id', '') = :model_id)
) s
where (s.last_sign_of_life, s.id) > (:after::timestamptz, :after_id::uuid)
order by s.last_sign_of_life, s.id
limit :most;

-- name: kinds
-- Models (empty: none named) and types of stuck jobs, up to 200. Columns: model_id, job_type.
select distinct coalesce(g.model_id, s.payload ->> 'model_id', '') as model_id, s.job_type
from public.stuck_jobs s
left join public.image_generations g on g.id = public.generation_of(s.payload)
order by 1, 2
limit 200;

-- name: recent_resets
-- The last ten resets. Columns: at, actor, affected.
select at, actor, affected
from public.audit_log
where action = 'reset_stuck_jobs'
order by at desc
limit 10;
