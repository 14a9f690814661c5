-- Alerts: the rules, what they measure, what fires, and the notifications to send.
--
-- evaluate_alerts() runs in one transaction under one row lock, so that any number of processes may call it.
-- A notification is one row per alert, channel and kind. The process that claims it sends it, and it is
-- delivered at least once.

-- Tables ------------------------------------------------------------------------------------------

create table public.alert_rules (
    rule         text             primary key,
    severity     text             not null check (severity in ('warning', 'critical')),
    threshold    double precision not null,
    resolve_at   double precision not null,
    for_seconds  int              not null,
    minimum_jobs int,
    enabled      boolean          not null default true,
    changed_by   text,
    changed_at   timestamptz
);
comment on table public.alert_rules is 'When an alert fires and resolves. Changed by set_alert_rule.';
comment on column public.alert_rules.threshold is 'A measure above it is a problem: jobs, seconds, or a share from 0 to 1, see alert_measures.';
comment on column public.alert_rules.resolve_at is 'A measure at or below it ends the problem; in between, nothing changes.';
comment on column public.alert_rules.for_seconds is 'How long a problem must last before the alert fires, and be absent before it resolves.';
comment on column public.alert_rules.minimum_jobs is 'Minimum number of jobs for a share or percentile; null for other measures.';

-- Thresholds of the deployment guide, where it has one. Critical means that jobs do not run or run wrongly.
insert into public.alert_rules (rule, severity, threshold, resolve_at, for_seconds, minimum_jobs) values
    ('pending_jobs',   'warning',   100,    80,  60, null),
    ('failure_rate',   'critical',  0.1,  0.08,   0, 10),
    ('no_completion',  'critical',  300,    60,   0, null),
    ('stuck_jobs',     'warning',     0,     0,   0, null),
    ('oldest_pending', 'critical',  300,   120,   0, null),
    ('wait_p95',       'warning',    60,    45,  60, 10),
    ('no_worker',      'critical',  120,    60,   0, null),
    ('worker_gone',    'warning',    60,    30,   0, null),
    ('provider_down',  'critical',    0,     0,   0, null),
    ('storage_failed', 'critical',   30,     0,   0, null),
    ('queue_paused',   'warning',  3600,     0,   0, null),
    ('cron_failing',   'warning',     2,     0,   0, null),
    ('background_errors', 'warning',  0,     0,   0, null),
    ('jobs_set_aside', 'warning',     0,     0,   0, null);

create table public.alerts (
    id          uuid             primary key default gen_random_uuid(),
    rule        text             not null references public.alert_rules (rule),
    subject     text             not null,
    severity    text             not null,
    value       double precision not null,
    worst       double precision not null,
    detail      jsonb            not null,
    began_at    timestamptz      not null,
    fired_at    timestamptz,
    calm_since  timestamptz,
    resolved_at timestamptz
);
comment on table public.alerts is
    'Alerts from start to end. Until fired_at, no notification is sent; problems that end earlier are deleted. Kept for 90 days.';
comment on column public.alerts.subject is 'The provider, worker, cron job, task or type of jobs; empty for rules about the whole queue.';
comment on column public.alerts.value is 'Last measured value; worst: the highest so far.';
comment on column public.alerts.calm_since is 'Since when the measure has been at or below resolve_at; null while it is above.';

create unique index alerts_open_key on public.alerts (rule, subject) where resolved_at is null;
create index alerts_rule_idx on public.alerts (rule);
create index alerts_fired_idx on public.alerts (fired_at desc);
create index alerts_resolved_idx on public.alerts (resolved_at);

create table public.alert_channels (
    id             uuid        primary key default gen_random_uuid(),
    name           text        not null unique,
    shown          text        not null,
    least_severity text        not null,
    enabled        boolean     not null default true,
    created_by     text        not null,
    created_at     timestamptz not null default now()
);
comment on table public.alert_channels is 'Receivers of notifications. Changed by add_alert_channel, set_alert_channel and remove_alert_channel.';
comment on column public.alert_channels.shown is 'The address without any secret, for the dashboard.';
comment on column public.alert_channels.least_severity is 'warning: all alerts; critical: only critical ones.';

create table public.alert_channel_urls (
    channel_id uuid primary key references public.alert_channels (id) on delete cascade,
    url        text
);
comment on table public.alert_channel_urls is
    'Secret: addresses for Apprise, including tokens. Read only by the sender. Has no constraints, because their errors would quote an address.';

