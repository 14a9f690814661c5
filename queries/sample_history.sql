-- Thirty days of generated history for an empty embedded database, created in SQL. Every draw is a
-- hash of the job's number and the draw's name: the same hour gives the same history. The
-- statements run in this order, in one transaction.

-- name: lock()^
-- Waits until no other session is loading; held until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('darkroom:sample_history', 0));

-- name: wanted$
-- False if the queue holds a job or the history was loaded before, even if it was removed since.
select not exists (select from public.job_queue)
    and not exists (select from public.audit_log where action = 'load_sample_data')
    and not exists (select from auth.users where email like 'sample-user-%%@example.invalid');

-- name: prepare#
set local work_mem = '32MB';
set local timezone = 'UTC';

-- Draws: uniform in [0, 1); normal by the Box-Muller transform; one of a list.
create or replace function pg_temp.uniform(seed bigint, draw text) returns double precision
language sql immutable parallel safe
return (hashtextextended(draw, seed) & 4503599627370495) / 4503599627370496.0::double precision;

create or replace function pg_temp.normal(seed bigint, draw text) returns double precision
language sql immutable parallel safe
return sqrt(-2 * ln(1 - pg_temp.uniform(seed, draw || ' radius')))
    * cos(2 * pi() * pg_temp.uniform(seed, draw || ' angle'));

create or replace function pg_temp.one_of(list text[], seed bigint, draw text) returns text
language sql immutable parallel safe
return list[1 + floor(pg_temp.uniform(seed, draw) * cardinality(list))::int];

-- share of the requests, median run in seconds, spread of its logarithm, share that fails
create temp table sample_models on commit drop as
select *,
    (sum(share) over w - share)::double precision as share_from,
    (sum(share) over w)::double precision as share_to
from (values
    ('black-forest-labs/flux-schnell', 0.34, 1.5, 0.30, 0.018),
    ('black-forest-labs/flux-dev', 0.17, 6.5, 0.35, 0.030),
    ('black-forest-labs/flux-1.1-pro', 0.14, 4.2, 0.30, 0.025),
    ('stability-ai/sdxl', 0.11, 5.0, 0.45, 0.055),
    ('stability-ai/stable-diffusion-3.5-large', 0.08, 9.0, 0.40, 0.065),
    ('ideogram-ai/ideogram-v3-turbo', 0.06, 3.8, 0.35, 0.030),
    ('recraft-ai/recraft-v3', 0.05, 7.5, 0.35, 0.035),
    ('google/imagen-4', 0.05, 5.5, 0.30, 0.055)
) as m (id, share, median_seconds, spread, failing)
window w as (order by share, id);

-- The errors of a model with their weights; {} stands for the model. run_seconds: until the error
-- occurs, null for as long as a success takes.
create temp table sample_errors on commit drop as
select
    m.id as model_id, e.code, e.permanent, e.run_seconds, e.retry_after_seconds,
    replace(e.message, '{}', m.id) as message,
    jsonb_strip_nulls(jsonb_build_object(
        'code', e.code, 'permanent', e.permanent, 'retry_after_seconds', e.retry_after_seconds
    )) as details,
    ((sum(e.weight) over w - e.weight) / sum(e.weight) over all_of_it)::double precision as share_from,
    (sum(e.weight) over w / sum(e.weight) over all_of_it)::double precision as share_to
from sample_models m
join (values
    (null, 'rate_limited', 20.0, false, 0.4, 30.0, 'Replicate rate-limited the request for model {}: Request was throttled. Your rate limit resets in ~30s.'),
    (null, 'provider_error', 20, false, 2, null, 'Replicate returned HTTP 502 for model {}: Bad Gateway'),
    (null, 'prediction_failed', 18, false, null, null, '{} ended as failed: CUDA out of memory'),
    (null, 'invalid_input', 14, true, 0.4, null, 'Replicate rejected the input for model {}: width and height: this size is not supported'),
    (null, 'unreachable', 10, false, 10, null, 'Replicate at api.replicate.com does not respond (ConnectTimeout).'),
    (null, 'deadline_exceeded', 8, false, 300, null, '{} took longer than 300 s and was cancelled.'),
    (null, 'no_credit', 4, true, 0.4, null, 'The Replicate account has no credit to run model {} (add credit at replicate.com/account/billing): You have insufficient credit to run this model.'),
    ('stability-ai/sdxl', 'model_not_found', 35, true, 0.4, null, 'Replicate has no model {}: The specified version does not exist.'),
    ('google/imagen-4', 'refused', 60, true, null, null, 'The safety filter of {} refused the prompt or the image. Change the prompt and try again.')
) as e (model_id, code, weight, permanent, run_seconds, retry_after_seconds, message)
    on e.model_id is null or e.model_id = m.id
