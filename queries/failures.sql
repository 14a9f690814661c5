-- Failures by kind of error, from the rollup, and failed jobs, by index. Parameters: :start
-- (timestamptz; null: the range ends now and starts on the hour) and :length (interval) of the
-- range; :key (text; null for all) of a kind of error, as returned by groups.

-- name: groups
-- Up to 200 kinds of errors, the most frequent first, then those of refused jobs; purged jobs
-- included. trend: jobs per hour, per day beyond a week; at least the last day.
select key, error_group, error_code, jobs, first_at, last_at, models, users, trend, total, kinds, refused
from public.failure_groups_between(
    coalesce(:start::timestamptz, date_trunc('hour', now() - :length::interval, 'UTC')),
    :start::timestamptz + :length::interval,
    case when :length::interval > interval '7 days' then 'day' else 'hour' end
);

-- name: unknown^
-- Generations of the last 24 hours that may have been paid for twice.
select unknown, ended from public.unknown_outcomes;

-- name: failed
-- Failed jobs of a range and kind before the position (:before, timestamptz, and :before_id),
-- newest first, up to :most. Columns: id, job_type, model_id, prompt, error_message, error_code,
-- attempts, max_attempts, created_by, created_at, completed_at.
with chosen as materialized (
    (
        select q.id, q.completed_at
        from public.job_queue q
        where :key::text is null
          and q.status = 'failed'
          and q.completed_at >= coalesce(:start::timestamptz, date_trunc('hour', now() - :length::interval, 'UTC'))
          and q.completed_at < coalesce(:start::timestamptz + :length::interval, 'infinity')
          and q.completed_at <= :before::timestamptz
          and (q.completed_at, q.id) < (:before::timestamptz, :before_id::uuid)
        order by q.completed_at desc, q.id desc
        limit :most
    )
    union all
    (
        select q.id, q.completed_at
        from public.job_queue q
        where public.failure_key(q.error_message, q.error_details ->> 'code', q.payload ->> 'model_id') = :key::text
          and q.status = 'failed'
          and q.completed_at >= coalesce(:start::timestamptz, date_trunc('hour', now() - :length::interval, 'UTC'))
          and q.completed_at < coalesce(:start::timestamptz + :length::interval, 'infinity')
          and q.completed_at <= :before::timestamptz
          and (q.completed_at, q.id) < (:before::timestamptz, :before_id::uuid)
        order by q.completed_at desc, q.id desc
        limit :most
    )
)
select
    q.id,
    q.job_type,
    q.payload ->> 'model_id' as model_id,
    left(q.payload ->> 'prompt', 200) as prompt,
    left(q.error_message, 2000) as error_message,
    q.error_details ->> 'code' as error_code,
    q.attempts,
    q.max_attempts,
    q.created_by::text as created_by,
    q.created_at,
    q.completed_at
from chosen c join public.job_queue q using (id)
order by c.completed_at desc, c.id desc;

-- name: failed_ids
-- Failed jobs of a range and kind, oldest first, up to :most; without a kind, no refused ones.
-- Columns: id, completed_at.
select q.id, q.completed_at
from public.job_queue q
where :key::text is null
  and q.status = 'failed'
  and public.failure_outcome(q.error_details) = 'failed'
  and q.completed_at >= coalesce(:start::timestamptz, date_trunc('hour', now() - :length::interval, 'UTC'))
  and q.completed_at < coalesce(:start::timestamptz + :length::interval, 'infinity')
union all
select q.id, q.completed_at
from public.job_queue q
where public.failure_key(q.error_message, q.error_details ->> 'code', q.payload ->> 'model_id') = :key::text
  and q.status = 'failed'
  and q.completed_at >= coalesce(:start::timestamptz, date_trunc('hour', now() - :length::interval, 'UTC'))
  and q.completed_at < coalesce(:start::timestamptz + :length::interval, 'infinity')
order by completed_at, id
limit :most;

-- name: tried_again
-- Live jobs with an error in any attempt, optionally of one kind; running ones first, then by due
-- time, up to :most. Columns: id, status, model_id, prompt, error_message (the last one), attempts,
-- max_attempts, due_in_seconds (null: running), total.
with live as (
    select q.* from public.job_queue q where q.status = 'processing' and q.attempts > 0
    union all
    select q.* from public.job_queue q where q.status = 'pending' and q.attempts > 0
), erring as materialized (
    select l.*, l.error_details -> 'attempts' as errors
    from live l
    where jsonb_typeof(l.error_details -> 'attempts') = 'array'
), entries as materialized (
    select e.id, coalesce(a ->> 'error', '') as error, coalesce(a -> 'details' ->> 'code', '') as code,
           coalesce(e.payload ->> 'model_id', '') as model_id
    from erring e cross join lateral jsonb_array_elements(e.errors) a
    where :key::text is not null
), messages as materialized (
    -- Normalizing a message is expensive, and in an outage many jobs share one.
    select distinct n.error, n.code, n.model_id from entries n
), chosen as (
    select n.id
    from messages m join entries n using (error, code, model_id)
    where public.failure_key(m.error, m.code, m.model_id) = :key
)
select
    e.id,
    e.status,
    e.payload ->> 'model_id' as model_id,
    left(e.payload ->> 'prompt', 200) as prompt,
    left(e.errors -> -1 ->> 'error', 500) as error_message,
    e.attempts,
    e.max_attempts,
    case when e.status = 'pending'
         then extract(epoch from e.scheduled_at - now())::double precision end as due_in_seconds,
    count(*) over () as total
from erring e
where :key::text is null or e.id in (select c.id from chosen c)
order by e.status desc, e.scheduled_at, e.id
limit :most;

-- name: job^
-- One job in full. Columns: id, status, payload (indented text, truncated at 20,000 characters),
-- error_message, error_code, attempts, max_attempts, created_by, created_at, completed_at.
select
    q.id,
    q.status,
    left(jsonb_pretty(q.payload), 20000) as payload,
    left(q.error_message, 5000) as error_message,
    q.error_details ->> 'code' as error_code,
    q.attempts,
    q.max_attempts,
    q.created_by::text as created_by,
    q.created_at,
    q.completed_at
from public.job_queue q
where q.id = :job_id;

-- name: attempts
-- The last 100 errors of a job, oldest first. Columns: attempt, at (as recorded by the worker),
-- error, code, permanent, retry_after_seconds (requested by the provider).
select a.*
from (
    select
        e.place,
        e.entry ->> 'attempt' as attempt,
        e.entry ->> 'at' as at,
        left(e.entry ->> 'error', 2000) as error,
        e.entry -> 'details' ->> 'code' as code,
        e.entry -> 'details' ->> 'permanent' as permanent,
        e.entry -> 'details' ->> 'retry_after_seconds' as retry_after_seconds
    from public.job_queue q
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof(q.error_details -> 'attempts') = 'array'
             then q.error_details -> 'attempts' else '[]' end
    ) with ordinality as e (entry, place)
    where q.id = :job_id
    order by e.place desc
    limit 100
) a
order by a.place;
