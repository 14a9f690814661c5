-- Facts for the troubleshooting checks, one query for each symptom. Live jobs, failures of the last
-- hour and rollups, by index.

-- name: limits^
-- Thresholds of the alert rules. failure_share of at least failure_minimum jobs;
-- oldest_due_seconds: wait of a due job; no_worker_seconds: without any worker.
select
    max(r.threshold) filter (where r.rule = 'failure_rate') as failure_share,
    max(r.minimum_jobs) filter (where r.rule = 'failure_rate') as failure_minimum,
    max(r.threshold) filter (where r.rule = 'oldest_pending') as oldest_due_seconds,
    max(r.threshold) filter (where r.rule = 'no_worker') as no_worker_seconds
from public.alert_rules r;

-- name: pending^
-- Why jobs may stay pending. due: jobs past their scheduled time; oldest_due_seconds; later: jobs
-- scheduled for later, next_in_seconds. paused: objects job_type, by, reason, seconds, jobs (held
-- back by it); down: provider, reason, seconds, probe_in_seconds, jobs; workers, slots: workers
-- alive (see overview.now); running; unknown: job_type, jobs (due, of types that no worker alive
-- runs); held: model_id, seconds, reason, busy, jobs (held back by it); storage: error, hosts, seconds (of
-- workers whose storage takes no files), jobs (due, of types that no worker claims therefore); cron:
-- job_id, name, active, failures, error (of the schedules that wake the queue).
with alive as materialized (
    select w.job_types, w.concurrency, w.host, w.storage_error, w.storage_failed_at, w.blocked_types
    from public.live_workers w
), held as materialized (
    select h.* from public.model_holds h where h.held_until > now()
), waiting as materialized (
    select
        q.job_type, m.held, count(*) as jobs, count(*) filter (where q.scheduled_at <= now()) as due,
        min(q.scheduled_at) as first_at, min(q.scheduled_at) filter (where q.scheduled_at > now()) as next_at
    from public.job_queue q
    cross join (
        -- Those with a server of their own, too: the breaker of their type's provider does not count for them.
        select array(select model_id from held union select s.model_id from public.model_servers s) as models
    ) all_held
    cross join lateral (
        select case
            when left(q.payload ->> 'model_id', 200) = any (all_held.models) then left(q.payload ->> 'model_id', 200)
        end as held
    ) m
    where q.status = 'pending'
    group by q.job_type, m.held
), types as materialized (
    select w.job_type, sum(w.due)::bigint as due from waiting w group by w.job_type
)
select
    coalesce(sum(w.due), 0)::bigint as due,
    extract(epoch from now() - min(w.first_at) filter (where w.due > 0))::double precision as oldest_due_seconds,
    coalesce(sum(w.jobs - w.due), 0)::bigint as later,
    extract(epoch from min(w.next_at) - now())::double precision as next_in_seconds,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'job_type', p.job_type, 'by', p.paused_by, 'reason', p.reason,
            'seconds', extract(epoch from now() - p.paused_at),
            'jobs', (select coalesce(sum(x.due), 0) from types x where p.job_type in ('*', x.job_type))
        ) order by p.job_type), '[]')
        from public.queue_pauses p
    ) as paused,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'provider', b.provider, 'reason', b.reason, 'seconds', extract(epoch from now() - b.opened_at),
            'probe_in_seconds', extract(epoch from b.open_until - now()),
            'jobs', (
                select coalesce(sum(x.due), 0) from waiting x where public.breaker_of(x.job_type, x.held) = b.provider
            )
        ) order by b.provider), '[]')
        from public.provider_breakers b
        where b.open_until is not null
    ) as down,
    (select count(*) from alive) as workers,
    (select coalesce(sum(concurrency), 0) from alive) as slots,
    (select count(*) from public.job_queue q where q.status = 'processing') as running,
    (
        select coalesce(jsonb_agg(jsonb_build_object('job_type', x.job_type, 'jobs', x.due) order by x.job_type), '[]')
        from types x
        where x.due > 0 and not exists (select from alive a where x.job_type = any (a.job_types))
    ) as unknown,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'model_id', h.model_id, 'seconds', extract(epoch from h.held_until - now()), 'reason', h.reason,
            'busy', h.busy,
            'jobs', (select coalesce(sum(x.due), 0) from waiting x where x.held = h.model_id)
        ) order by h.model_id), '[]')
        from held h
    ) as held,
    (
        select coalesce(jsonb_agg(to_jsonb(f) order by f.seconds desc), '[]')
        from (
            select
                a.storage_error as error, array_agg(distinct a.host) as hosts,
                extract(epoch from now() - min(a.storage_failed_at)) as seconds,
                (
                    select coalesce(sum(x.due), 0) from waiting x
                    where exists (select from alive b where x.job_type = any (b.blocked_types))
                      and not exists (
                          select from alive b
                          where x.job_type = any (b.job_types) and x.job_type <> all (b.blocked_types)
                      )
                ) as jobs
            from alive a
            where a.storage_error is not null
            group by a.storage_error
        ) f
    ) as storage,
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'job_id', c.job_id, 'name', c.job_name, 'active', c.active, 'failures', c.failures_in_row,
            'error', c.last_error
        ) order by c.job_id), '[]')
        from public.cron_jobs() c
        where c.wakes_queue
    ) as cron
