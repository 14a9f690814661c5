-- A job that was cancelled before it started has not waited for 0 seconds: it has no wait.

create or replace function public.finished_jobs(
    p_from timestamptz, p_to timestamptz, p_status text default null, p_ids uuid[] default null
) returns table (
    hour timestamptz, job_type text, model_id text, status text, run_us bigint, wait_us bigint, created_at timestamptz
)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
begin
    return query
    select
        date_trunc('hour', q.completed_at, 'UTC'), coalesce(q.job_type, ''), coalesce(q.payload ->> 'model_id', ''),
        q.status,
        (extract(epoch from q.completed_at - q.started_at) * 1000000)::bigint,
        case when q.started_at is not null
            then greatest((extract(epoch from q.started_at - q.scheduled_at) * 1000000)::bigint, 0) end,
        q.created_at
    from (
        -- One of the three, each by its own index; the planner drops the others before it runs.
        select * from public.job_queue f
        where p_ids is null and p_status is null
          and f.status in ('completed', 'failed', 'cancelled') and f.completed_at >= p_from and f.completed_at < p_to
        union all
        select * from public.job_queue f
        where p_ids is null and p_status = 'failed'
          and f.status = 'failed' and f.completed_at >= p_from and f.completed_at < p_to
        union all
        select * from public.job_queue f
        where p_ids is null and p_status <> 'failed' and f.status = p_status
          and f.status in ('completed', 'failed', 'cancelled') and f.completed_at >= p_from and f.completed_at < p_to
        union all
        select * from public.job_queue f
        where f.id = any (p_ids)
    ) q;
end;
$$;

-- What was folded before counts such jobs in bin 0, the lowest digits. A finished job that was started
-- has a run time.
update public.job_rollup
set waits = runs,
    wait_histogram = wait_histogram - (waits - runs),
    wait_us_max = case when runs > 0 then wait_us_max end
where waits <> runs;
update public.job_rollup_daily
set waits = runs,
    wait_histogram = wait_histogram - (waits - runs),
    wait_us_max = case when runs > 0 then wait_us_max end
where waits <> runs;