window all_of_it as (partition by m.id), w as (all_of_it order by e.weight, e.code);

-- What the requests ask for. Each scene in each light has an image in lib/database/sample_images,
-- drawn by bench/sample_images.py.
create temp table sample_scenes on commit drop as
select row_number() over () - 1 as number, name, subject, width, height
from (values
    ('lighthouse', 'a lighthouse on a cliff', 768, 1344),
    ('balloons', 'hot-air balloons over a valley', 1024, 1024),
    ('boat', 'a sailing boat on a calm sea', 1152, 896),
    ('lake', 'a mountain lake', 1344, 768),
    ('cabin', 'a cabin in a pine forest', 1024, 1024),
    ('village', 'a snow-covered village', 1344, 768),
    ('skyline', 'a city skyline', 1344, 768),
    ('dunes', 'sand dunes in the desert', 1152, 896),
    ('lavender', 'a field of lavender', 1024, 1024),
    ('forest', 'a pine forest', 768, 1344),
    ('observatory', 'an observatory on a mountain', 1024, 1024),
    ('island', 'a small island with palm trees', 1024, 1024)
) as s (name, subject, width, height);

create temp table sample_lights on commit drop as
select row_number() over () - 1 as number, name, words
from (values
    ('day', 'bright sunlight'), ('day', 'summer noon'), ('dusk', 'golden hour'),
    ('dusk', 'at sunset'), ('night', 'moonlight'), ('night', 'starry night')
) as l (name, words);

-- name: span(until)!
-- The end of the history (null: now), and when Replicate was down, no worker ran, and flux-dev was
-- slow.
create temp table sample_span on commit drop as
select
    until,
    date_trunc('hour', until) as this_hour,
    tstzrange(today - interval '9 days 10 hours', today - interval '9 days 8 hours') as outage,
    tstzrange(today - interval '3 days 9 hours', today - interval '3 days 8 hours 15 minutes') as standstill,
    tstzrange(today - interval '7 days', today - interval '6 days') as slow_day
from (select coalesce(:until::timestamptz, now()) as until) u, date_trunc('day', until) as today;

-- name: draw_requests!
-- Requests: user, model and time. Busiest at 14:00 UTC, fewer at weekends, growing over the month.
create temp table sample_requests on commit drop as
select
    n,
    hour + pg_temp.uniform(n, 'minute') * interval '1 hour' as created_at,
    1 + floor(40 * power(pg_temp.uniform(n, 'user'), 1.5))::int as user_number,
    m.id as model_id,
    s.subject || ', ' || pg_temp.one_of(array[
        'flat vector poster', 'screen print', 'paper cut-out', 'gouache', 'linocut print',
        'minimalist illustration', 'travel poster', 'low-poly render'
    ], n, 'style') || ', ' || l.words as prompt,
    jsonb_build_object('width', s.width, 'height', s.height) as parameters,
    'sample-' || s.name || '-' || l.name || '.webp' as image,
    case when urge < 0.02 then 10 when urge < 0.08 then 5 when urge < 0.10 then -5 else 0 end as priority
from (
    select hour, row_number() over (order by hour, i) as n
    from (
        select hour, 20000 * weight / sum(weight) over () as expected
        from sample_span
        cross join generate_series(this_hour - interval '30 days', this_hour, interval '1 hour') as hour
        cross join lateral (
            select (1 + 0.65 * cos(2 * pi() * (extract(hour from hour) - 14) / 24))
                * case when extract(isodow from hour) >= 6 then 0.6 else 1 end
                * (1 - 0.3 * extract(epoch from this_hour - hour) / extract(epoch from interval '30 days'))
                * (0.85 + 0.3 * pg_temp.uniform(extract(epoch from hour)::bigint, 'hour')) as weight
        ) weights
    ) hours, generate_series(1, round(expected)::int) as i
) numbered
cross join pg_temp.uniform(n, 'priority') as urge
cross join pg_temp.uniform(n, 'model') as model
join sample_models m on model >= m.share_from and model < m.share_to
join sample_scenes s on s.number = floor(12 * pg_temp.uniform(n, 'subject'))
join sample_lights l on l.number = floor(6 * pg_temp.uniform(n, 'light'));