from waiting w;

-- name: due_of_type
-- Due jobs of :job_type, up to 100,000. Column: id.
select q.id
from public.job_queue q
where q.status = 'pending' and q.job_type = :job_type and q.scheduled_at <= now()
order by q.priority desc, q.scheduled_at, q.created_at
limit 100000;

-- name: failures
-- Failures of the last hour, within the newest 5,000 jobs, by error code (empty: none) and model
-- (empty: none); the most frequent first, up to 100 rows. Columns: code, model_id, jobs; at_once:
-- on the first attempt; message: the newest; seconds: median run; users: number of users; known:
-- whether the model is in the table models.
select
    f.code, f.model_id, count(*) as jobs, count(*) filter (where f.attempts <= 1) as at_once,
    (array_agg(f.error_message order by f.completed_at desc))[1] as message,
    percentile_cont(0.5) within group (order by extract(epoch from f.completed_at - f.started_at)) as seconds,
    count(distinct f.created_by) as users,
    exists (select from public.models m where m.id = f.model_id) as known
from (
    select
        coalesce(q.error_details ->> 'code', '') as code, coalesce(q.payload ->> 'model_id', '') as model_id,
        q.attempts, q.error_message, q.started_at, q.completed_at, q.created_by
    from public.job_queue q
    where q.status = 'failed' and q.completed_at > now() - interval '1 hour'
      and public.failure_outcome(q.error_details) = 'failed'
    order by q.completed_at desc
    limit 5000
) f
group by f.code, f.model_id
order by jobs desc, f.code, f.model_id
limit 100;

-- name: failed_ids
-- Jobs that failed in the last hour with :code for :model_id, newest first, up to 10,000. Column:
-- id.
select q.id
from public.job_queue q
where q.status = 'failed' and q.completed_at > now() - interval '1 hour'
  and coalesce(q.error_details ->> 'code', '') = :code and coalesce(q.payload ->> 'model_id', '') = :model_id
order by q.completed_at desc
limit 10000;

-- name: disabled_models
-- Disabled models that users requested in the last seven days. Columns: model_id, jobs; at, actor:
-- when and by whom they were disabled, null if not recorded.
select m.id as model_id, sum(r.jobs)::bigint as jobs, max(a.at) as at, max(a.actor) as actor
from public.models m
join public.job_rollup r on r.model_id = m.id and r.hour > now() - interval '7 days'
left join lateral (
    select l.at, l.actor from public.audit_log l
    where l.action = 'set_model' and l.details ->> 'model_id' = m.id
    order by l.at desc limit 1
) a on true
where not m.enabled
group by m.id
order by jobs desc, m.id
limit 20;

