-- Realistic history of any size, made by the database itself. Every draw is a hash of the number of a
-- job and the name of the draw: job number 5 is the same job in every database.

-- name: is_laid_out$
select to_regclass('bench.scale') is not null;

-- name: loaded$
-- Jobs of history that are loaded; null while a load is unfinished.
select sum(jobs)::bigint from bench.spans where (select complete from bench.scale);

-- name: count_by_status
select status, count(*) as jobs from public.job_queue group by status order by status;

-- name: size$
select pg_size_pretty(pg_database_size(current_database()));

-- name: lay_out#
drop schema if exists bench cascade;
create schema bench;
create table bench.scale (
    until timestamptz not null, days int not null, jobs_per_weight double precision not null,
    complete boolean not null default false
);
comment on table bench.scale is 'One row: when the first load ended, and how many jobs an hour of weight 1 has.';
create table bench.spans (
    span_from timestamptz primary key, span_to timestamptz not null, first bigint not null, jobs int not null
);
comment on table bench.spans is 'Hours or parts of them, and the numbers of the jobs created in each.';
create table bench.restore (position int generated always as identity, relation regclass not null, statement text not null);
comment on table bench.restore is 'Indexes and foreign keys that were taken away for the time of loading.';

-- Draws: uniform from 0 to below 1; normal by the Box-Muller transform; one of a list.
create function bench.uniform(n bigint, draw text) returns double precision
language sql immutable parallel safe
return (hashtextextended(draw, n) & 4503599627370495) / 4503599627370496.0::double precision;

create function bench.normal(n bigint, draw text) returns double precision
language sql immutable parallel safe
return sqrt(-2 * ln(1 - bench.uniform(n, draw))) * cos(2 * pi() * bench.uniform(n, draw || '~'));

create function bench.one_of(list text[], n bigint, draw text) returns text
language sql immutable parallel safe
return list[1 + floor(bench.uniform(n, draw) * cardinality(list))::int];

-- Busiest at 14 hours UTC, fewer at weekends, growing until the first load.
create function bench.weight(at timestamptz, until timestamptz, days int) returns double precision
language sql immutable parallel safe
return (1 + 0.65 * cos(2 * pi() * (extract(hour from at at time zone 'UTC') - 14) / 24))
    * case when extract(isodow from at at time zone 'UTC') >= 6 then 0.6 else 1 end
    * (1 - 0.3 * greatest(extract(epoch from until - at) / (days * 86400.0), 0))
    * (0.85 + 0.3 * bench.uniform(extract(epoch from at)::bigint, 'hour'));

-- lower: where its share of the requests begins; median run in seconds, spread of its logarithm, share that fails.
create table bench.models as
select row_number() over (order by lower) as number, m.*
from (values
    (0.00::double precision, 'black-forest-labs/flux-schnell', 1.5::double precision, 0.30::double precision, 0.030::double precision),
    (0.34, 'black-forest-labs/flux-dev', 6.5, 0.35, 0.040),
    (0.51, 'black-forest-labs/flux-1.1-pro', 4.2, 0.30, 0.035),
    (0.65, 'stability-ai/sdxl', 5.0, 0.45, 0.060),
    (0.76, 'stability-ai/stable-diffusion-3.5-large', 9.0, 0.40, 0.065),
    (0.84, 'ideogram-ai/ideogram-v3-turbo', 3.8, 0.35, 0.035),
    (0.90, 'recraft-ai/recraft-v3', 7.5, 0.35, 0.040),
    (0.95, 'google/imagen-4', 5.5, 0.30, 0.045)
) as m (lower, id, median_seconds, spread, failing);

