-- The deployment checklist, and the self-test: what it writes and how all of that is removed again.

-- Deployment checklist ----------------------------------------------------------------------------

create table public.deployment_points (
    name         text        primary key check (name <> ''),
    done         boolean     not null,
    since        timestamptz not null,
    last_done_at timestamptz,
    seen_at      timestamptz not null,
    ticked_by    text        check (ticked_by <> '')
);
comment on table public.deployment_points is
    'Points of the deployment checklist: done or not, since when, when last done and when last checked.';
comment on column public.deployment_points.ticked_by is
    'Who ticked or unticked a manual point; null for an automatic check.';

create function public.note_deployment(p_points jsonb) returns void
language sql volatile set search_path = ''
as $$
    insert into public.deployment_points as d (name, done, since, last_done_at, seen_at)
    select p.key, p.value::boolean, now(), case when p.value::boolean then now() end, now()
    from jsonb_each_text(p_points) p
    order by p.key
    on conflict (name) do update
    set done = excluded.done, seen_at = excluded.seen_at,
        since = case when d.done = excluded.done then d.since else excluded.since end,
        last_done_at = coalesce(excluded.last_done_at, d.last_done_at)
    -- Every view of the page calls this, and mostly nothing has changed.
    where d.ticked_by is null and (d.done <> excluded.done or d.seen_at < now() - interval '1 minute');
$$;
comment on function public.note_deployment is
    'Records the results of deployment checks, as {name: done}, at most once a minute while nothing changes. Does not change ticked points.';

create function public.tick_deployment_point(p_actor text, p_name text, p_done boolean)
returns public.deployment_points
language plpgsql volatile set search_path = ''
as $$
declare
    v_before boolean;
    v_after  public.deployment_points;
begin
    perform public.require_actor(p_actor);
    select d.done into v_before from public.deployment_points d where d.name = p_name for update;
    insert into public.deployment_points as d (name, done, since, last_done_at, seen_at, ticked_by)
    values (p_name, p_done, now(), case when p_done then now() end, now(), p_actor)
    on conflict (name) do update
    set done = excluded.done, since = excluded.since, seen_at = excluded.seen_at, ticked_by = excluded.ticked_by,
        last_done_at = coalesce(excluded.last_done_at, d.last_done_at)
    returning * into v_after;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'tick_deployment_point', 1,
            jsonb_build_object('point', p_name, 'before', coalesce(v_before, false), 'after', p_done));
    return v_after;
end;
$$;
comment on function public.tick_deployment_point is 'Ticks or unticks a manual point of the checklist.';

-- Self-test ---------------------------------------------------------------------------------------
-- The id of a run is in the prompt of its generations and in the e-mail address of its user.

create function public.self_test_prompt(p_run uuid) returns text
language sql immutable parallel safe set search_path = ''
return 'Darkroom self-test ' || coalesce(p_run::text, '%');
comment on function public.self_test_prompt is 'Prompt of a run''s generations; for null, a pattern that matches those of every run.';

create function public.self_test_email(p_run uuid) returns text
language sql immutable parallel safe set search_path = ''
return 'self-test-' || coalesce(p_run::text, '%') || '@darkroom.invalid';
comment on function public.self_test_email is 'E-mail address of a run''s user; for null, a pattern that matches those of every run.';

create function public.start_self_test(
    p_run uuid, p_model_id text, out generation_id uuid, out job_id uuid
)
language plpgsql volatile set search_path = ''
as $$
begin
    if p_run is null then
        raise exception 'run is null: pass the id of the self-test run' using errcode = '22023';
    end if;
    insert into public.image_generations (prompt, model_id, source)
    values (public.self_test_prompt(p_run), p_model_id, 'test')
    returning id into generation_id;
    job_id := public.enqueue_job(
        'generate-image',
        jsonb_build_object(
            'generation_id', generation_id, 'prompt', public.self_test_prompt(p_run), 'model_id', p_model_id, 'test', true
        ),
        -- Far enough in the future that no worker claims it: process-generation does not wait for the time.
        p_scheduled_at => now() + interval '1 day'
    );
end;
$$;
comment on function public.start_self_test is 'Creates a test generation for any model, even one that does not exist, with a job that runs only when explicitly requested.';

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
    -- With a lease, the next worker would rescue it. Without one it stays stuck until an operator acts.
    delete from public.job_leases l where l.job_id = p_job_id;
    return true;
end;
$$;
comment on function public.silence_self_test_job is
    'Makes a running job of the self-test look as if its worker had stopped sending heartbeats. Changes no other job and returns false for it.';

-- Where a project has its own functions, a generation and its job may end at different times. Such jobs are
-- found by the user of the run and the time of the run.
create function public.remove_self_test(p_run uuid default null)
returns table (users int, generations int, jobs int, storage_paths text[])
language plpgsql volatile set search_path = ''
    -- Forces plans by index: few rows are read, however large the tables are.
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    -- No run takes this long: older rows were left by a run that was killed.
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
    -- Live jobs are found by generation, ended ones by completed_at: both have an index.
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
    delete from public.attempt_workers w where w.job_id = any (v_jobs);
    storage_paths := array(select public.stored_files(v_generations));
    delete from public.image_generations g where g.id = any (v_generations);
    delete from auth.users u where u.id = any (v_users);
    users := cardinality(v_users);
    generations := cardinality(v_generations);
    jobs := cardinality(v_jobs);
    return next;
end;
$$;
comment on function public.remove_self_test is
    'Deletes everything that a run of the self-test created, or for null what runs more than 15 minutes ago left behind, and nothing else. Returns the counts, and the images and thumbnails still stored.';
