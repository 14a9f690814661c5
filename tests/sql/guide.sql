-- The statements of the deployment guide, block by block, in our own words and of the same form.
-- "block" runs as it stands; with an SQLSTATE it is refused, and "instead" is what docs/deployment.md names.

-- block: 1.3
select column_name, data_type, is_nullable from information_schema.columns
where table_schema = 'public' and table_name = 'job_queue' order by ordinal_position;

-- block: 1.4
select routine_name, routine_type from information_schema.routines
where routine_schema = 'public' and routine_name in ('enqueue_job', 'claim_next_job', 'complete_job');

-- block: 1.5
select table_name from information_schema.views
where table_schema = 'public' and table_name in ('queue_health', 'failed_jobs_recent', 'stuck_jobs');

-- block: 1.6
select policyname, cmd from pg_policies
where tablename = 'job_queue'
  and policyname in ('Users can view their own jobs', 'Service role has full access');

-- block: 1.7
select enqueue_job('generate-image', '{"test": true, "prompt": "A buoy"}'::jsonb, 5, now(), 2);
delete from job_queue where payload->>'test' = 'true';

-- block: 3.3 (42501)
alter database postgres set app.settings.service_role_key = 'a key';

-- block: 3.3 (42501)
select pg_reload_conf();

-- block: 5.1 (42601)
do $$
declare
    v_job uuid;
begin
    v_job := enqueue_job('generate-image', '{"prompt": "A buoy"}'::jsonb, 0, now(), 3);
    perform pg_sleep(0.01);
    select status, attempts from job_queue where id = v_job;
end $$;

-- instead: 5.1
do $$
declare
    v_job uuid;
begin
    v_job := enqueue_job('generate-image', '{"prompt": "A buoy"}'::jsonb, 0, now(), 3);
    raise notice '%', (select status from job_queue where id = v_job);
end $$;

-- block: 5.4
select tablename from pg_publication_tables
where pubname = 'supabase_realtime' and tablename in ('job_queue', 'image_generations');

-- block: 5.4 (42710)
alter publication supabase_realtime add table job_queue;

-- block: 5.4 (42710)
alter publication supabase_realtime add table image_generations;

-- block: 5.5
select enqueue_job(
    'generate-image', '{"prompt": "A buoy", "model_id": "no-such-model"}'::jsonb, 0, now(), 3
);
select id, error_message, attempts from failed_jobs_recent order by created_at desc limit 5;

-- block: 5.6 (22P02)
select get_user_limits('the-id-of-a-user');

-- instead: 5.6
select get_user_limits('7d9c1f62-0c1e-4b7e-9a52-d5f4a1c0b001');

-- block: 6.1
select * from queue_health;

-- block: 6.2
select * from failed_jobs_recent limit 20;
select error_message, count(*), max(completed_at) as last_at from job_queue
where status = 'failed' and completed_at > now() - interval '1 day'
group by error_message order by count(*) desc;

-- block: 6.3
select * from stuck_jobs;
update job_queue set status = 'pending', started_at = null, updated_at = now()
where status = 'processing' and started_at < now() - interval '15 minutes';

-- block: 6.4
select
    payload->>'model_id' as model, count(*),
    avg(extract(epoch from completed_at - started_at)) as seconds,
    percentile_cont(0.95) within group (order by extract(epoch from completed_at - started_at)) as p95
from job_queue where status = 'completed' and completed_at > now() - interval '1 day'
group by payload->>'model_id';

-- block: 6.5
select date_trunc('hour', created_at) as hour, count(*), count(*) filter (where status = 'failed') as failed
from job_queue where created_at > now() - interval '1 day'
group by 1 order by 1 desc;

-- block: 6.6
select count(*) filter (where status = 'failed') * 100.0 / nullif(count(*), 0) > 10 as failing
from job_queue where created_at > now() - interval '1 hour';
select count(*) > 100 as piling_up from job_queue where status = 'pending';
select count(*) > 0 as stuck from stuck_jobs;

-- block: 6.6
create function public.report_failed_job() returns trigger language plpgsql as $$
begin
    perform pg_notify('failed_jobs', new.id::text);
    return new;
end $$;
create trigger report_failed_job after update on job_queue
    for each row when (new.status = 'failed') execute function public.report_failed_job();
update job_queue set status = 'failed', error_message = 'By hand' where status = 'processing';

-- block: 7.3
update job_queue set status = 'cancelled', updated_at = now() where status in ('pending', 'processing');

-- block: 7.6 (42501)
copy (select * from failed_jobs_recent) to '/tmp/failed.csv' with csv header;

-- block: 7.6 (42501)
copy (select * from queue_health) to '/tmp/health.csv' with csv header;

-- block: Troubleshooting: service key (42704)
show app.settings.service_role_key;

-- block: Troubleshooting: errors of a day
select error_message, error_details, count(*) from job_queue
where status = 'failed' and created_at > now() - interval '24 hours'
group by error_message, error_details order by count(*) desc;

-- block: Troubleshooting: stuck jobs
update job_queue set status = 'pending', started_at = null
where id in (select id from stuck_jobs);

-- block: Troubleshooting: error groups
select
    error_message, count(*), array_agg(distinct payload->>'model_id') as models,
    count(distinct created_by) as users
from job_queue where status = 'failed' group by error_message;

-- block: Troubleshooting: publication
select schemaname, tablename from pg_publication_tables where pubname = 'supabase_realtime';

-- block: Troubleshooting: find duplicates
select payload->>'generation_id' as generation, count(*), array_agg(id order by created_at) as jobs
from job_queue group by 1 having count(*) > 1;

-- block: Troubleshooting: delete duplicates
delete from job_queue where id in (
    select id from (
        select id, row_number() over (partition by payload->>'generation_id' order by created_at) as place
        from job_queue where payload->>'generation_id' is not null
    ) numbered where place > 1
);

-- instead: Troubleshooting: delete duplicates
select * from cancel_duplicates('me');

-- block: Troubleshooting: queue trend
select
    date_trunc('minute', created_at) as minute, count(*) as created,
    count(*) filter (where status = 'completed') as completed
from job_queue where created_at > now() - interval '2 hours' group by 1 order by 1;

-- block: Useful: jobs by status
select status, count(*), min(created_at), max(created_at) from job_queue group by status;

-- block: Useful: history of users
select u.email, q.id, q.status, q.created_at, q.error_message
from job_queue q join auth.users u on u.id = q.created_by
order by q.created_at desc limit 50;

-- block: Useful: models by use
select payload->>'model_id' as model, count(*) from job_queue
where payload->>'model_id' is not null group by 1 order by 2 desc limit 10;
