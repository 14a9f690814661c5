-- Rollback: moves users off the queue and stops it, and keeps what has to be restored afterwards.

create table public.rollbacks (
    id             uuid        primary key default gen_random_uuid(),
    reason         text        not null check (btrim(reason) <> ''),
    started_by     text        not null,
    started_at     timestamptz not null default now(),
    rollout_before int         not null check (rollout_before between 0 and 100),
    cron_jobs      bigint[]    not null default '{}',
    ended_by       text,
    ended_at       timestamptz,
    check ((ended_by is null) = (ended_at is null))
);
comment on table public.rollbacks is 'Rollbacks, each with what it has to restore. The open one has no end.';
comment on column public.rollbacks.rollout_before is 'Percentage of users on the queue before the rollback.';
comment on column public.rollbacks.cron_jobs is 'Ids of the cron jobs that the rollback paused.';

-- One open rollback at a time.
create unique index rollbacks_open_key on public.rollbacks ((ended_at is null)) where ended_at is null;
create index rollbacks_started_idx on public.rollbacks (started_at desc);

create table public.rollback_jobs (
    rollback_id uuid        not null references public.rollbacks (id) on delete cascade,
    job_id      uuid        not null,
    settled_at  timestamptz,
    primary key (rollback_id, job_id)
);
comment on table public.rollback_jobs is 'Jobs that a rollback cancelled. No foreign key, because jobs may be purged.';
comment on column public.rollback_jobs.settled_at is 'When the job was put back on the queue, or skipped because it was no longer cancelled.';

create index rollback_jobs_unsettled_idx on public.rollback_jobs (rollback_id) where settled_at is null;

-- The history of a rollback is read from the audit log.
create index audit_log_rollback_idx on public.audit_log (at desc)
    where action in ('start_rollback', 'note_notified', 'end_rollback');

-- Start and end -----------------------------------------------------------------------------------

create function public.start_rollback(p_actor text, p_reason text) returns public.rollbacks
language plpgsql volatile set search_path = ''
as $$
declare
    v_rollback public.rollbacks;
begin
    perform public.require_actor(p_actor);
    if coalesce(btrim(p_reason), '') = '' then
        raise exception 'the reason is empty: enter a reason' using errcode = '22023';
    end if;
    insert into public.rollbacks (reason, started_by, rollout_before)
    select p_reason, p_actor, r.percentage from public.async_rollout r
    on conflict do nothing
    returning * into v_rollback;
    if not found then
        raise exception 'a rollback is already in progress: continue it' using errcode = 'DR409';
    end if;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'start_rollback', 1, jsonb_build_object(
        'rollback', v_rollback.id, 'reason', p_reason, 'rollout', v_rollback.rollout_before));
    return v_rollback;
end;
$$;
comment on function public.start_rollback is
    'Opens a rollback; does not stop anything. Errors: DR409 if one is open, 22023 without a reason.';

create function public.open_rollback(p_rollback_id uuid) returns public.rollbacks
language plpgsql volatile set search_path = ''
as $$
declare
    v_rollback public.rollbacks;
begin
    select * into v_rollback from public.rollbacks r where r.id = p_rollback_id and r.ended_at is null for update;
    if not found then
        raise exception 'this rollback has ended or does not exist: start one first' using errcode = 'DR409';
    end if;
    return v_rollback;
end;
$$;
comment on function public.open_rollback is 'The open rollback, locked until the transaction ends. Error: DR409 if it is not open.';

create function public.note_notified(p_actor text, p_rollback_id uuid, p_who text, p_message text default null)
returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_rollback public.rollbacks;
begin
    perform public.require_actor(p_actor);
    if coalesce(btrim(p_who), '') = '' then
        raise exception 'the recipient is empty: enter who was notified' using errcode = '22023';
    end if;
    v_rollback := public.open_rollback(p_rollback_id);
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'note_notified', 1, jsonb_build_object(
        'rollback', v_rollback.id, 'who', p_who, 'message', nullif(btrim(p_message), '')));
end;
$$;
comment on function public.note_notified is 'Records who was notified of the rollback, and of what.';

create function public.end_rollback(p_actor text, p_rollback_id uuid) returns public.rollbacks
language plpgsql volatile set search_path = ''
as $$
declare
    v_rollback public.rollbacks;
begin
    perform public.require_actor(p_actor);
    v_rollback := public.open_rollback(p_rollback_id);
    update public.rollbacks r set ended_by = p_actor, ended_at = clock_timestamp()
    where r.id = v_rollback.id returning * into v_rollback;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'end_rollback', 1, jsonb_build_object('rollback', v_rollback.id, 'reason', v_rollback.reason));
    return v_rollback;
end;
$$;
comment on function public.end_rollback is 'Ends a rollback. Changes nothing else; what is still paused stays paused.';

-- Steps and their reversal ------------------------------------------------------------------------

create function public.roll_back_to_synchronous(p_actor text, p_rollback_id uuid) returns int
language plpgsql volatile set search_path = ''
as $$
declare
    v_rollback   public.rollbacks;
    v_percentage int;
