-- The blocks of the guide about schedules, as in guide.sql: they need pg_cron, pg_net and Vault.

-- block: 3.1
create extension if not exists pg_cron;

-- block: 3.2
select cron.schedule('process-jobs', '* * * * *', $$
    select net.http_post(
        url := 'https://project.example/functions/v1/process-jobs',
        headers := jsonb_build_object(
            'Content-Type', 'application/json',
            'Authorization', 'Bearer ' || current_setting('app.settings.service_role_key')),
        body := '{}'::jsonb
    ) as request_id;
$$);

-- instead: 3.3
select vault.create_secret('sb_secret_of_the_project', 'darkroom_secret_key');
select schedule_process_jobs('me', '* * * * *', 'https://project.example/functions/v1/process-jobs');

-- block: 3.4
select jobid, jobname, schedule, active from cron.job where jobname = 'process-jobs';

-- block: 3.5
select runid, status, return_message, start_time, end_time from cron.job_run_details
order by start_time desc limit 10;

-- block: 3.6
select runid, return_message, start_time from cron.job_run_details
where status = 'failed' order by start_time desc limit 20;

-- block: Troubleshooting: cron job
select * from cron.job where jobname = 'process-jobs';
select * from cron.job_run_details
where jobid = (select jobid from cron.job where jobname = 'process-jobs') order by start_time desc limit 5;

-- block: Troubleshooting: every 30 seconds
select cron.schedule('process-jobs', '*/30 * * * * *', $$
    select net.http_post(url := 'https://project.example/functions/v1/process-jobs')
$$);

-- block: Troubleshooting: second worker
select cron.schedule('process-jobs-2', '30 * * * * *', $$
    select net.http_post(url := 'https://project.example/functions/v1/process-jobs')
$$);

-- block: 7.1
select cron.unschedule('process-jobs');