-- run_seconds: until the error shows; null: as long as a success takes.
create table bench.errors as
select row_number() over (order by lower) as number, e.*
from (values
    (0.00::double precision, 'rate_limited', false, 0.4::double precision, 'Replicate rate-limited the request for model {model}: Request was throttled. Your rate limit resets in ~{n}s.'),
    (0.20, 'provider_error', false, 2, 'Replicate returned HTTP 502 for model {model}: Bad Gateway (request {uuid})'),
    (0.38, 'prediction_failed', false, null, '{model} failed: CUDA out of memory. Tried to allocate {n}.50 GiB (prediction {id})'),
    (0.54, 'invalid_input', true, 0.4, 'Replicate rejected the input for model {model}: width: {n} is not a multiple of 8'),
    (0.66, 'unreachable', false, 10, 'Replicate at https://api.replicate.com/v1/predictions/{id} does not respond (ConnectTimeout).'),
    (0.76, 'deadline_exceeded', false, 300, '{model} took longer than 300 s and was cancelled.'),
    (0.84, 'download_failed', false, 3, 'The image at https://replicate.delivery/xezq/{id}/out-{n}.png cannot be fetched: 404 Not Found'),
    (0.90, 'prediction_failed', false, null, '{model} failed: The image was held back by the safety filter.'),
    (0.95, 'no_credit', true, 0.4, 'The Replicate account has no credit to run model {model}: Insufficient credit'),
    (0.98, 'model_not_found', true, 0.4, 'Replicate has no model {model}: The specified version does not exist.')
) as e (lower, code, permanent, run_seconds, message);

create function bench.requests(p_from timestamptz, p_to timestamptz)
returns table (
    n bigint, span bigint, created_at timestamptz, user_id uuid, model_id text, median_seconds double precision,
    spread double precision,
    outcome text, error_code text, error_permanent boolean, error_seconds double precision, error_message text,
    attempts int, prompt text, parameters jsonb
)
language sql stable parallel safe
as $$
    select
        r.n, r.first, r.created_at, md5('bench user ' || r.user_number)::uuid, m.id, m.median_seconds, m.spread,
        r.outcome, e.code, e.permanent, e.run_seconds,
        replace(replace(replace(replace(
            e.message, '{model}', m.id), '{id}', left(md5('prediction ' || r.n), 26)),
            '{uuid}', md5('request ' || r.n)::uuid::text), '{n}', (1 + r.n % 97)::text),
        case
            when r.outcome = 'cancelled' then (r.retries < 0.5)::int
            -- A permanent error is never got over.
            when e.permanent then 1
            when r.outcome = 'failed' or r.retries < 0.005 then 3
            when r.retries < 0.045 then 2
            else 1
        end,
        bench.one_of(array[
            'a lighthouse on a cliff', 'a cabin in a birch forest', 'a bowl of ripe persimmons', 'a sleeping red fox',
            'a tram in a rainy street', 'a glass teapot', 'an old observatory', 'a field of lavender', 'a paper crane',
            'a harbour with fishing boats', 'a stone bridge', 'a snow-covered village', 'a tide pool'
        ], r.n, 'subject') || ', ' || bench.one_of(array[
            'watercolour', 'oil painting', 'isometric illustration', '35 mm photograph', 'woodcut', 'pencil sketch'
        ], r.n, 'style') || ', number ' || r.n,
        bench.one_of(array[
            '{"width": 1024, "height": 1024}', '{"width": 1344, "height": 768}', '{"width": 768, "height": 1344}'
        ], r.n, 'size')::jsonb
    from (
        select
            j.n, s.first, bench.uniform(j.n, 'retries') as retries,
            s.span_from + (j.n - s.first + bench.uniform(j.n, 'moment')) / s.jobs * (s.span_to - s.span_from) as created_at,
            1 + floor(3000 * power(bench.uniform(j.n, 'user'), 1.5))::int as user_number,
            -- Each join by number: comparing every row with every model and error takes far longer.
            k.model_number,
            case
                when k.fate < 0.02 then 'cancelled'
                when k.fate < 0.02 + k.failing then 'failed'
                else 'completed'
            end as outcome,
            case when k.fate between 0.02 and 0.02 + k.failing or bench.uniform(j.n, 'retries') < 0.045 and k.fate >= 0.02
                then width_bucket(bench.uniform(j.n, 'error'), array(select lower from bench.errors order by number))
            end as error_number
        from bench.spans s
        cross join lateral generate_series(s.first, s.first + s.jobs - 1) as j (n)
        cross join lateral (
            select d.*, (array(select failing from bench.models order by number))[d.model_number] as failing
            from (
                select
                    bench.uniform(j.n, 'fate') as fate,
                    width_bucket(
                        bench.uniform(j.n, 'model'), array(select lower from bench.models order by number)
                    ) as model_number
                offset 0
            ) d
            offset 0
        ) k
        where s.span_from >= p_from and s.span_from < p_to
        offset 0
    ) r
    join bench.models m on m.number = r.model_number
    left join bench.errors e on e.number = r.error_number
