-- What is measured. Each is bounded: none reads more the more jobs wait.

create function public.oldest_due(p_barred text[]) returns timestamptz
language plpgsql stable set search_path = ''
    set jit = off set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
as $$
begin
    if '*' = any (p_barred) then
        return null;
    end if;
    return (
        with recursive priorities as (
            select max(q.priority) as priority, 1 as place from public.job_queue q where q.status = 'pending'
            union all
            select (
                select max(q.priority) from public.job_queue q where q.status = 'pending' and q.priority < p.priority
            ), p.place + 1
            from priorities p where p.priority is not null and p.place < 100
        )
        select min(due.scheduled_at)
        from priorities p
        cross join lateral (
            select q.scheduled_at, q.job_type from public.job_queue q
            where q.status = 'pending' and q.priority = p.priority and q.scheduled_at <= now()
            order by q.scheduled_at
            -- What is barred stands in front of what is not.
            limit case when cardinality(p_barred) = 0 then 1 else 10000 end
        ) due
        where due.job_type <> all (p_barred)
    );
end;
$$;
comment on function public.oldest_due is
    'Since when the longest waiting job is due that could be claimed: of a type that is not barred. Found by index, a row per priority; with barred types among the first 10,000 of each.';

create function public.recent_times()
returns table (kind text, jobs bigint, p50 double precision, p95 double precision, p99 double precision)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
begin
    return query
    select t.kind, t.jobs, t.percentiles[1], t.percentiles[2], t.percentiles[3]
    from (
        select s.kind, count(*) as jobs,
               percentile_disc(array[0.5, 0.95, 0.99]) within group (order by s.seconds) as percentiles
        from (
            select q.started_at, q.scheduled_at, q.completed_at from public.job_queue q
            where q.status in ('completed', 'failed', 'cancelled')
              and q.completed_at > now() - interval '15 minutes' and q.started_at is not null
            order by q.completed_at desc limit 5000
        ) newest
        cross join lateral (values
            ('wait', greatest(extract(epoch from newest.started_at - newest.scheduled_at)::double precision, 0)),
            ('run', extract(epoch from newest.completed_at - newest.started_at)::double precision)
        ) as s (kind, seconds)
        group by s.kind
    ) t;
end;
$$;
comment on function public.recent_times is
    'Seconds that jobs waited (wait: due to started) and ran (run), by their last attempt, at three percentiles: of those that ended in the last 15 minutes, the newest 5,000 at most.';

create function public.measure_waiting() returns table (rule text, subject text, value double precision, detail jsonb)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
declare
    v_most    constant int := (
        select greatest(r.threshold + 1, 10000) from public.alert_rules r where r.rule = 'pending_jobs'
    );
    v_pending constant int := (
        select count(*) from (select from public.job_queue q where q.status = 'pending' limit v_most) counted
    );
    v_waited  constant double precision := extract(epoch from now() - public.oldest_due(public.barred_job_types()));
    -- Of the newest 10,000 at most: after so many failures nothing has completed for long enough.
    v_since   constant double precision := (
        select extract(epoch from now() - newest.completed_at)
        from (
            select q.status, q.completed_at from public.job_queue q
            where q.status in ('completed', 'failed', 'cancelled') and q.completed_at <= now()
            order by q.completed_at desc limit 10000
        ) newest
        where newest.status = 'completed' limit 1
    );
begin
    rule := 'pending_jobs';
    subject := '';
    value := v_pending;
    detail := jsonb_build_object('at_least', v_pending = v_most);
    return next;
    if v_waited is not null then
        rule := 'oldest_pending';
        value := v_waited;
        detail := '{}';
        return next;
        -- A queue that had nothing to do is not at fault: what counts begins with the oldest wait.
        rule := 'no_completion';
        value := least(v_waited, v_since);
        return next;
    end if;
end;
$$;
comment on function public.measure_waiting is
    'pending_jobs: how many wait, counted up to 10,000. oldest_pending: seconds since the oldest job that could be claimed is due. no_completion: seconds that such a job waits while none completes.';