-- name: run_requests!
-- One job for each request, attempt by attempt, with the backoff of retry_delay(); a few are
-- cancelled while pending.
create temp table sample_jobs on commit drop as
with planned as (
    select
        r.n, r.created_at, m.median_seconds, m.spread, e.message, e.details, e.run_seconds,
        e.retry_after_seconds,
        case when s.slow_day @> r.created_at and m.id like '%%/flux-dev' then 2.8 else 1 end as slowness,
        case when s.standstill @> r.created_at then upper(s.standstill) - r.created_at
            + pg_temp.uniform(r.n, 'queue') * interval '4 minutes' end as held_for,
        outcome,
        case
            when outcome = 'cancelled' then 0
            when e.permanent then 1
            when outcome = 'failed' or retries < 0.005 then 3
            when retries < case when s.outage @> r.created_at then 0.4 else 0.03 end then 2
            else 1
        end as attempts
    from sample_requests r
    cross join sample_span s
    cross join pg_temp.uniform(r.n, 'error') as error
    cross join pg_temp.uniform(r.n, 'retries') as retries
    join sample_models m on m.id = r.model_id
    join sample_errors e on e.model_id = r.model_id and case
        when s.outage @> r.created_at then e.code = 'provider_error'
        else error >= e.share_from and error < e.share_to
    end
    cross join lateral (
        select case
            when pg_temp.uniform(r.n, 'cancelled') < 0.002 then 'cancelled'
            -- Nothing in the last hour, or a new demo could start with an alert.
            when r.created_at < s.this_hour - interval '90 minutes'
                and pg_temp.uniform(r.n, 'failed') < case when s.outage @> r.created_at then 0.35 else m.failing end
            then 'failed' else 'completed' end as outcome
    ) outcomes
), attempts as (
    select
        p.*, attempt,
        attempt < attempts or outcome = 'failed' as fails,
        case when attempt = 1 then 0 else
            greatest(10 * 2 ^ (attempt - 2), coalesce(retry_after_seconds, 0))
            * (1 + 0.25 * pg_temp.uniform(seed, 'jitter'))
        end as pause,
        case when attempt = 1 and held_for is not null then extract(epoch from held_for)
            else 0.3 * exp(0.9 * pg_temp.normal(seed, 'wait')) end as wait,
        case when (attempt < attempts or outcome = 'failed') and run_seconds is not null
            then run_seconds * (1 + 0.1 * pg_temp.uniform(seed, 'run'))
            else median_seconds * slowness * exp(spread * pg_temp.normal(seed, 'run')) end as run
    from planned p, generate_series(1, attempts) as attempt, lateral (select 10 * n + attempt as seed) s
), timed as (
    select *, created_at + make_interval(secs => sum(pause + wait + run) over w) as ended_at
    from attempts
    window w as (partition by n order by attempt)
), ended as (
    select
        *,
        jsonb_agg(jsonb_build_object(
            'attempt', attempt, 'due_at', ended_at - make_interval(secs => run + wait),
            'started_at', ended_at - make_interval(secs => run), 'at', ended_at, 'worker', null,
            'error', message, 'details', details
        )) filter (where fails) over (partition by n order by attempt) as errors
    from timed
)
select
    md5('sample job ' || n)::uuid as id,
    md5('sample generation ' || n)::uuid as generation_id,
    outcome as status,
    attempts,
    ended_at - make_interval(secs => run + wait) as scheduled_at,
    ended_at - make_interval(secs => run) as started_at,
    ended_at as completed_at,
    case when fails then message end as error_message,
    case when errors is not null then details || jsonb_build_object('attempts', errors) end as error_details,
    created_at,
    n
from ended
where attempt = attempts
union all
select
    md5('sample job ' || n)::uuid, md5('sample generation ' || n)::uuid, outcome, 0, created_at, null,
    created_at + make_interval(secs => 1 + 40 * pg_temp.uniform(n, 'patience')),
    'Cancelled by the user.', null, created_at, n
from planned
where outcome = 'cancelled';

-- name: forget_future!
-- Removes what has not ended by the end of the history.
delete from sample_jobs j using sample_span s where j.completed_at > s.until;

-- name: leave_stuck!
-- Turns four completed jobs of the last day into running ones whose worker died silently today.
update sample_jobs j
set status = 'processing', completed_at = null, created_at = stuck.at, scheduled_at = stuck.at,
    started_at = stuck.at + interval '420 milliseconds'
from (
    select n, this_hour - (array[21, 47, 68, 115])[row_number() over w] * interval '1 minute' as at
    from sample_jobs, sample_span
    where status = 'completed' and attempts = 1
      and created_at between this_hour - interval '24 hours' and this_hour - interval '1 hour'
    window w as (order by pg_temp.uniform(n, 'stuck'))
    order by pg_temp.uniform(n, 'stuck')
    limit 4
) stuck
where j.n = stuck.n;

