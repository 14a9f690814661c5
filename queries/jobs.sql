-- The list of all jobs, never read at once: lib/queue/job_list.py walks one index after another
-- from any position, examining a bounded number of rows per query.

-- name: walk
-- One stretch of a walk: at most `rows` jobs that match the filters, among the next `most` of the
-- walk. walk: running (newest start first), pending (next to be claimed first), finished or failed
-- (last ended first), undated (without recorded start or end, from before our functions; at most
-- 20,000) or user (of one user, newest request first, found through their generations). back: in
-- reverse. Starts after the position (priority, at, created_at, id) of a row. span_start,
-- span_length: when a finished job ended; a null start means the last span_length. Filters, null
-- for none: statuses (processing alone: without stuck jobs); job_type; model_id; user_id; error and value as ILIKE patterns; path as keys
-- into the payload. Columns: those of the table, prompt and error shortened; walk_at, walk_id: the
-- row's position; fits: whether it matches the filters; last: whether it ends the stretch.
with lines as (
    -- Of pending jobs, each with the place after which to read.
    select l.line, l.priority, s.*
    from unnest(public.pending_lines(
        case when :walk = 'pending' then 1000000 else 0 end, null,
        case when :job_type::text is not null then array[:job_type] end
    )) l
    cross join lateral (
        select
            case when l.priority = :priority then :at::timestamptz when :back then 'infinity' else '-infinity' end as at,
            case when l.priority = :priority then :created_at::timestamptz when :back then 'infinity' else '-infinity' end as created_at,
            :id::uuid as id
    ) s
    where case when :back then l.priority >= :priority else l.priority <= :priority end
      and (:model_id::text is null or l.model = left(:model_id, 200))
)
select
    w.id,
    w.status,
    w.job_type,
    w.payload ->> 'model_id' as model_id,
    left(w.payload ->> 'prompt', 160) as prompt,
    public.generation_of(w.payload) as generation_id,
    w.created_by,
    w.priority,
    w.attempts,
    w.max_attempts,
    w.created_at,
    w.scheduled_at,
    w.started_at,
    w.completed_at,
    left(w.error_message, 300) as error_message,
    w.error_details ->> 'code' as error_code,
    case when :whole then w.payload::text end as payload,
    case when :whole then w.error_message end as whole_error,
    w.walk_at,
    w.walk_id,
    w.fits,
    w.place = :most as last