-- name: stuck^
-- Why jobs hang. stuck: no heartbeat for stuck_after_seconds; of them unleased: without a lease; silent:
-- host, pid, jobs, seconds (since their worker's last heartbeat, the longest first); rescuers:
-- workers alive that would take over.
select
    s.stuck, s.unleased,
    (
        select coalesce(jsonb_agg(to_jsonb(w) order by w.seconds desc), '[]')
        from (
            select w.host, w.pid, count(*) as jobs, extract(epoch from now() - min(s.last_heartbeat_at)) as seconds
            from public.stuck_jobs s join public.workers w on w.id = s.worker_id
            group by w.id
            limit 20
        ) w
    ) as silent,
    (select count(*) from public.live_workers w where w.kind = 'worker') as rescuers,
    extract(epoch from public.stuck_after())::double precision as stuck_after_seconds
from (
    select count(*) as stuck, count(*) filter (where worker_id is null) as unleased from public.stuck_jobs
) s;

-- name: long_running
-- Jobs that have run for more than half an hour although their worker sends heartbeats, the longest
-- first, up to 1,000. Columns: id, seconds.
select q.id, extract(epoch from now() - q.started_at)::double precision as seconds
from public.job_queue q
join public.job_leases l on l.job_id = q.id and l.attempt = q.attempts
where q.status = 'processing' and q.started_at < now() - interval '30 minutes'
  and l.heartbeat_at > now() - interval '1 minute'
order by q.started_at
limit 1000;

-- name: models_now
-- Jobs of the last full and the current hour by model, the most failures first. Columns: model_id;
-- completed, failed; enabled (null: not in the table models).
select s.model_id, s.completed, s.failed, m.enabled
from (
    select
        p.model_id,
        coalesce(sum(p.jobs) filter (where p.status = 'completed'), 0)::bigint as completed,
        coalesce(sum(p.jobs) filter (where p.status = 'failed'), 0)::bigint as failed
    from public.job_stats_parts(date_trunc('hour', now(), 'UTC') - interval '1 hour', now(), 'all') p
    group by p.model_id
) s
left join public.models m on m.id = s.model_id
order by s.failed desc, s.completed desc, s.model_id
limit 50;

-- name: realtime^
-- Whether changes are published. has_publication: whether supabase_realtime exists; unpublished: tables
-- that it lacks; trigger: whether NOTIFY is sent; missing: privileges that users lack to read their
-- own rows (sentences).
select
    exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') as has_publication,
    public.unpublished_tables() as unpublished,
    exists (
        select from pg_catalog.pg_trigger
        where tgrelid = 'public.image_generations'::regclass and tgname = 'image_generations_changed'
          and tgenabled <> 'D'
    ) as trigger,
    array(
        select w.what
        from (values
            ('public.job_queue'::regclass, 'Users can view their own jobs'),
            ('public.image_generations'::regclass, 'Users can view their own generations')
        ) as t (id, policy)
        join pg_catalog.pg_class c on c.oid = t.id
        cross join lateral (values
            (not c.relrowsecurity, 'row-level security of ' || c.relname || ' is off'),
            (not has_table_privilege('authenticated', c.oid, 'select'), 'signed-in users may not read ' || c.relname),
            (not exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid and p.polname = t.policy),
             c.relname || ' lacks the policy "' || t.policy || '"')
        ) as w (is_so, what)
        where w.is_so
    ) as missing;

-- name: duplicates^
-- Several jobs for one generation. waiting: redundant pending jobs; reasons; guarded: whether the
-- index that rejects a second live job exists and is valid; twice: generations of the last hour,
-- within the newest 5,000, that repeat the prompt and model of the same user within a minute.
with waiting as materialized (
    select d.reason, count(*) as jobs from public.live_duplicates() d group by d.reason
)
select
    (select coalesce(sum(jobs), 0)::bigint from waiting) as waiting,
    array(select format('%%s: %%s', reason, jobs) from waiting order by jobs desc) as reasons,
    exists (
        select from pg_catalog.pg_index i
        where i.indexrelid = to_regclass('public.job_queue_live_generation_key') and i.indisvalid
    ) as guarded,
    (
        select count(*)
        from (
            select n.created_at - lag(n.created_at) over (
                partition by n.user_id, n.model_id, n.prompt, n.parameters order by n.created_at) as later
            from (
                select g.user_id, g.model_id, g.prompt, g.parameters, g.created_at
                from public.image_generations g
                where g.created_at > now() - interval '1 hour' and g.source = 'app'
                order by g.created_at desc
                limit 5000
            ) n
        ) t
        where t.later < interval '1 minute'
    ) as twice;

