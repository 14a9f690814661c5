-- Test runs: the generations that an operator submits together on the page Generate. They are kept apart
-- from those of users and deleted together.

create table public.test_runs (
    id         uuid        primary key,
    actor      text        not null check (actor <> ''),
    prompt     text        not null,
    models     text[]      not null check (cardinality(models) >= 1),
    settings   jsonb       not null default '{}' check (jsonb_typeof(settings) = 'object'),
    jobs       int         not null check (jobs >= 1),
    created_at timestamptz not null default now()
);
comment on table public.test_runs is 'Test runs: jobs that an operator submitted together.';
comment on column public.test_runs.settings is 'Values of the form, so that it can be filled in again.';
comment on column public.test_runs.jobs is 'Number of jobs requested; those started are in test_run_jobs.';

create index test_runs_created_idx on public.test_runs (created_at desc, id);

create table public.test_run_jobs (
    run_id        uuid        not null references public.test_runs (id) on delete cascade,
    place         int         not null,
    generation_id uuid        not null unique references public.image_generations (id) on delete cascade,
    job_id        uuid        not null,
    due_at        timestamptz not null,
    primary key (run_id, place)
);
comment on table public.test_run_jobs is 'The generations of a test run and their jobs, in the order in which they were started.';
comment on column public.test_run_jobs.job_id is 'No foreign key, because finished jobs may be purged before their run is deleted.';
comment on column public.test_run_jobs.due_at is 'First scheduled time of the job; a load test spreads its jobs over time.';

create function public.start_test_run(
    p_actor text, p_run_id uuid, p_prompt text, p_models text[], p_settings jsonb, p_jobs int
) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    perform public.require_actor(p_actor);
    insert into public.test_runs (id, actor, prompt, models, settings, jobs)
    values (p_run_id, p_actor, p_prompt, p_models, p_settings, p_jobs)
    on conflict (id) do nothing;
    if found then
        insert into public.audit_log (actor, action, affected, details)
        values (p_actor, 'start_test_run', p_jobs, jsonb_build_object(
            'run_id', p_run_id, 'models', to_jsonb(p_models), 'prompt', p_prompt
        ));
    end if;
end;
$$;
comment on function public.start_test_run is 'Records a test run and the actor. A repeated call changes nothing.';

