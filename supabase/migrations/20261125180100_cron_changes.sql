-- How cron jobs come, change and go, and the command by which one of them wakes the queue. Whoever
-- changes one is written down with what it was before; without pg_cron all but the removal of the
-- schedule refuse with a sentence.

create function public.request_process_jobs(p_url text, p_key_name text, p_timeout_seconds int) returns bigint
language plpgsql volatile set search_path = ''
as $$
declare
    v_key     text := public.named_secret(p_key_name);
    v_request bigint;
begin
    if v_key is null then
        raise exception 'no key: neither Vault has a secret % nor is app.settings.% set', p_key_name, p_key_name
            using errcode = 'DR404';
    end if;
    v_request := net.http_post(
        url => p_url,
        body => jsonb '{}',
        params => jsonb '{}',
        headers => jsonb_build_object('Content-Type', 'application/json', 'apikey', v_key)
            -- The new keys are no tokens, and the platform refuses them as Bearer.
            || case when v_key like 'eyJ%' then jsonb_build_object('Authorization', 'Bearer ' || v_key) else '{}' end,
        timeout_milliseconds => 1000 * p_timeout_seconds
    );
    delete from public.cron_requests q where q.requested_at < now() - interval '7 days';
    insert into public.cron_requests (request_id) values (v_request);
    return v_request;
end;
$$;
comment on function public.request_process_jobs is
    'What the cron job of schedule_process_jobs runs: asks pg_net to call process-jobs with the key of that name, and writes the request down. Returns its id.';

create function public.require_cron() returns void
language plpgsql stable set search_path = ''
as $$
begin
    if not public.cron_available() then
        raise exception 'pg_cron is not installed in this database (version 1.4 or later is needed)'
            using errcode = 'DR409', hint = 'create extension pg_cron';
    end if;
end;
$$;
comment on function public.require_cron is 'Refuses what needs pg_cron where there is none.';

create function public.require_cron_schedule(p_schedule text) returns void
language plpgsql stable set search_path = ''
as $$
begin
    if p_schedule ~ '^[1-5]?\d seconds$' and p_schedule !~ '^0' then
        if not public.cron_at_least(1, 5) then
            raise exception 'pg_cron % knows no seconds: the shortest schedule is * * * * *, each minute', public.cron_version()
                using errcode = '22023';
        end if;
    elsif coalesce(cardinality(regexp_split_to_array(btrim(p_schedule), '\s+')), 0) <> 5 then
        raise exception 'the schedule "%" has not got five fields (minute, hour, day, month, weekday)', p_schedule
            using errcode = '22023',
                  hint = 'pg_cron takes six fields for five, without a word: the first is the minute, the last is ignored.';
    end if;
end;
$$;
comment on function public.require_cron_schedule is 'Refuses a schedule that pg_cron would misread. What it cannot read at all, pg_cron itself refuses.';

create function public.cron_job_state(p_job_ids bigint[]) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
    return (
        select coalesce(jsonb_agg(jsonb_build_object(
            'job_id', j.jobid, 'name', j.jobname, 'schedule', j.schedule, 'active', j.active,
            'command', public.mask_secrets(j.command)) order by j.jobid), '[]')
        from cron.job j where j.jobid = any (p_job_ids)
    );
end;
$$;
comment on function public.cron_job_state is 'Jobs of pg_cron as the audit log keeps them, without secrets.';

create function public.record_cron_change(p_actor text, p_action text, p_job_ids bigint[], p_before jsonb) returns void
language sql volatile set search_path = ''
as $$
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, p_action, cardinality(p_job_ids), jsonb_build_object(
        'cron_job_ids', to_jsonb(p_job_ids), 'before', p_before, 'after', public.cron_job_state(p_job_ids)));
$$;
comment on function public.record_cron_change is 'Writes a change of cron jobs into the audit log, with what was before and is now.';

create function public.schedule_process_jobs(
    p_actor text, p_schedule text, p_url text,
    p_key_name text default 'darkroom_secret_key', p_timeout_seconds int default public.process_jobs_seconds()
) returns bigint
language plpgsql volatile security definer set search_path = ''
as $$
declare
    v_name     constant text := 'process-jobs';
    v_replaced bigint[];
    v_before   jsonb;
    v_job_id   bigint;