create table public.alert_notifications (
    id          uuid             primary key default gen_random_uuid(),
    alert_id    uuid             references public.alerts (id) on delete cascade,
    channel_id  uuid             not null references public.alert_channels (id) on delete cascade,
    kind        text             not null check (kind in ('firing', 'resolved', 'test')),
    value       double precision,
    created_at  timestamptz      not null default clock_timestamp(),
    attempts    int              not null default 0,
    due_at      timestamptz      not null default clock_timestamp(),
    error       text,
    sent_at     timestamptz,
    given_up_at timestamptz,
    unique (alert_id, channel_id, kind)
);
comment on table public.alert_notifications is 'Notifications, sent and to be sent: one per channel when an alert fires and one when it resolves.';
comment on column public.alert_notifications.attempts is 'Claims so far. (id, attempts) identifies the current claim; a sender with another number has lost it.';
comment on column public.alert_notifications.due_at is 'When it may be claimed; while claimed, when its sender counts as lost.';
comment on column public.alert_notifications.error is 'Why the last attempt failed. Does not quote Apprise, whose messages may contain the address.';

create index alert_notifications_channel_idx on public.alert_notifications (channel_id, created_at desc);
create index alert_notifications_waiting_idx
    on public.alert_notifications (due_at) where sent_at is null and given_up_at is null;

create table public.alert_silences (
    id         uuid        primary key default gen_random_uuid(),
    rule       text        references public.alert_rules (rule),
    subject    text,
    until      timestamptz not null,
    reason     text,
    created_by text        not null,
    created_at timestamptz not null default now()
);
comment on table public.alert_silences is 'Silences of alerts, by rule (null: all) and subject (null: all).';

create index alert_silences_rule_idx on public.alert_silences (rule);
create index alert_silences_until_idx on public.alert_silences (until);

create table public.alert_watch (
    only_row     boolean     primary key default true check (only_row),
    began_at     timestamptz not null default now(),
    evaluated_at timestamptz not null default '-infinity'
);
comment on table public.alert_watch is 'When the alerts were last evaluated. An evaluation locks this row.';

insert into public.alert_watch default values;

-- Measures (each reads a bounded number of rows, however many jobs are pending) -------------------

create function public.oldest_due(p_barred text[]) returns timestamptz
language sql stable set search_path = ''
as $$
    select min(l.first_at)
    from unnest(public.pending_lines(1000, p_barred => p_barred)) l
    where '*' <> all (p_barred) and (
        l.most is null
        -- A server may stay busy, or never be ready: that is no rate limit, which ends.
        or l.first_at <= now() and l.model = any (array(
            select h.model_id from public.model_holds h
            where h.busy and h.held_until > clock_timestamp() - public.slow_start()
        ))
    );
$$;
comment on function public.oldest_due is
    'Due time of the oldest claimable job, whose type is not barred, whose model is not rate-limited (a busy server counts) and whose provider is not down. Considers the first 1,000 lines in claim order.';

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
    -- Reads the newest 10,000 at most: if all of them failed, nothing has completed for long enough.
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
        -- An idle queue is not a fault, so this counts from the start of the oldest wait.
        rule := 'no_completion';
        value := least(v_waited, v_since);
        return next;
    end if;
end;
$$;
comment on function public.measure_waiting is
    'pending_jobs: pending jobs, counted up to 10,000. oldest_pending: seconds since the oldest claimable job became due. no_completion: seconds without a completed job while such a job is pending.';

create function public.measure_ended() returns table (rule text, subject text, value double precision, detail jsonb)
language sql stable set search_path = '' set enable_seqscan = off
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
    where t.kind = 'wait' and t.jobs >= r.minimum_jobs
      -- A wait that is over is nothing to act on.
      and exists (select from public.job_queue q where q.status = 'pending' and q.scheduled_at <= now());
$$;
comment on function public.measure_ended is
    'failure_rate: share of failed jobs among those that completed or failed in the last hour. wait_p95: seconds, as in recent_times, while a job is due. Neither is measured with fewer jobs than the minimum of its rule.';

create function public.worker_seen_at() returns timestamptz
language sql stable set search_path = ''
as $$
    select greatest(
        (select max(w.last_seen_at) from public.workers w where w.kind in ('worker', 'process-jobs')),
        -- For a database that has never had a worker.
        (select a.began_at from public.alert_watch a)
    );
$$;
comment on function public.worker_seen_at is
    'Last heartbeat of any worker or call to process-jobs; in a database without any, when alerting began.';