$$;

-- Every request run to its end.
create function bench.ended(p_from timestamptz, p_to timestamptz)
returns table (
    n bigint, status text, attempts int, failures int, created_at timestamptz, scheduled_at timestamptz,
    started_at timestamptz, completed_at timestamptz, user_id uuid, model_id text, error_code text,
    error_permanent boolean, error_message text, prompt text, parameters jsonb
)
language sql stable parallel safe
as $$
    select
        t.n, t.outcome, t.attempts,
        case t.outcome when 'failed' then t.attempts when 'completed' then t.attempts - 1 else 0 end,
        t.created_at,
        t.created_at + make_interval(secs => t.before),
        case when t.attempts > 0 then t.created_at + make_interval(secs => t.before + t.wait) end,
        t.created_at + make_interval(secs => t.before + t.wait + t.run),
        t.user_id, t.model_id, t.error_code, t.error_permanent, t.error_message, t.prompt, t.parameters
    from (
        select
            r.*,
            (0.3 * exp(0.9 * bench.normal(r.n, 'wait'))
                * case when bench.uniform(r.span, 'busy') < 0.01 then 100 else 1 end)::double precision as wait,
            case
                when r.attempts = 0 then 40 * bench.uniform(r.n, 'patience')
                when r.outcome = 'failed' and r.error_seconds is not null then r.error_seconds * (1 + 0.1 * bench.uniform(r.n, 'run'))
                else r.median_seconds * exp(r.spread * bench.normal(r.n, 'run'))
            end as run,
            case r.attempts when 3 then 30 when 2 then 10 else 0 end * (1 + 0.25 * bench.uniform(r.n, 'jitter'))
                + greatest(r.attempts - 1, 0) * coalesce(r.error_seconds, r.median_seconds) as before
        from bench.requests(p_from, p_to) r
        offset 0
    ) t
$$;

-- name: plan_first_load!
-- So many jobs in the days before now, hour by hour.
with times as (
    select now() as until, :days::int as days
), hours as (
    select h.at as span_from, least(h.at + interval '1 hour', t.until) as span_to,
           bench.weight(h.at, t.until, t.days) * extract(epoch from least(h.at + interval '1 hour', t.until) - h.at) / 3600 as weight
    from times t,
         generate_series(date_trunc('hour', t.until, 'UTC') - make_interval(days => t.days), t.until, interval '1 hour') as h (at)
    where h.at < t.until
), scale as (
    insert into bench.scale (until, days, jobs_per_weight)
    select t.until, t.days, :jobs::int / (select sum(weight) from hours) from times t
    returning jobs_per_weight
)
insert into bench.spans (span_from, span_to, first, jobs)
select span_from, span_to, round(upper - weight * jobs_per_weight)::bigint + 1,
       round(upper)::bigint - round(upper - weight * jobs_per_weight)::bigint
from (
    select h.*, s.jobs_per_weight, sum(h.weight) over (order by h.span_from) * s.jobs_per_weight as upper
    from hours h, scale s
) cumulated;

-- name: plan_until_now$
-- The hours since the last load at the same rate; gives the first moment of them, null when there are none.
with last as (
    select max(span_to) as at, max(first + jobs) as next from bench.spans
), planned as (
    select span_from, span_to,
           round(bench.weight(date_trunc('hour', span_from, 'UTC'), s.until, s.days) * s.jobs_per_weight
                 * extract(epoch from span_to - span_from) / 3600)::int as jobs,
           l.next
    from last l, bench.scale s,
         generate_series(date_trunc('hour', l.at, 'UTC'), now(), interval '1 hour') as h (at),
         lateral (select greatest(h.at, l.at) as span_from, least(h.at + interval '1 hour', now()) as span_to) span
    where span_from < span_to
), added as (
    insert into bench.spans (span_from, span_to, first, jobs)
    select span_from, span_to, next + coalesce(sum(jobs) over (order by span_from rows between unbounded preceding and 1 preceding), 0), jobs
    from planned
    returning span_from
)
select min(span_from) from added;

-- name: days
-- The days of which hours were planned from a moment on: how much is loaded by one statement.
select distinct date_trunc('day', span_from, 'UTC') as day from bench.spans where span_from >= :since order by 1;

