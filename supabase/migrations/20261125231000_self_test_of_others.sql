-- The self-test of a project with functions of its own, which end a generation and its job at
-- two moments: their jobs are found by the run's user and the time of the run.

create or replace function public.remove_self_test(p_run uuid default null)
returns table (users int, generations int, jobs int, storage_paths text[])
language plpgsql volatile set search_path = ''
    -- Few rows, each by an index, however large the tables are.
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    -- No run takes as long: what is older was left by one that was killed.
    v_before constant timestamptz := case when p_run is null then now() - interval '15 minutes' else 'infinity' end;
    v_users       uuid[];
    v_generations uuid[];
    v_jobs        uuid[];
begin
    v_users := array(
        select u.id from auth.users u
        where u.email like public.self_test_email(p_run) and u.created_at < v_before
    );
    v_generations := array(
        select g.id from public.image_generations g
        where g.source = 'test' and g.prompt like public.self_test_prompt(p_run) and g.created_at < v_before
        union
        select g.id from public.image_generations g where g.user_id = any (v_users)
    );
    -- A live job by its generation, an ended one by the moment of its end: both have an index.
    v_jobs := array(
        select q.id from public.job_queue q
        where q.status in ('pending', 'processing') and public.generation_of(q.payload) = any (v_generations)
        union
        select q.id from public.image_generations g
        join public.job_queue q on q.completed_at = g.completed_at
        where g.id = any (v_generations)
          and q.status in ('completed', 'failed', 'cancelled') and public.generation_of(q.payload) = g.id
        union
        select q.id from auth.users u
        join public.job_queue q
            on q.completed_at between u.created_at and u.created_at + interval '15 minutes' and q.created_by = u.id
        where u.id = any (v_users) and q.status in ('completed', 'failed', 'cancelled')
    );
    perform from public.job_queue q where q.id = any (v_jobs) order by q.id for update;
    delete from public.job_leases l where l.job_id = any (v_jobs);
    delete from public.job_queue q where q.id = any (v_jobs);
    storage_paths := array(
        select g.storage_path from public.image_generations g
        where g.id = any (v_generations) and g.storage_path is not null
    );
    delete from public.image_generations g where g.id = any (v_generations);
    delete from auth.users u where u.id = any (v_users);
    users := cardinality(v_users);
    generations := cardinality(v_generations);
    jobs := cardinality(v_jobs);
    return next;
end;
$$;