begin
    perform public.require_actor(p_actor);
    perform public.require_cron();
    perform public.require_cron_schedule(p_schedule);
    if coalesce(p_url, '') !~ '^https?://[^\s@?#\\''"]+/process-jobs$' then
        raise exception 'the address "%" is not that of process-jobs: https://…/functions/v1/process-jobs',
            public.mask_secrets(p_url) using errcode = '22023';
    elsif coalesce(p_key_name, '') !~ '^\w{1,60}$' then
        raise exception 'the name of the key is letters, digits and _ alone' using errcode = '22023';
    elsif coalesce(p_timeout_seconds, 0) not between 1 and 3600 then
        raise exception 'the time limit is 1 to 3600 seconds' using errcode = '22023';
    elsif public.http_post_function() is null then
        raise exception 'pg_net is not installed: without it pg_cron cannot call a function'
            using errcode = 'DR409', hint = 'create extension pg_net';
    elsif not public.secret_readable(p_key_name) then
        raise exception 'there is no key: neither Vault has a secret % nor is app.settings.% set', p_key_name, p_key_name
            using errcode = 'DR409';
    end if;
    -- All that wake the queue give way to the one, or it would be woken twice.
    v_replaced := array(select j.jobid from cron.job j where j.command ~ 'process-jobs' order by j.jobid);
    v_before := public.cron_job_state(v_replaced);
    perform cron.unschedule(j.jobid) from cron.job j
    where j.jobid = any (v_replaced) and (j.jobname is distinct from v_name or j.username <> current_user);
    v_job_id := cron.schedule(v_name, p_schedule, format(
        'select public.request_process_jobs(%L, %L, %s)', p_url, p_key_name, p_timeout_seconds));
    perform cron.alter_job(v_job_id, active => true);
    perform public.record_cron_change(p_actor, 'schedule_process_jobs', array[v_job_id], v_before);
    return v_job_id;
end;
$$;
comment on function public.schedule_process_jobs is
    'Has pg_cron call process-jobs, in place of all jobs that do so, and records who did it. The key is named, never written into the job: Vault or the setting app.settings.<name> holds it. Returns the id of the job.';

create function public.unschedule_process_jobs(p_actor text) returns int
language plpgsql volatile security definer set search_path = ''
as $$
declare
    v_ids    bigint[];
    v_before jsonb;
begin
    perform public.require_actor(p_actor);
    if not public.cron_available() then
        return 0;
    end if;
    v_ids := array(select j.jobid from cron.job j where j.command ~ 'process-jobs' order by j.jobid);
    if cardinality(v_ids) > 0 then
        v_before := public.cron_job_state(v_ids);
        perform cron.unschedule(id) from unnest(v_ids) as id;
        perform public.record_cron_change(p_actor, 'unschedule_process_jobs', v_ids, v_before);
    end if;
    return cardinality(v_ids);
end;
$$;
comment on function public.unschedule_process_jobs is
    'Removes every cron job that calls process-jobs, and records who did it with what they were. Returns how many; 0 without pg_cron.';

create function public.change_cron_job(
    p_actor text, p_job_id bigint, p_schedule text default null, p_active boolean default null
) returns boolean
language plpgsql volatile security definer set search_path = ''
as $$
declare
    v_before jsonb;
begin
    perform public.require_actor(p_actor);
    perform public.require_cron();
    if p_schedule is not null then
        perform public.require_cron_schedule(p_schedule);
    end if;
    v_before := public.cron_job_state(array[p_job_id]);
    if v_before = '[]' then
        raise exception 'there is no cron job %', p_job_id using errcode = 'DR404';
    end if;
    perform cron.alter_job(p_job_id, schedule => p_schedule, active => p_active);
    if v_before = public.cron_job_state(array[p_job_id]) then
        return false;
    end if;
    perform public.record_cron_change(p_actor, 'change_cron_job', array[p_job_id], v_before);
    return true;
end;
$$;
comment on function public.change_cron_job is
    'Changes the schedule of a cron job, or pauses and resumes it, and records who did it. False when it was like that already.';

create function public.set_cron_job_active(p_actor text, p_job_id bigint, p_active boolean) returns boolean
language sql volatile set search_path = ''
as $$
    select public.change_cron_job(p_actor, p_job_id, p_active => p_active);
$$;
comment on function public.set_cron_job_active is 'Pauses a cron job, or lets it run again. False when it was like that already.';

create function public.unschedule_cron_job(p_actor text, p_job_id bigint) returns boolean
language plpgsql volatile security definer set search_path = ''
as $$
declare
    v_before jsonb;
begin
    perform public.require_actor(p_actor);
    perform public.require_cron();
    v_before := public.cron_job_state(array[p_job_id]);
    if v_before = '[]' then
        return false;
    end if;
    perform cron.unschedule(p_job_id);
    perform public.record_cron_change(p_actor, 'unschedule_cron_job', array[p_job_id], v_before);
    return true;
end;
$$;
comment on function public.unschedule_cron_job is 'Removes a cron job, and records who did it with what it was. False when there is none.';

-- The last change of a job bounds what its schedule can say about its past.
create index audit_log_cron_idx on public.audit_log (at desc) where details ? 'cron_job_ids';

do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in (
              'request_process_jobs', 'require_cron', 'require_cron_schedule', 'cron_job_state',
              'record_cron_change', 'schedule_process_jobs', 'unschedule_process_jobs', 'change_cron_job',
              'set_cron_job_active', 'unschedule_cron_job'
          )
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