-- name: add_users#
insert into auth.users (id, email, created_at)
select md5('bench user ' || k)::uuid, 'user-' || lpad(k::text, 4, '0') || '@example.invalid', now() - interval '90 days' - k * interval '3 hours'
from generate_series(1, 3000) k
on conflict do nothing;
insert into public.user_limits (user_id, daily_limit, hourly_limit)
select md5('bench user ' || k)::uuid, 1000 * k, 100 * k from generate_series(1, 50) k
on conflict do nothing;
insert into public.audit_log (at, actor, action, affected, details)
select now() - k * interval '4 hours', 'operator', (array['reset_stuck_jobs', 'retry_jobs', 'cancel_jobs'])[1 + k % 3], 1 + k % 7, '{}'
from generate_series(1, 500) k;

-- name: take_away#
-- Indexes and foreign keys of the two large tables, to be built when their rows are there.
do $$
declare
    v_one record;
begin
    for v_one in
        select relation, kind, name, restoring from (
            select c.conrelid::regclass as relation, c.confrelid as target, 1 as kind, c.conname as name,
                   format('alter table %s add constraint %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) as restoring
            from pg_constraint c
            where c.contype = 'f' and (c.conrelid in ('public.job_queue'::regclass, 'public.image_generations'::regclass)
                                       or c.confrelid in ('public.job_queue'::regclass, 'public.image_generations'::regclass))
            union all
            select c.conrelid::regclass, 0, 2, c.conname,
                   format('alter table %s add constraint %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
            from pg_constraint c
            where c.contype in ('p', 'u') and c.conrelid in ('public.job_queue'::regclass, 'public.image_generations'::regclass)
            union all
            select i.indrelid::regclass, 0, 3, r.relname, pg_get_indexdef(i.indexrelid)
            from pg_index i join pg_class r on r.oid = i.indexrelid
            where i.indrelid in ('public.job_queue'::regclass, 'public.image_generations'::regclass)
              and not exists (select from pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u'))
        ) found
        order by kind
    loop
        if v_one.kind = 3 then
            execute format('drop index public.%I', v_one.name);
        else
            execute format('alter table %s drop constraint %I', v_one.relation, v_one.name);
        end if;
        insert into bench.restore (relation, statement) values (v_one.relation, v_one.restoring);
    end loop;
end
$$;

-- name: restorations
-- What take_away took. Columns: relation (whose index it is; foreign keys come after all indexes), statement.
select case when statement like '%% FOREIGN KEY %%' then 'foreign keys' else relation::text end as relation, statement
from bench.restore
order by position desc;

-- name: without_triggers#
set session_replication_role = replica;

-- name: empty_jobs#
truncate public.job_queue;

-- name: empty_generations#
truncate public.image_generations;

-- name: add_jobs!
-- Jobs of the spans that begin in a time, one in 5000 of them twice; none that would end later than now.
insert into public.job_queue (
    id, job_type, payload, status, attempts, scheduled_at, started_at, completed_at, error_message,
    error_details, created_by, priority, created_at, updated_at
)
select
    md5('bench job ' || n || copy)::uuid,
    case when n %% 13 = 0 then 'upscale-image' else 'generate-image' end,
    jsonb_build_object('generation_id', md5('bench generation ' || n)::uuid, 'prompt', prompt, 'model_id', model_id),
    status, attempts, scheduled_at + later, started_at + later, completed_at + later,
    case when status = 'failed' then error_message
         when status = 'cancelled' then 'Cancelled by the user.'
         when failures > 0 then error_message end,
    case when failures > 0 then
        jsonb_build_object('code', error_code, 'permanent', error_permanent, 'attempts', (
            select jsonb_agg(jsonb_build_object(
                'attempt', a, 'at', created_at + later + (completed_at - created_at) * a / attempts, 'error', error_message,
                'details', jsonb_build_object('code', error_code, 'permanent', error_permanent)
            ) order by a)
            from generate_series(1, failures) a
        )) end,
    user_id,
    case when n %% 50 = 0 then 10 when n %% 17 = 0 then 5 when n %% 53 = 0 then -5 else 0 end,
    created_at + later, completed_at + later
from bench.ended(:since, :until)
cross join lateral (
    select '' as copy, interval '0' as later
    union all
    select ' again', interval '3 minutes' where n %% 5000 = 0
) copies
where completed_at + later < now();

-- name: add_generations!
-- The generations of those jobs.
insert into public.image_generations (
    id, user_id, prompt, model_id, parameters, status, progress, image_url, storage_path, error_message,
    prediction_id, source, created_at, started_at, completed_at, updated_at
)
select
    id, user_id, prompt, model_id, parameters, status, case status when 'completed' then 100 else 0 end,
    case when status = 'completed' then 'http://127.0.0.1:8501/images/' || id || '.png' end,
    case when status = 'completed' then id || '.png' end,
    case status when 'failed' then error_message when 'cancelled' then 'Cancelled by the user.' end,
    case when attempts > 0 then left(md5('prediction ' || n), 26) end,
    case when n %% 1000 = 0 then 'test' else 'app' end,
    created_at, started_at, completed_at, completed_at
from bench.ended(:since, :until)
cross join lateral (select md5('bench generation ' || n)::uuid as id) g
where completed_at < now();

-- name: add_live#
-- What is under way now, in place of what was before: 400 waiting (20 of them for generations that are
-- complete, a quarter not yet due), 40 running under the leases of six workers, 12 that nobody works on.
delete from public.job_queue where status in ('pending', 'processing');
delete from public.image_generations where status in ('queued', 'processing');
delete from public.job_leases;
delete from public.workers;
insert into public.workers (id, kind, host, pid, process_started_at, version, job_types, concurrency, processed, started_at)
select md5('bench worker ' || k)::uuid, 'worker', 'worker-' || k, 100 + k, now() - interval '1 day', '0.1.0',
       '{generate-image}', 10, 10000 * k, now() - interval '1 day'
from generate_series(1, 6) k;
create temp table live as
select
    md5('bench live ' || k)::uuid as id,
    case when k <= 20 then r.generation_id else md5('bench live generation ' || k)::uuid end as generation_id,
    case when k <= 400 then 'pending' else 'processing' end as status,
    k, k <= 20 as again, r.prompt, r.model_id, r.user_id,
    case when k > 440 then now() - interval '11 minutes' - k * interval '10 seconds' else now() - k % 200 * interval '1 second' end as created_at
from (
    select row_number() over (order by q.completed_at desc) as k, public.generation_of(q.payload) as generation_id,
           q.payload ->> 'prompt' as prompt, q.payload ->> 'model_id' as model_id, q.created_by as user_id
    from public.job_queue q where q.status = 'completed'
    order by q.completed_at desc limit 452
) r;
insert into public.image_generations (id, user_id, prompt, model_id, status, progress, created_at, started_at)
select generation_id, user_id, prompt, model_id, case status when 'pending' then 'queued' else status end,
       case status when 'processing' then 35 else 0 end, created_at,
       case status when 'processing' then created_at + interval '1 second' end
from live where not again;
insert into public.job_queue (id, job_type, payload, status, attempts, scheduled_at, started_at, created_by, created_at, updated_at)
select id, 'generate-image', jsonb_build_object('generation_id', generation_id, 'prompt', prompt, 'model_id', model_id),
       status, (status = 'processing')::int,
       created_at + case when k % 4 = 0 then interval '5 minutes' else '0' end,
       case status when 'processing' then created_at + interval '1 second' end, user_id, created_at, created_at
from live;
insert into public.job_leases (job_id, attempt, worker_id, heartbeat_at)
select id, 1, md5('bench worker ' || 1 + k % 6)::uuid, case when k > 440 then created_at else now() end
from live where status = 'processing';
drop table live;

-- name: mark_changed!
-- Hours whose rows were added past the queue's functions: the next refresh folds them again.
insert into public.rollup_dirty (hour, status)
select h, s
from generate_series(date_trunc('hour', :since::timestamptz, 'UTC'), now(), interval '1 hour') as h,
     unnest(array['completed', 'failed', 'refused', 'cancelled']) as s
on conflict do nothing;

-- name: rebuild$
select public.rebuild_rollup();

-- name: refresh$
-- True while more is left.
select public.refresh_rollup();

-- name: has_unfolded_totals$
-- Each refresh folds the totals of the paths for at most a second.
select totals_until < closed_until from public.rollup_state;

-- name: vacuum#
vacuum (analyze);

-- name: checkpoint#
checkpoint;

-- name: complete!
update bench.scale set complete = true;
