-- Several jobs for one generation. The index of live generations refuses most of them; what it lets
-- through is found here: ids that are no UUIDs, and jobs that come after their image is done.

create function public.live_duplicates()
returns table (id uuid, generation_id text, kept_id uuid, reason text)
language plpgsql stable set search_path = '' set jit = off set enable_seqscan = off
as $$
begin
    return query
    with live as materialized (
        select q.id, q.status, q.created_at, q.payload
        from public.job_queue q where q.status = 'pending' and q.payload ? 'generation_id'
        union all
        select q.id, q.status, q.created_at, q.payload
        from public.job_queue q where q.status = 'processing' and q.payload ? 'generation_id'
    ), ranked as (
        select l.id, l.status, l.payload, lower(l.payload ->> 'generation_id') as generation_id,
               -- What runs costs money already, so it counts as the oldest.
               first_value(l.id) over (partition by lower(l.payload ->> 'generation_id')
                                       order by l.status = 'processing' desc, l.created_at, l.id) as kept_id
        from live l
        where l.payload ->> 'generation_id' <> ''
    )
    select r.id, r.generation_id, nullif(r.kept_id, r.id),
           case when r.kept_id <> r.id then 'an older job of its generation is live' else 'its image is done already' end
    from ranked r
    where r.status = 'pending'
      and (r.kept_id <> r.id
           or exists (
               select from public.image_generations g
               where g.id = public.generation_of(r.payload) and g.status = 'completed'
           ));
end;
$$;
comment on function public.live_duplicates() is
    'Waiting jobs that nobody needs: their generation has another live job, kept_id (the one that runs, else the oldest), or was completed by an earlier job.';

create function public.cancel_duplicates(p_actor text) returns setof public.job_queue
language plpgsql volatile set search_path = ''
as $$
declare
    v_ids uuid[];
begin
    perform public.require_actor(p_actor);
    -- Those to be kept are locked too: one that fails meanwhile must not lose its substitute.
    perform from public.job_queue q
    where q.id in (select unnest(array[d.id, d.kept_id]) from public.live_duplicates() d)
    order by q.id for update;
    with cancelled as (
        update public.job_queue q
        set status = 'cancelled', completed_at = clock_timestamp(), updated_at = clock_timestamp(),
            error_message = format('Cancelled by %s as a duplicate: %s.', p_actor, d.reason)
        from public.live_duplicates() d
        where q.id = d.id and q.status = 'pending'
        returning q.id
    )
    select coalesce(array_agg(c.id order by c.id), '{}') into v_ids from cancelled c;
    -- The generations are left as they are: they follow the jobs that were kept.
    perform public.record_action(p_actor, 'cancel_duplicates', v_ids);
    return query select * from public.job_queue q where q.id = any (v_ids);
end;
$$;
comment on function public.cancel_duplicates is
    'Cancels the live_duplicates, keeps the job of each generation that runs or is the oldest, and records who did it.';

do $$
declare
    v_function regprocedure;
begin
    foreach v_function in array array['public.live_duplicates()', 'public.cancel_duplicates(text)']::regprocedure[] loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