create function public.start_test_generations(
    p_run_id          uuid,
    p_prompt          text,
    p_model_id        text,
    p_parameters      jsonb default '{}',
    p_idempotency_key text default null,
    p_jobs            int default 1,
    p_per_second      double precision default null,
    p_application     text default null,
    p_metadata        jsonb default null
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
    v_place  int;
    v_answer jsonb;
    v_next   jsonb;
    v_due    timestamptz;
begin
    if p_jobs is null or p_jobs not between 1 and 500 then
        raise exception 'jobs is %: choose 1 to 500', p_jobs using errcode = '22023';
    end if;
    if p_per_second <= 0 then
        raise exception 'per_second is %: choose a rate above 0', p_per_second using errcode = '22023';
    end if;
    -- One caller at a time adds to a run.
    perform from public.test_runs r where r.id = p_run_id for update;
    if not found then
        raise exception 'there is no test run %', p_run_id using errcode = '22023';
    end if;
    v_place := (select coalesce(max(t.place), 0) from public.test_run_jobs t where t.run_id = p_run_id);
    for n in 0 .. p_jobs - 1 loop
        v_next := public.start_generation(
            null, p_prompt, p_model_id,
            -- The same seed would produce the same image.
            p_parameters || case when n > 0 and jsonb_typeof(p_parameters -> 'seed') = 'number' then
                jsonb_build_object('seed', ((p_parameters ->> 'seed')::numeric + n) % 4294967296) else '{}' end,
            'test', case when n = 0 then p_idempotency_key end, p_application, p_metadata
        );
        v_answer := coalesce(v_answer, v_next);
        if n = 0 and exists (
            select from public.test_run_jobs t where t.generation_id = (v_next ->> 'generation_id')::uuid
        ) then
            return v_answer;  -- The request is a repetition.
        end if;
        v_due := now() + coalesce(n / p_per_second, 0) * interval '1 second';
        insert into public.test_run_jobs (run_id, place, generation_id, job_id, due_at)
        values (p_run_id, v_place + n + 1, (v_next ->> 'generation_id')::uuid, (v_next ->> 'job_id')::uuid, v_due);
        update public.job_queue q set scheduled_at = v_due
        where q.id = (v_next ->> 'job_id')::uuid and v_due > q.scheduled_at;
    end loop;
    return v_answer;
end;
$$;
comment on function public.start_test_generations is
    'Starts generations of a test run, p_per_second of them due each second (null: all at once). The seed increases by one for each. Results and errors are those of start_generation for the first.';

create function public.run_job_again(
    p_actor text, p_job_id uuid, p_key uuid, p_prompt text, p_parameters jsonb, p_settings jsonb default null
) returns uuid
language plpgsql volatile set search_path = ''
as $$
declare
    v_job     public.job_queue;
    v_earlier public.image_generations;
    v_model   text;
    v_user    uuid;
    v_started jsonb;
begin
    perform public.require_actor(p_actor);
    select * into v_job from public.job_queue q where q.id = p_job_id;
    if not found then
        raise exception 'there is no job %: it may have been purged', p_job_id using errcode = 'DR404';
    end if;
    if v_job.status in ('pending', 'processing') then
        raise exception 'job % is %: only a job that has ended can be run again', p_job_id, v_job.status using errcode = 'DR409';
    end if;
    select * into v_earlier from public.image_generations g where g.id = public.generation_of(v_job.payload);
    v_model := coalesce(v_earlier.model_id, v_job.payload ->> 'model_id');
    if p_settings is not null then
        perform public.start_test_run(p_actor, p_key, p_prompt, array[v_model], p_settings, 1);
        v_started := public.start_test_generations(
            p_key, p_prompt, v_model, p_parameters, p_key::text,
            p_application => v_earlier.application, p_metadata => v_earlier.metadata
        );
        -- The form of Generate takes sizes in pixels alone.
        update public.test_runs r
        set settings = r.settings || jsonb_build_object(
            'width', g.size -> 'expected' -> 'width', 'height', g.size -> 'expected' -> 'height'
        )
        from public.image_generations g
        where r.id = p_key and r.settings -> 'width' = 'null' and g.id = (v_started ->> 'generation_id')::uuid
          and jsonb_typeof(g.size -> 'expected' -> 'width') = 'number';
    else
        v_user := coalesce(v_job.created_by, v_earlier.user_id);
        if v_user is null then
            raise exception 'job % has no user: run it again as a test', p_job_id using errcode = '22023';
        end if;
        v_started := public.start_generation(
            v_user, p_prompt, v_model, p_parameters, p_idempotency_key => p_key::text,
            p_application => v_earlier.application, p_metadata => v_earlier.metadata
        );
    end if;
    -- A repetition of the call starts nothing and is not recorded.
    if exists (
        select from public.image_generations g
        where g.id = (v_started ->> 'generation_id')::uuid and g.created_at = now()
    ) then
        insert into public.audit_log (actor, action, affected, details)
        values (p_actor, 'run_job_again', 1, jsonb_build_object(
            'job_ids', jsonb_build_array(p_job_id, v_started -> 'job_id'), 'job_id', p_job_id,
            'new_job_id', v_started -> 'job_id', 'test', p_settings is not null, 'user_id', v_user
        ));
    end if;
    return (v_started ->> 'job_id')::uuid;
end;
$$;
comment on function public.run_job_again is
    'Starts a generation like that of an ended job, with another prompt and parameters, and records the actor: as a test run of id p_key with p_settings, or, without settings, on behalf of the job''s user and within their limits. Returns the new job; a repeated call with the same p_key returns the same one. Errors: DR404, DR409, 22023 without a user, and those of start_generation.';

create function public.withdraw_test_run(p_actor text, p_run_id uuid) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
    perform public.require_actor(p_actor);
    delete from public.test_runs r
    where r.id = p_run_id and not exists (select from public.test_run_jobs t where t.run_id = r.id);
    if not found then
        return false;
    end if;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'withdraw_test_run', 0, jsonb_build_object('run_id', p_run_id));
    return true;
end;
$$;
comment on function public.withdraw_test_run is 'Deletes a test run that was refused before any of its jobs was started. False if some were.';

create function public.delete_test_run(p_actor text, p_run_id uuid)
returns table (generations int, storage_paths text[])
language plpgsql volatile set search_path = ''
as $$
declare
    v_jobs        uuid[];
    v_live        uuid[];
    v_generations uuid[];
    v_before      jsonb;
begin
    perform public.require_actor(p_actor);
    perform from public.test_runs r where r.id = p_run_id for update;
    if not found then
        raise exception 'there is no test run %: it may have been deleted already', p_run_id using errcode = 'DR404';
    end if;
    select coalesce(array_agg(t.job_id), '{}'), coalesce(array_agg(t.generation_id), '{}')
    into v_jobs, v_generations
    from public.test_run_jobs t where t.run_id = p_run_id;
    v_before := public.job_states(v_jobs);
    v_live := array(
        select q.id from public.job_queue q where q.id = any (v_jobs) and q.status in ('pending', 'processing')
    );
    if cardinality(v_live) > 0 then
        perform public.cancel_jobs(p_actor, v_live);
    end if;
    delete from public.job_queue q where q.id = any (v_jobs);
    delete from public.attempt_workers w where w.job_id = any (v_jobs);
    delete from public.idempotency_keys k where k.scope = 'test' and k.generation_id = any (v_generations);
    storage_paths := array(select public.stored_files(v_generations));
    delete from public.image_generations g where g.id = any (v_generations);
    get diagnostics generations = row_count;
    delete from public.test_runs r where r.id = p_run_id;
    perform public.record_action(p_actor, 'delete_test_run', v_jobs, jsonb_build_object(
        'run_id', p_run_id, 'before', v_before, 'after', public.job_states(v_jobs)
    ));
    return next;
end;
$$;
comment on function public.delete_test_run is
    'Cancels the live jobs of a test run, deletes its generations and jobs, and records the actor. Returns the number of generations, and the paths of images and thumbnails, which the caller deletes. Error: DR404 for an unknown run.';