begin
    v_rollback := public.open_rollback(p_rollback_id);
    select r.percentage into v_percentage from public.async_rollout r for update;
    if v_percentage > 0 then
        update public.rollbacks r set rollout_before = v_percentage where r.id = v_rollback.id;
    end if;
    perform public.set_async_rollout(p_actor, 0);
    return v_percentage;
end;
$$;
comment on function public.roll_back_to_synchronous is
    'Moves all users to the synchronous path from their next request, and keeps the percentage for the restore. Returns it.';

create function public.restore_rollout(p_actor text, p_rollback_id uuid) returns int
language plpgsql volatile set search_path = ''
as $$
declare
    v_rollback public.rollbacks;
begin
    v_rollback := public.open_rollback(p_rollback_id);
    perform public.set_async_rollout(p_actor, v_rollback.rollout_before);
    return v_rollback.rollout_before;
end;
$$;
comment on function public.restore_rollout is 'Restores the percentage of users on the queue from before the rollback. Returns the percentage.';

create function public.stop_cron(p_actor text, p_rollback_id uuid) returns int
language plpgsql volatile set search_path = ''
as $$
declare
    v_rollback public.rollbacks;
    v_job      bigint;
    v_count    int := 0;
begin
    v_rollback := public.open_rollback(p_rollback_id);
    for v_job in select c.job_id from public.cron_jobs() c where c.wakes_queue and c.active loop
        perform public.set_cron_job_active(p_actor, v_job, false);
        update public.rollbacks r set cron_jobs = array_remove(r.cron_jobs, v_job) || v_job where r.id = v_rollback.id;
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$;
comment on function public.stop_cron is
    'Pauses the cron jobs that call process-jobs, and records them for the restart. Returns how many.';

create function public.restart_cron(p_actor text, p_rollback_id uuid) returns int
language plpgsql volatile set search_path = ''
as $$
declare
    v_rollback public.rollbacks;
    v_job      bigint;
    v_count    int := 0;
begin
    v_rollback := public.open_rollback(p_rollback_id);
    for v_job in
        select c.job_id from public.cron_jobs() c where c.job_id = any (v_rollback.cron_jobs) and not c.active
    loop
        perform public.set_cron_job_active(p_actor, v_job, true);
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$;
comment on function public.restart_cron is 'Resumes the cron jobs that the rollback paused. Returns how many.';

create function public.cancel_for_rollback(
    p_actor text, p_rollback_id uuid, p_status text, p_until timestamptz, p_most int default 500
) returns int
language plpgsql volatile set search_path = ''
as $$
declare
    v_rollback public.rollbacks;
    v_ids      uuid[];
begin
    if p_status not in ('pending', 'processing') then
        raise exception 'status is %: only pending and processing (running) jobs can be cancelled', p_status
            using errcode = '22023';
    end if;
    v_rollback := public.open_rollback(p_rollback_id);
    -- Two statements, because each status has its own index.
    if p_status = 'pending' then
        v_ids := array(
            select q.id from public.job_queue q
            where q.status = 'pending' and q.created_at <= p_until
            limit p_most for update skip locked
        );
    else
        v_ids := array(
            select q.id from public.job_queue q
            where q.status = 'processing' and q.created_at <= p_until
            limit p_most for update skip locked
        );
    end if;
    if v_ids = '{}' then
        return 0;
    end if;
    perform public.cancel_jobs(p_actor, v_ids);
    insert into public.rollback_jobs (rollback_id, job_id)
    select v_rollback.id, id from unnest(v_ids) id
    on conflict (rollback_id, job_id) do update set settled_at = null;
    return cardinality(v_ids);
end;
$$;
comment on function public.cancel_for_rollback is
    'Cancels up to p_most jobs of a status that were created up to p_until, and records them for the restore. Returns how many; call it until that is 0.';

create function public.put_back_cancelled(
    p_actor text, p_rollback_id uuid, p_most int default 500, out looked_at int, out put_back int
)
language plpgsql volatile set search_path = ''
as $$
declare
    v_rollback public.rollbacks;
    v_ids      uuid[];
begin
    v_rollback := public.open_rollback(p_rollback_id);
    v_ids := array(
        select j.job_id from public.rollback_jobs j
        where j.rollback_id = v_rollback.id and j.settled_at is null
        order by j.job_id limit p_most
    );
    looked_at := cardinality(v_ids);
    put_back := 0;
    if looked_at = 0 then
        return;
    end if;
    update public.rollback_jobs j set settled_at = clock_timestamp()
    where j.rollback_id = v_rollback.id and j.job_id = any (v_ids);
    v_ids := array(select q.id from public.job_queue q where q.id = any (v_ids) and q.status = 'cancelled');
    put_back := (select count(*) from public.retry_jobs(p_actor, v_ids));
end;
$$;
comment on function public.put_back_cancelled is
    'Puts up to p_most jobs that the rollback cancelled back on the queue, if they are still cancelled and their generation has no live job. Call it until looked_at is 0.';