create function public.measure_workers() returns table (rule text, subject text, value double precision, detail jsonb)
language sql stable set search_path = ''
as $$
    select 'stuck_jobs', '', count(*)::double precision, jsonb '{}' from public.stuck_jobs
    union all
    select 'no_worker', '', extract(epoch from clock_timestamp() - public.worker_seen_at())::double precision, '{}'
    union all
    select 'worker_gone', w.id::text, extract(epoch from clock_timestamp() - w.last_seen_at)::double precision,
           jsonb_build_object('host', w.host, 'pid', w.pid, 'jobs', held.jobs)
    from (
        select l.worker_id, count(*) as jobs from public.job_leases l group by l.worker_id
    ) held
    join public.workers w on w.id = held.worker_id
    union all
    select 'storage_failed', '', extract(epoch from clock_timestamp() - min(w.storage_failed_at))::double precision,
           jsonb_build_object(
               'hosts', array_agg(distinct w.host),
               'error', (array_agg(w.storage_error order by w.storage_failed_at))[1]
           )
    from public.live_workers w
    where w.storage_error is not null
    having count(*) > 0;
$$;
comment on function public.measure_workers is
    'stuck_jobs: how many. no_worker: seconds since the last heartbeat of any worker. worker_gone: seconds since the last heartbeat of each worker with running jobs. storage_failed: seconds since the storage of a live worker started to refuse files.';

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
    'provider_down: seconds since the circuit breaker of a provider opened. queue_paused: seconds since a type of jobs (* for all) was paused.';

create function public.measure_cron() returns table (rule text, subject text, value double precision, detail jsonb)
language sql stable set search_path = ''
as $$
    select 'cron_failing', coalesce(c.job_name, '#' || c.job_id), c.failures_in_row::double precision,
           jsonb_build_object('error', c.last_error)
    from public.cron_jobs() c where c.active;
$$;
comment on function public.measure_cron is 'cron_failing: runs of an active cron job since its last success that failed, or whose function answered with an error.';

create function public.measure_errors() returns table (rule text, subject text, value double precision, detail jsonb)
language sql stable set search_path = ''
as $$
    select 'background_errors', b.task, b.times::double precision, jsonb_build_object('error', b.error)
    from public.background_errors b where b.last_at > now() - interval '5 minutes'
    union all
    select 'jobs_set_aside', a.step, count(*)::double precision, jsonb_build_object('error', min(a.error))
    from public.set_aside_jobs a group by a.step;
$$;
comment on function public.measure_errors is
    'background_errors: failures in a row of a task that failed in the last five minutes. jobs_set_aside: jobs that a step skips.';

create function public.alert_measures() returns table (rule text, subject text, value double precision, detail jsonb)
language sql stable set search_path = ''
as $$
    select * from public.measure_waiting()
    union all select * from public.measure_ended()
    union all select * from public.measure_workers()
    union all select * from public.measure_barriers()
    union all select * from public.measure_cron()
    union all select * from public.measure_errors();
$$;
comment on function public.alert_measures is
    'Current measures of all rules; no measure means no problem. The measure_… functions describe each.';

-- Evaluation --------------------------------------------------------------------------------------

create function public.follow_alerts(p_now timestamptz) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    with measured as materialized (
        select m.subject, m.value, m.detail, r.* from public.alert_measures() m
        join public.alert_rules r using (rule) where r.enabled
    ), open as materialized (
        select a.id, m.value, m.detail, r.severity,
               make_interval(secs => r.for_seconds) as long_enough,
               coalesce(m.value > m.threshold, false) as wrong,
               case when coalesce(m.value <= m.resolve_at, true) then coalesce(a.calm_since, p_now) end as calm_since
        from public.alerts a
        join public.alert_rules r using (rule)
        left join measured m using (rule, subject)
        where a.resolved_at is null
    ), false_alarms as (
        delete from public.alerts a using open o where a.id = o.id and a.fired_at is null and not o.wrong
    ), followed as (
        update public.alerts a
        set severity = o.severity,
            value = coalesce(o.value, 0), worst = greatest(a.worst, o.value), detail = coalesce(o.detail, a.detail),
            fired_at = coalesce(a.fired_at, case when p_now - a.began_at >= o.long_enough then p_now end),
            calm_since = o.calm_since,
            resolved_at = case when p_now - o.calm_since >= o.long_enough then p_now end
        from open o
        where a.id = o.id and (a.fired_at is not null or o.wrong)
    )
    insert into public.alerts (rule, subject, severity, value, worst, detail, began_at, fired_at)
    select m.rule, m.subject, m.severity, m.value, m.value, m.detail, p_now,
           case when m.for_seconds = 0 then p_now end
    from measured m
    where m.value > m.threshold
      and not exists (
          select from public.alerts a where a.rule = m.rule and a.subject = m.subject and a.resolved_at is null
      );
end;
$$;
comment on function public.follow_alerts is
    'Starts, fires and resolves alerts by their measures. No measure, or a disabled rule, counts as no problem.';

