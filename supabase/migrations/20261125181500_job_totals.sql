-- For a monitor: numbers that only grow.

create table public.job_totals (
    job_type text   not null,
    status   text   not null,
    jobs     bigint not null,
    primary key (job_type, status)
);
comment on table public.job_totals is 'The highest numbers of ended jobs that ended_totals has told.';

create function public.ended_totals() returns setof public.job_totals
language plpgsql volatile set search_path = ''
as $$
begin
    insert into public.job_totals as t (job_type, status, jobs)
    select s.job_type, s.status, sum(s.jobs)::bigint from public.job_stats_parts('-infinity', 'infinity', 'all') s
    group by s.job_type, s.status
    order by s.job_type, s.status
    on conflict (job_type, status) do update set jobs = excluded.jobs where excluded.jobs > t.jobs;
    return query select * from public.job_totals;
end;
$$;
comment on function public.ended_totals is
    'How many jobs have ended so far, purged ones included. Never less than before, though a retried job is not failed any more: a monitor takes a fall for a restart from zero.';