-- name: repeat_some!
-- Five generations requested twice, the second time after the first job had ended.
insert into sample_jobs
select
    md5('sample repetition ' || n)::uuid, generation_id, status,
    case status when 'cancelled' then 0 else 1 end, created_at,
    case when status <> 'cancelled' then created_at + interval '300 milliseconds' end,
    ended_at,
    case status when 'failed' then e.message when 'cancelled' then 'Cancelled by the user.' end,
    case status when 'failed' then e.details || jsonb_build_object('attempts', jsonb_build_array(
        jsonb_build_object(
            'attempt', 1, 'due_at', created_at, 'started_at', created_at + interval '300 milliseconds',
            'at', ended_at, 'worker', null, 'error', e.message, 'details', e.details
        )
    )) end,
    created_at, n
from (
    select
        n, generation_id, model_id,
        j.completed_at + interval '7 seconds' as created_at,
        j.completed_at + interval '9 seconds' as ended_at,
        (array['completed', 'failed', 'cancelled', 'completed', 'completed'])[row_number() over w] as status
    from sample_jobs j join sample_requests using (n), sample_span
    where j.status = 'completed' and j.completed_at between this_hour - interval '6 days' and this_hour - interval '24 hours'
    window w as (order by pg_temp.uniform(n, 'repeated'))
    order by pg_temp.uniform(n, 'repeated')
    limit 5
) again
join sample_errors e on e.model_id = again.model_id and e.code = 'no_credit';

-- name: write_users!
insert into auth.users (id, email, created_at)
select
    md5('sample user ' || number)::uuid,
    'sample-user-' || lpad(number::text, 2, '0') || '@example.invalid',
    s.this_hour - interval '31 days' - number * interval '31 hours'
from sample_span s, generate_series(1, 40) as number;

-- name: write_generations(images)!
-- images: whether the images are stored.
insert into public.image_generations (
    id, user_id, prompt, model_id, parameters, status, progress, image_url, storage_path,
    thumbnail_path, error_message, error_code, source,
    created_at, started_at, completed_at, updated_at
)
select distinct on (j.n)
    j.generation_id, md5('sample user ' || r.user_number)::uuid, r.prompt, r.model_id, r.parameters, j.status,
    case j.status when 'completed' then 100 when 'processing' then 35 else 0 end,
    '/images/' || i.image, i.image, i.image, j.error_message,
    case when j.error_message is not null then j.error_details ->> 'code' end, 'sample',
    j.created_at, j.started_at, j.completed_at, coalesce(j.completed_at, j.started_at)
from sample_jobs j
join sample_requests r using (n)
cross join lateral (select case when :images and j.status = 'completed' then r.image end) i (image)
order by j.n, j.created_at;

-- name: write_jobs!
-- Directly, where otherwise only functions change job_queue: no worker needs to be woken.
insert into public.job_queue (
    id, job_type, payload, status, attempts, scheduled_at, started_at, completed_at, error_message,
    error_details, created_by, priority, created_at, updated_at
)
select
    j.id, 'generate-image',
    jsonb_build_object('generation_id', j.generation_id, 'prompt', r.prompt, 'model_id', r.model_id),
    j.status, j.attempts, j.scheduled_at, j.started_at, j.completed_at, j.error_message,
    j.error_details, md5('sample user ' || r.user_number)::uuid, r.priority, j.created_at,
    coalesce(j.completed_at, j.started_at)
from sample_jobs j join sample_requests r using (n)
order by j.created_at;

-- name: sample_queue!
-- How long the queue was every five minutes: what had been created and not started, or started and not ended.
insert into public.queue_samples (minute, pending, due, processing)
with changes as (
    select created_at as at, 1 as pending, 0 as processing from sample_jobs
    union all
    select coalesce(started_at, completed_at), -1, (started_at is not null)::int from sample_jobs
    union all
    select completed_at, 0, -1 from sample_jobs where started_at is not null and completed_at is not null
), samples as (
    select generate_series(date_trunc('day', until) - interval '30 days', until, interval '5 minutes') as at from sample_span
), counted as (
    select
        at, is_sample,
        sum(pending) over so_far as pending, sum(processing) over so_far as processing
    from (
        select at, pending, processing, false as is_sample from changes
        union all
        select at, 0, 0, true from samples
    ) c
    window so_far as (order by at)
)
select at, pending, pending, processing from counted where is_sample;

-- name: record(jobs)!
-- Records the load, which remove_sample_data and the next start look for.
insert into public.audit_log (actor, action, affected, details) values ('darkroom', 'load_sample_data', :jobs, '{}');

-- name: fold$
-- Folds the jobs into the rollups, from which the pages read history.
select public.rebuild_rollup();

-- name: analyze#
-- A smaller sample than the default is enough for so few rows, and saves 0.1 s.
set local default_statistics_target = 30;
analyze public.job_queue, public.image_generations, public.job_rollup, public.arrival_rollup, public.failure_rollup;