create function public.announce_alerts(p_now timestamptz) returns void
language sql volatile set search_path = ''
as $$
    insert into public.alert_notifications (alert_id, channel_id, kind, value)
    select a.id, c.id, 'firing', a.value
    from public.alerts a
    join public.alert_channels c on c.enabled and c.least_severity in ('warning', a.severity)
    where a.fired_at is not null and a.resolved_at is null
      and not exists (
          select from public.alert_silences s
          where s.until > p_now
            and coalesce(s.rule, a.rule) = a.rule and coalesce(s.subject, a.subject) = a.subject
      )
    on conflict (alert_id, channel_id, kind) do nothing;

    -- A channel that was notified of the beginning is notified of the end, even during a silence.
    insert into public.alert_notifications (alert_id, channel_id, kind, value)
    select a.id, n.channel_id, 'resolved', a.value
    from public.alerts a
    join public.alert_notifications n on n.alert_id = a.id and n.kind = 'firing'
    where a.resolved_at = p_now;
$$;
comment on function public.announce_alerts is
    'Creates the notifications: one per channel when an alert fires, unless it is silenced, and one when it resolves.';

create function public.forget_alerts(p_before timestamptz) returns void
language sql volatile set search_path = ''
as $$
    delete from public.alerts a where a.resolved_at < p_before;
    delete from public.alert_notifications n where n.alert_id is null and n.created_at < p_before;
    delete from public.alert_silences s where s.until < p_before;
$$;
comment on function public.forget_alerts is 'Deletes alerts with their notifications, tests of channels and silences that ended before a time.';

create function public.evaluate_alerts(p_every interval default '0') returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
    v_now constant timestamptz := clock_timestamp();
begin
    perform from public.alert_watch w where w.evaluated_at <= v_now - p_every for update skip locked;
    if not found then
        return false;
    end if;
    perform public.follow_alerts(v_now);
    perform public.announce_alerts(v_now);
    perform public.forget_alerts(v_now - interval '90 days');
    update public.alert_watch w set evaluated_at = v_now;
    return true;
end;
$$;
comment on function public.evaluate_alerts is
    'Compares the measures with the rules, at most once per p_every, however many workers call it. False if it was not due.';

-- Sending -----------------------------------------------------------------------------------------

create function public.claim_notifications(p_limit int default 20)
returns table (
    id uuid, attempt int, url text, channel text, kind text, rule text, subject text, severity text, detail jsonb,
    value double precision, worst double precision, fired_at timestamptz, resolved_at timestamptz
)
language sql volatile set search_path = ''
as $$
    with due as (
        select n.id from public.alert_notifications n
        join public.alert_channels c on c.id = n.channel_id and c.enabled
        where n.sent_at is null and n.given_up_at is null and n.due_at <= clock_timestamp() and n.kind <> 'test'
          -- Never send the end before the beginning.
          and not exists (
              select from public.alert_notifications first
              where first.alert_id = n.alert_id and first.channel_id = n.channel_id and first.kind < n.kind
                and first.sent_at is null and first.given_up_at is null
          )
        order by n.due_at
        limit p_limit
        for update of n skip locked
    ), claimed as (
        update public.alert_notifications n
        set attempts = n.attempts + 1, due_at = clock_timestamp() + interval '2 minutes'
        from due where n.id = due.id
        returning n.*
    )
    select n.id, n.attempts, u.url, c.name, n.kind, a.rule, a.subject, a.severity, a.detail,
           n.value, a.worst, a.fired_at, a.resolved_at
    from claimed n
    join public.alerts a on a.id = n.alert_id
    join public.alert_channels c on c.id = n.channel_id
    join public.alert_channel_urls u on u.channel_id = n.channel_id;
$$;
comment on function public.claim_notifications is
    'Claims up to p_limit due notifications for the caller, who must send and settle each within two minutes; otherwise another sender takes it.';

create function public.settle_notification(p_id uuid, p_attempt int, p_error text default null) returns boolean
language sql volatile set search_path = ''
as $$
    with settled as (
        update public.alert_notifications n
        set error = p_error,
            sent_at = case when p_error is null then clock_timestamp() end,
            given_up_at = case
                when p_error is not null and (n.kind = 'test' or n.created_at < clock_timestamp() - interval '1 day')
                then clock_timestamp() end,
            due_at = clock_timestamp() + least(10 * 2 ^ least(n.attempts - 1, 10), 1800) * interval '1 second'
        where n.id = p_id and n.attempts = p_attempt and n.sent_at is null and n.given_up_at is null
        returning n.id
    )
    select exists (select from settled);
$$;
comment on function public.settle_notification is
    'Records that a claimed notification was sent, or why not. Then it is retried after ten seconds, with a backoff that doubles up to half an hour, for a day. False if the claim was lost.';