create function public.measure_ended() returns table (rule text, subject text, value double precision, detail jsonb)
language sql stable set search_path = ''
as $$
    select 'failure_rate', '', failed / ended::double precision, jsonb_build_object('failed', failed, 'ended', ended)
    from (
        select
            coalesce(sum(jobs) filter (where status = 'failed'), 0)::bigint as failed,
            coalesce(sum(jobs) filter (where status in ('completed', 'failed')), 0)::bigint as ended
        from public.recent_jobs(now() - interval '1 hour')
    ) last_hour
    join public.alert_rules r on r.rule = 'failure_rate'
    where ended >= greatest(r.minimum_jobs, 1)
    union all
    select 'wait_p95', '', t.p95, jsonb_build_object('jobs', t.jobs)
    from public.recent_times() t
    join public.alert_rules r on r.rule = 'wait_p95'
    where t.kind = 'wait' and t.jobs >= r.minimum_jobs;
$$;
comment on function public.measure_ended is
    'failure_rate: share that failed of the jobs that completed or failed in the last hour. wait_p95: seconds, as in recent_times. Neither is measured on fewer jobs than its rule asks for.';

create function public.measure_workers() returns table (rule text, subject text, value double precision, detail jsonb)
language sql stable set search_path = ''
as $$
    select 'stuck_jobs', '', count(*)::double precision, jsonb '{}' from public.stuck_jobs
    union all
    select 'no_worker', '', extract(epoch from clock_timestamp() - greatest(max(w.last_seen_at), (
        -- Of a database that never had one nothing else is known.
        select a.began_at from public.alert_watch a
    )))::double precision, '{}'
    from public.workers w where w.kind in ('worker', 'process-jobs')
    union all
    select 'worker_gone', w.id::text, extract(epoch from clock_timestamp() - w.last_seen_at)::double precision,
           jsonb_build_object('host', w.host, 'pid', w.pid, 'jobs', held.jobs)
    from (
        select l.worker_id, count(*) as jobs from public.job_leases l group by l.worker_id
    ) held
    join public.workers w on w.id = held.worker_id;
$$;
comment on function public.measure_workers is
    'stuck_jobs: how many. no_worker: seconds since any worker was seen. worker_gone: of each worker that holds jobs, seconds since it was seen.';

create function public.measure_barriers() returns table (rule text, subject text, value double precision, detail jsonb)
language sql stable set search_path = ''
as $$
    select 'provider_down', b.provider, extract(epoch from clock_timestamp() - b.opened_at)::double precision, jsonb '{}'
    from public.provider_breakers b where b.open_until is not null
    union all
    select 'queue_paused', p.job_type, extract(epoch from clock_timestamp() - p.paused_at)::double precision,
           jsonb_build_object('by', p.paused_by)
    from public.queue_pauses p;
$$;
comment on function public.measure_barriers is
    'provider_down: seconds since the breaker of a provider opened. queue_paused: seconds since a type of jobs (* for all) was paused.';

create function public.measure_cron() returns table (rule text, subject text, value double precision, detail jsonb)
language sql stable set search_path = ''
as $$
    select 'cron_failing', coalesce(c.job_name, c.job_id::text), c.failures_in_row::double precision, jsonb '{}'
    from public.cron_jobs() c where c.active;
$$;
comment on function public.measure_cron is 'cron_failing: failed runs of an active cron job since its last success.';

create function public.alert_measures() returns table (rule text, subject text, value double precision, detail jsonb)
language sql stable set search_path = ''
as $$
    select * from public.measure_waiting()
    union all select * from public.measure_ended()
    union all select * from public.measure_workers()
    union all select * from public.measure_barriers()
    union all select * from public.measure_cron();
$$;
comment on function public.alert_measures is
    'What the rules are about, as it is now; what is not measured is right. The measure_… functions say what each is.';
