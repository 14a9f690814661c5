-- Alerts: what is measured against which threshold, what fires, who is told, who wants no telling.
--
-- evaluate_alerts() does it all in one transaction under one row lock, so that of any number of
-- evaluators only one changes anything. What is to be told waits in alert_notifications, one row per
-- alert, channel and kind, and is sent by whoever claims it: at least once, and never forgotten.

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
comment on table public.alert_rules is 'When an alert fires and when it is over. Changed by set_alert_rule.';
comment on column public.alert_rules.threshold is 'A measure above it is wrong: jobs, seconds, or a share from 0 to 1, as alert_measures says.';
comment on column public.alert_rules.resolve_at is 'A measure at or below it is right again; in between all stays as it is.';
comment on column public.alert_rules.for_seconds is 'How long it must be wrong before it fires, and right before it is over.';
comment on column public.alert_rules.minimum_jobs is 'Jobs that a share or percentile needs to mean something; null where it is neither.';

-- The deployment guide's thresholds where it has one. Critical: jobs are not done, or done wrong.
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
    ('queue_paused',   'warning',  3600,     0,   0, null),
    ('cron_failing',   'warning',     2,     0,   0, null);

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
create unique index alerts_open_key on public.alerts (rule, subject) where resolved_at is null;
create index alerts_rule_idx on public.alerts (rule);
create index alerts_fired_idx on public.alerts (fired_at desc);
create index alerts_resolved_idx on public.alerts (resolved_at);
comment on table public.alerts is
    'What is or was wrong, from its beginning to its end. Until fired_at nobody is told; what does not last so long is deleted. Kept for 90 days.';
comment on column public.alerts.subject is 'Which provider, worker, cron job or type of jobs; empty where the rule is about the whole queue.';
comment on column public.alerts.value is 'What was measured last; worst: the highest so far.';
comment on column public.alerts.calm_since is 'Since when the measure is at or below resolve_at; null while it is not.';

create table public.alert_channels (
    id             uuid        primary key default gen_random_uuid(),
    name           text        not null unique,
    shown          text        not null,
    least_severity text        not null,
    enabled        boolean     not null default true,
    created_by     text        not null,
    created_at     timestamptz not null default now()
);
comment on table public.alert_channels is 'Who is told. Changed by add_alert_channel, set_alert_channel and remove_alert_channel.';
comment on column public.alert_channels.shown is 'The address without any secret, for the dashboard.';
comment on column public.alert_channels.least_severity is 'warning: told of everything; critical: of that alone.';

create table public.alert_channel_urls (
    channel_id uuid primary key references public.alert_channels (id) on delete cascade,
    url        text
);
comment on table public.alert_channel_urls is
    'Secret: the addresses as Apprise takes them, tokens included. Read by who sends alone; without constraints whose error would quote one.';

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
create index alert_notifications_channel_idx on public.alert_notifications (channel_id, created_at desc);
create index alert_notifications_waiting_idx
    on public.alert_notifications (due_at) where sent_at is null and given_up_at is null;
comment on table public.alert_notifications is 'What is to be told and what was: each channel once of the beginning and once of the end of an alert.';
comment on column public.alert_notifications.attempts is 'Claims so far. (id, attempts) is the current claim; whoever has another number settles nothing.';
comment on column public.alert_notifications.due_at is 'When it may be claimed; of a claimed one, when its sender counts as lost.';
comment on column public.alert_notifications.error is 'Why the last attempt failed, in our own words: those of Apprise may quote the address.';

create table public.alert_silences (
    id         uuid        primary key default gen_random_uuid(),
    rule       text        references public.alert_rules (rule),
    subject    text,
    until      timestamptz not null,
    reason     text,
    created_by text        not null,
    created_at timestamptz not null default now()
);
create index alert_silences_rule_idx on public.alert_silences (rule);
create index alert_silences_until_idx on public.alert_silences (until);
comment on table public.alert_silences is 'Alerts that fire without a word: of a rule (null: of all), of a subject (null: of all).';

create table public.alert_watch (
    only_row     boolean     primary key default true check (only_row),
    began_at     timestamptz not null default now(),
    evaluated_at timestamptz not null default '-infinity'
);
comment on table public.alert_watch is 'When the alerts were last evaluated. Who evaluates locks this row.';
insert into public.alert_watch default values;