-- name: slow^
-- What slows the queue. due, oldest_due_seconds: of claimable jobs; arrived, ended: in the last
-- hour; behind_seconds: lag of the rollup, the age of the oldest ended job not yet folded (null:
-- none).
with barred as materialized (
    select
        array(select p.job_type from public.queue_pauses p) as types,
        array(
            select t.job_type from public.job_types t join public.provider_breakers b using (provider)
            where b.open_until is not null
        ) as down_types,
        array(select model_id from public.model_servers) as own,
        public.down_models() || array(select h.model_id from public.model_holds h where h.held_until > now()) as models
)
select
    count(*) as due,
    extract(epoch from now() - min(q.scheduled_at))::double precision as oldest_due_seconds,
    (select coalesce(sum(jobs), 0)::bigint from public.recent_arrivals(now() - interval '1 hour')) as arrived,
    (select coalesce(sum(jobs), 0)::bigint from public.recent_jobs(now() - interval '1 hour')) as ended,
    (
        select extract(epoch from now() - min(f.completed_at))::double precision
        from public.job_queue f
        where f.status in ('completed', 'failed', 'cancelled')
          and f.completed_at >= (select s.folded_until from public.rollup_state s)
    ) as behind_seconds
from public.job_queue q
cross join barred b
where q.status = 'pending' and q.scheduled_at <= now()
  and not (q.job_type = any (b.types) or '*' = any (b.types))
  and not (q.job_type = any (b.down_types) and coalesce(left(q.payload ->> 'model_id', 200) <> all (b.own), true))
  and (left(q.payload ->> 'model_id', 200) = any (b.models)) is not true;

-- name: model_speeds
-- Run times of models in the last six hours and in the week before. Columns: model_id; completed,
-- failed, run_p50; before_completed, before_failed, before_p50.
with hours as materialized (
    select
        p.model_id, p.bucket >= date_trunc('hour', now(), 'UTC') - interval '5 hours' as recent, p.status,
        p.jobs, p.run_histogram
    from public.job_stats_parts(date_trunc('hour', now(), 'UTC') - interval '7 days', now(), 'hour') p
    where p.status in ('completed', 'failed')
)
select
    model_id,
    coalesce(sum(jobs) filter (where recent and status = 'completed'), 0)::bigint as completed,
    coalesce(sum(jobs) filter (where recent and status = 'failed'), 0)::bigint as failed,
    public.histogram_percentile(sum(run_histogram) filter (where recent and status = 'completed'), 0.5) as run_p50,
    coalesce(sum(jobs) filter (where not recent and status = 'completed'), 0)::bigint as before_completed,
    coalesce(sum(jobs) filter (where not recent and status = 'failed'), 0)::bigint as before_failed,
    public.histogram_percentile(sum(run_histogram) filter (where not recent and status = 'completed'), 0.5) as before_p50
from hours
group by model_id
order by completed desc, model_id
limit 50;

-- name: drop_statement$
-- The statement that drops one of our indexes; null if it does not exist.
select format('drop index concurrently public.%%I', c.relname)
from pg_catalog.pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'i' and c.relname = :name;

-- name: long_transactions
-- Transactions of this database open for longer than forgotten_after(), oldest first. Columns: pid,
-- user, program, seconds, state, idle_seconds (null: active).
select
    a.pid, a.usename as "user", a.application_name as program,
    extract(epoch from now() - a.xact_start)::double precision as seconds, a.state,
    case when a.state like 'idle%%' then extract(epoch from now() - a.state_change)::double precision end as idle_seconds
from pg_catalog.pg_stat_activity a
where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
  and a.xact_start < now() - public.forgotten_after()
order by a.xact_start
limit 20;

-- name: end_session$
-- Whether the session was terminated.
select public.end_session(:actor, :pid::int);
