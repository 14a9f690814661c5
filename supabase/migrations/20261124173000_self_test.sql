-- The self-test: what it puts into the database, and how all of it is taken out again.
-- A run is known by its id: its generations by their prompt, its user by the e-mail address.

create function public.self_test_prompt(p_run uuid) returns text
language sql immutable parallel safe set search_path = ''
return 'Darkroom self-test ' || coalesce(p_run::text, '%');
comment on function public.self_test_prompt is 'The prompt of a run''s generations; for null a pattern that fits those of every run.';

create function public.self_test_email(p_run uuid) returns text
language sql immutable parallel safe set search_path = ''
return 'self-test-' || coalesce(p_run::text, '%') || '@darkroom.invalid';
comment on function public.self_test_email is 'The address of a run''s user; for null a pattern that fits those of every run.';

create function public.start_self_test(
    p_run uuid, p_model_id text, out generation_id uuid, out job_id uuid
)
language plpgsql volatile set search_path = ''
as $$
begin
    if p_run is null then
        raise exception 'run is null: say which run of the self-test this is' using errcode = '22023';
    end if;
    insert into public.image_generations (prompt, model_id, source)
    values (public.self_test_prompt(p_run), p_model_id, 'test')
    returning id into generation_id;
    job_id := public.enqueue_job(
        'generate-image',
        jsonb_build_object(
            'generation_id', generation_id, 'prompt', public.self_test_prompt(p_run), 'model_id', p_model_id, 'test', true
        ),
        -- Far enough that no worker takes it: it is for process-generation, which does not wait.
        p_scheduled_at => now() + interval '1 day'
    );
end;
$$;
comment on function public.start_self_test is 'A test generation with a job that nobody takes unless asked for it, of any model, even one that does not exist.';

create function public.silence_self_test_job(p_job_id uuid) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
    update public.job_queue q
    set started_at = clock_timestamp() - public.stuck_after() - interval '1 minute'
    where q.id = p_job_id and q.job_type like 'self-test-%' and q.status = 'processing';
    if not found then
        return false;
    end if;
    -- With a lease it would be rescued by the next living worker; without one it waits for an operator.
    delete from public.job_leases l where l.job_id = p_job_id;
    return true;
end;
$$;
comment on function public.silence_self_test_job is
    'Makes a running job of the self-test look as if its worker had fallen silent. False, and nothing changed, for any other job.';

create function public.remove_self_test(p_run uuid default null)
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
comment on function public.remove_self_test is
    'Deletes what a run of the self-test made, or for null what runs of more than 15 minutes ago left behind, and nothing else. Returns how much, and the images that are still stored.';

-- The last run is read from the audit log.
create index audit_log_self_test_idx on public.audit_log (at desc) where action = 'self_test';

do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in (
              'self_test_prompt', 'self_test_email', 'start_self_test', 'silence_self_test_job', 'remove_self_test'
          )
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