from (
    select
        s.*,
        row_number() over () as place,
        s.id is not null
        and (:statuses::text[] is null or s.status = any(:statuses::text[]))
        and (
            :statuses::text[] is distinct from array['processing']
            or not exists (select from public.stuck_jobs k where k.id = s.id)
        )
        and (:job_type::text is null or s.job_type = :job_type)
        and (:model_id::text is null or s.payload ->> 'model_id' = :model_id)
        and (:user_id::uuid is null or :walk = 'user' or s.created_by = :user_id)
        and (:error::text is null or s.error_message ilike :error)
        and (:path::text[] is null or s.payload #>> :path::text[] ilike :value) as fits
    from (
        -- Only one branch runs: the planner drops the others, so rows keep that branch's order.
        (
            select q.*, q.started_at as walk_at, q.id as walk_id
            from public.job_queue q
            where :walk = 'running' and not :back
              and q.status = 'processing' and (q.started_at, q.id) < (:at::timestamptz, :id::uuid)
            order by q.started_at desc, q.id desc
            limit :most
        )
        union all
        (
            select q.*, q.started_at, q.id
            from public.job_queue q
            where :walk = 'running' and :back
              and q.status = 'processing' and (q.started_at, q.id) > (:at::timestamptz, :id::uuid)
            order by q.started_at, q.id
            limit :most
        )
        union all
        (
            select q.*, q.scheduled_at, q.id
            from lines l
            cross join lateral (
                select q.* from public.job_queue q
                where q.status = 'pending' and public.line_of(q.priority, q.job_type, q.payload) = l.line
                  and (q.scheduled_at, q.created_at, q.id) > (l.at, l.created_at, l.id)
                order by q.scheduled_at, q.created_at, q.id
                limit :most
            ) q
            where :walk = 'pending' and not :back
            order by l.priority desc, q.scheduled_at, q.created_at, q.id
            limit :most
        )
        union all
        (
            select q.*, q.scheduled_at, q.id
            from lines l
            cross join lateral (
                select q.* from public.job_queue q
                where q.status = 'pending' and public.line_of(q.priority, q.job_type, q.payload) = l.line
                  and (q.scheduled_at, q.created_at, q.id) < (l.at, l.created_at, l.id)
                order by q.scheduled_at desc, q.created_at desc, q.id desc
                limit :most
            ) q
            where :walk = 'pending' and :back
            order by l.priority, q.scheduled_at desc, q.created_at desc, q.id desc
            limit :most
        )
        union all
        (
            select q.*, q.completed_at, q.id
            from public.job_queue q
            where :walk = 'finished' and not :back
              and q.status in ('completed', 'failed', 'cancelled')
              and (q.completed_at, q.id) < (:at::timestamptz, :id::uuid)
              and q.completed_at >= coalesce(:span_start::timestamptz, now() - :span_length::interval)
            order by q.completed_at desc, q.id desc
            limit :most
        )
        union all
        (
            select q.*, q.completed_at, q.id
            from public.job_queue q
            where :walk = 'finished' and :back
              and q.status in ('completed', 'failed', 'cancelled')
              and (q.completed_at, q.id) > (:at::timestamptz, :id::uuid)
              and q.completed_at
                  < coalesce(:span_start::timestamptz + :span_length::interval, 'infinity')
            order by q.completed_at, q.id
            limit :most
        )
        union all
        (
            select q.*, q.completed_at, q.id
            from public.job_queue q
            where :walk = 'failed' and not :back
              and q.status = 'failed' and (q.completed_at, q.id) < (:at::timestamptz, :id::uuid)
              and q.completed_at >= coalesce(:span_start::timestamptz, now() - :span_length::interval)
            order by q.completed_at desc, q.id desc
            limit :most
        )
        union all
        (
            select q.*, q.completed_at, q.id
            from public.job_queue q
            where :walk = 'failed' and :back
              and q.status = 'failed' and (q.completed_at, q.id) > (:at::timestamptz, :id::uuid)
              and q.completed_at
                  < coalesce(:span_start::timestamptz + :span_length::interval, 'infinity')
            order by q.completed_at, q.id
            limit :most
        )
        union all
        (
            select u.*, to_timestamp(0), u.id
            from (
                (
                    select q.* from public.job_queue q
                    where q.status = 'processing' and q.started_at is null
                    limit 20000
                )
                union all
                (
                    select q.* from public.job_queue q
                    where q.status in ('completed', 'failed', 'cancelled') and q.completed_at is null
                    limit 20000
                )
            ) u
            where :walk = 'undated' and case when :back then u.id < :id::uuid else u.id > :id::uuid end
            order by case when :back then u.id end desc, u.id
            limit :most
        )
        union all
        (
            select j.*, g.created_at, g.id
            from (
                select g.id, g.created_at, g.completed_at
                from public.image_generations g
                where :walk = 'user' and not :back
                  and g.user_id = :user_id and (g.created_at, g.id) < (:at::timestamptz, :id::uuid)
                  and g.created_at
                      >= coalesce(:span_start::timestamptz, now() - :span_length::interval)
                order by g.created_at desc, g.id desc
                limit :most
            ) g
            left join lateral (
                select q.* from public.job_queue q
                where q.status in ('pending', 'processing') and public.generation_of(q.payload) = g.id
                union all
                -- Matched by their common end time: an index on a job's generation would cost more.
                select q.* from public.job_queue q
                where q.status in ('completed', 'failed', 'cancelled')
                  and q.completed_at = g.completed_at and public.generation_of(q.payload) = g.id
                limit 1
            ) j on true
        )
        union all
        (
            select j.*, g.created_at, g.id
            from (
                select g.id, g.created_at, g.completed_at
                from public.image_generations g
                where :walk = 'user' and :back
                  and g.user_id = :user_id and (g.created_at, g.id) > (:at::timestamptz, :id::uuid)
                  and g.created_at
                      < coalesce(:span_start::timestamptz + :span_length::interval, 'infinity')
                order by g.created_at, g.id
                limit :most
            ) g
            left join lateral (
                select q.* from public.job_queue q
                where q.status in ('pending', 'processing') and public.generation_of(q.payload) = g.id
                union all
                select q.* from public.job_queue q
                where q.status in ('completed', 'failed', 'cancelled')
                  and q.completed_at = g.completed_at and public.generation_of(q.payload) = g.id
                limit 1
            ) j on true
        )
    ) s
) w
where w.fits or w.place = :most
limit :rows;

-- name: newest_hour$
-- The last hour before `at` in which a job of this kind ended, from the rollup; null if none.
-- Where the rollup may still grow it is not used: the answer is `at` itself.
select case when :at::timestamptz > s.closed_until then :at::timestamptz else (
    select r.hour
    from public.job_rollup r
    where r.hour < :at::timestamptz and not r.purged
      and (
          :statuses::text[] is null
          or case r.status when 'refused' then 'failed' else r.status end = any(:statuses::text[])
      )
      and (:job_type::text is null or r.job_type = :job_type)
      and (:model_id::text is null or r.model_id = :model_id)
    order by r.hour desc
    limit 1
) end
from public.rollup_state s;

-- name: by_id
-- Jobs whose own id or generation's id lies between two ids: up to 50, newest first. Columns as in
-- walk.
select
    q.id,
    q.status,
    q.job_type,
    q.payload ->> 'model_id' as model_id,
    left(q.payload ->> 'prompt', 160) as prompt,
    public.generation_of(q.payload) as generation_id,
    q.created_by,
    q.priority,
    q.attempts,
    q.max_attempts,
    q.created_at,
    q.scheduled_at,
    q.started_at,
    q.completed_at,
    left(q.error_message, 300) as error_message,
    q.error_details ->> 'code' as error_code,
    q.payload::text as payload,
    q.error_message as whole_error
from (
    (select q.* from public.job_queue q where q.id between :low::uuid and :high::uuid limit 50)
    union
    (
        select j.*
        from (
            select g.id, g.completed_at from public.image_generations g
            where g.id between :low::uuid and :high::uuid
            limit 50
        ) g
        cross join lateral (
            select q.* from public.job_queue q
            where q.status in ('pending', 'processing') and public.generation_of(q.payload) = g.id
            union all
            select q.* from public.job_queue q
            where q.status in ('completed', 'failed', 'cancelled')
              and q.completed_at = g.completed_at and public.generation_of(q.payload) = g.id
        ) j
    )
) q
order by q.created_at desc, q.id
limit 50;

-- name: counts
-- Number of jobs in each status, of a type and a model (null for all): of live jobs, if :live, up to
-- 10,001 pending and all processing ones, and of these the stuck ones; ended ones of the range from the rollup by whole
-- hours, or if :exact, up to 20,000 row by row in the first and the last hour. Columns: status, jobs.
with span as (
    select
        greatest(
            coalesce(:span_start::timestamptz, now() - :span_length::interval),
            -- The rollup has purged jobs too.
            (
                select q.completed_at from public.job_queue q
                where q.status in ('completed', 'failed', 'cancelled') and q.completed_at is not null
                order by q.completed_at
                limit 1
            )
        ) as since,
        coalesce(:span_start::timestamptz + :span_length::interval, 'infinity') as until
), hours as materialized (
    select since, until, h.first, greatest(h.first, case when until < 'infinity' then date_trunc('hour', until, 'UTC') else until end) as last
    from span
    cross join lateral (
        select date_trunc('hour', since + case when :exact then interval '1 hour' - interval '1 microsecond' else interval '0' end, 'UTC') as first
    ) h
), days as materialized (
    select hours.*, d.first_day, greatest(d.first_day, least(date_trunc('day', last, 'UTC'), s.days_until)) as last_day
    from hours
    cross join public.rollup_state s
    cross join lateral (
        select date_trunc('day', first + interval '1 day' - interval '1 microsecond', 'UTC') as first_day
    ) d
)
select 'pending' as status, count(*) as jobs
from (
    select
    from unnest(public.pending_lines(
        case when :live then 1000000 else 0 end, null,
        case when :job_type::text is not null then array[:job_type] end
    )) l
    cross join lateral (
        select q.payload from public.job_queue q
        where q.status = 'pending' and public.line_of(q.priority, q.job_type, q.payload) = l.line
        limit 10001
    ) q
    where (:model_id::text is null or q.payload ->> 'model_id' = :model_id)
      and (
          :job_type::text is null
          or l.line = public.line_of(l.priority, :job_type, jsonb_build_object('model_id', l.model))
      )
    limit 10001
) p
union all
select 'processing', count(*)
from public.job_queue q
where q.status = 'processing' and :live
  and (:job_type::text is null or q.job_type = :job_type)
  and (:model_id::text is null or q.payload ->> 'model_id' = :model_id)
union all
select 'stuck', count(*)
from public.stuck_jobs s
where (:job_type::text is null or s.job_type = :job_type)
  and (:model_id::text is null or s.payload ->> 'model_id' = :model_id)
union all
-- As job_queue has them: refused jobs are failed ones.
select case e.status when 'refused' then 'failed' else e.status end, sum(e.jobs)::bigint
from (
    select d.job_type, d.model_id, d.status, d.jobs
    from days join public.job_rollup_daily d on d.day >= days.first_day and d.day < days.last_day
    union all
    select p.job_type, p.model_id, p.status, p.jobs
    from days cross join lateral public.job_stats_parts(days.first, least(days.first_day, days.last), 'all') p
    union all
    select p.job_type, p.model_id, p.status, p.jobs
    from days cross join lateral public.job_stats_parts(days.last_day, days.last, 'all') p
    where days.last_day < days.last
    union all
    (
        select q.job_type, coalesce(q.payload ->> 'model_id', ''), q.status, 1
        from hours
        join public.job_queue q
            on q.status in ('completed', 'failed', 'cancelled')
           and q.completed_at >= hours.since and q.completed_at < least(hours.first, hours.until)
        where :exact
        limit 20000
    )
    union all
    (
        select q.job_type, coalesce(q.payload ->> 'model_id', ''), q.status, 1
        from hours
        join public.job_queue q
            on q.status in ('completed', 'failed', 'cancelled')
           and q.completed_at >= hours.last and q.completed_at < hours.until
        where :exact and hours.until < 'infinity'
        limit 20000
    )
) e
where (:job_type::text is null or e.job_type = :job_type)
  and (:model_id::text is null or e.model_id = :model_id)
group by 1;

-- name: scanned_counts
-- Number of jobs in each status (stuck ones apart) that match filters that no rollup knows, among the newest :most of
-- each index. Parameters as in walk; live as in counts. Columns: status, jobs, complete (whether
-- there are no others).
with scanned as materialized (
    (
        select 'pending' as scan, q.*
        from public.job_queue q
        where q.status = 'pending' and :live
        order by public.line_of(q.priority, q.job_type, q.payload), q.scheduled_at, q.created_at
        limit :most
    )
    union all
    (
        select 'processing', q.*
        from public.job_queue q
        where q.status = 'processing' and :live
        limit :most
    )
    union all
    (
        select 'failed', q.*
        from public.job_queue q
        where q.status = 'failed'
          and q.completed_at >= coalesce(:span_start::timestamptz, now() - :span_length::interval)
          and q.completed_at < coalesce(:span_start::timestamptz + :span_length::interval, 'infinity')
        order by q.completed_at desc
        limit :most
    )
    union all
    (
        select 'finished', q.*
        from public.job_queue q
        where q.status in ('completed', 'failed', 'cancelled')
          and q.completed_at >= coalesce(:span_start::timestamptz, now() - :span_length::interval)
          and q.completed_at < coalesce(:span_start::timestamptz + :span_length::interval, 'infinity')
        order by q.completed_at desc
        limit :most
    )
), scans as (
    select s.scan, count(*) < :most as complete from scanned s group by s.scan
)
select coalesce(k.status, s.status) as status, count(*) as jobs, bool_and(c.complete) as complete
from scanned s
join scans c using (scan)
left join (select id, 'stuck' as status from public.stuck_jobs) k on k.id = s.id
where (s.scan <> 'finished' or s.status <> 'failed')
  and (:job_type::text is null or s.job_type = :job_type)
  and (:model_id::text is null or s.payload ->> 'model_id' = :model_id)
  and (:user_id::uuid is null or s.created_by = :user_id)
  and (:error::text is null or s.error_message ilike :error)
  and (:path::text[] is null or s.payload #>> :path::text[] ilike :value)
group by 1
union all
select case c.scan when 'finished' then 'completed' else c.scan end, 0, c.complete from scans c
union all
select 'cancelled', 0, c.complete from scans c where c.scan = 'finished';

-- name: user_counts
-- Number of a user's jobs in each status (stuck ones apart), found through the newest :most generations. Parameters as
-- in walk. Columns: status, jobs, complete (whether these are all generations).
with asked as materialized (
    select g.id, g.completed_at
    from public.image_generations g
    where g.user_id = :user_id::uuid
      and g.created_at >= coalesce(:span_start::timestamptz, now() - :span_length::interval)
      and g.created_at < coalesce(:span_start::timestamptz + :span_length::interval, 'infinity')
    order by g.created_at desc
    limit :most
)
select coalesce(k.status, j.status) as status, count(*) as jobs, (select count(*) < :most from asked) as complete
from asked g
cross join lateral (
    select q.* from public.job_queue q
    where q.status in ('pending', 'processing') and public.generation_of(q.payload) = g.id
    union all
    select q.* from public.job_queue q
    where q.status in ('completed', 'failed', 'cancelled')
      and q.completed_at = g.completed_at and public.generation_of(q.payload) = g.id
    limit 1
) j
left join (select id, 'stuck' as status from public.stuck_jobs) k on k.id = j.id
where (:job_type::text is null or j.job_type = :job_type)
  and (:model_id::text is null or j.payload ->> 'model_id' = :model_id)
  and (:error::text is null or j.error_message ilike :error)
  and (:path::text[] is null or j.payload #>> :path::text[] ilike :value)
group by 1
union all
select 'completed', 0, (select count(*) < :most from asked);

-- name: images
-- The images of some generations. Columns: id, thumbnail_path, storage_path, image_url.
select g.id, g.thumbnail_path, g.storage_path, g.image_url
from public.image_generations g
where g.id = any(:generation_ids::uuid[]) and g.status = 'completed';

-- name: kinds^
-- Filter options: types and models of jobs, as sorted arrays.
with seen as (
    select d.job_type, d.model_id from public.job_rollup_daily d where d.day > now() - interval '30 days'
    union
    select h.job_type, h.model_id from public.job_rollup h where h.hour > now() - interval '2 days'
)
select
    array(
        select job_type from seen where job_type <> '' union select job_type from public.job_types
        order by 1
    ) as job_types,
    array(
        select model_id from seen where model_id <> '' union select id from public.models
        order by 1
    ) as models;

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
        s.last_heartbeat_at,
        extract(epoch from s.silent_for)::double precision as silent_seconds,
        w.host || ', pid ' || w.pid as worker,
        count(*) over () as total
    from public.stuck_jobs s
    left join public.image_generations g on g.id = public.generation_of(s.payload)
    left join public.workers w on w.id = s.worker_id
    where (:job_type::text is null or s.job_type = :job_type)
      and (:model_id::text is null or coalesce(g.model_id, s.payload ->> 'model_id', '') = :model_id)
) s
where (s.last_heartbeat_at, s.id) > (:after::timestamptz, :after_id::uuid)
order by s.last_heartbeat_at, s.id
limit :most;

-- name: recent_resets
-- The last ten resets. Columns: at, actor, affected.
select at, actor, affected
from public.audit_log
where action = 'reset_stuck_jobs'
order by at desc
limit 10;

-- name: duplicates
-- Up to 500 redundant pending jobs. Columns: id, generation_id, kept_id (null: the generation is
-- completed), reason, model_id, prompt, created_at, total (number of such jobs).
select
    d.id,
    d.generation_id,
    d.kept_id::text as kept_id,
    d.reason,
    q.payload ->> 'model_id' as model_id,
    left(q.payload ->> 'prompt', 200) as prompt,
    q.created_at,
    count(*) over () as total
from public.live_duplicates() d
join public.job_queue q on q.id = d.id
order by q.created_at, d.id
limit 500;

-- name: repeated
-- Jobs of generations that have several among the live jobs and those that ended within :length
-- (interval) from :start (timestamptz; null: the last :length), newest generation first, up to
-- :most. Columns: generation_id (text, as in the payload), place (1: oldest), jobs (of the
-- generation), id, status, model_id, prompt, created_at, completed_at, seconds_later (after the
-- oldest), generations and total (overall counts).
with jobs as materialized (
    select q.id, q.created_at, lower((q.payload ->> 'generation_id') collate "C") as generation_id
    from public.job_queue q
    where q.status in ('completed', 'failed', 'cancelled')
      and q.completed_at >= coalesce(:start::timestamptz, now() - :length::interval)
      and q.completed_at < coalesce(:start::timestamptz + :length::interval, 'infinity')
    union all
    select q.id, q.created_at, lower((q.payload ->> 'generation_id') collate "C")
    from public.job_queue q where q.status = 'pending'
    union all
    select q.id, q.created_at, lower((q.payload ->> 'generation_id') collate "C")
    from public.job_queue q where q.status = 'processing'
), repeated as materialized (
    select j.generation_id, count(*) as jobs, max(j.created_at) as newest
    from jobs j
    where j.generation_id is not null
    group by j.generation_id
    having count(*) > 1
), placed as materialized (
    select
        r.generation_id, r.jobs, r.newest, j.id, j.created_at,
        row_number() over same_generation as place,
        first_value(j.created_at) over same_generation as first_at,
        count(*) over () as total
    from repeated r join jobs j using (generation_id)
    window same_generation as (partition by r.generation_id order by j.created_at, j.id)
    order by newest desc, generation_id, place
    limit :most
)
select
    p.generation_id,
    p.place,
    p.jobs,
    q.id,
    q.status,
    q.payload ->> 'model_id' as model_id,
    left(q.payload ->> 'prompt', 200) as prompt,
    q.created_at,
    q.completed_at,
    extract(epoch from p.created_at - p.first_at)::double precision as seconds_later,
    (select count(*) from repeated) as generations,
    p.total
from placed p
cross join lateral (
    -- Not inlined, so that rows are fetched by key whatever the planner's estimate.
    select * from public.job_queue j where j.id = p.id offset 0
) q
order by p.newest desc, p.generation_id, p.place;
