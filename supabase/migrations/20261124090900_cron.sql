-- Jobs of pg_cron, above all the one that wakes the queue: what they are, what is wrong with them, what
-- came of their runs, and changing them.
--
-- Works without pg_cron, pg_net and Vault: lists are then empty and changes are refused. Functions that read
-- or change the tables of pg_cron run as their owner (security definer), who alone may do so.

-- pg_net does not record which run of a job sent a request.
create table public.cron_requests (
    requested_at timestamptz not null default clock_timestamp(),
    request_id   bigint      not null,
    pid          int         not null default pg_backend_pid(),
    -- The tables of pg_net are unlogged: after a crash its ids start again.
    primary key (requested_at, request_id)
);
comment on table public.cron_requests is 'Requests of request_process_jobs, kept for a week. pid and time identify the run of the cron job that sent one.';

-- What is installed -------------------------------------------------------------------------------

create function public.cron_version() returns text
language sql stable set search_path = ''
return (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pg_cron');
comment on function public.cron_version is 'Version of pg_cron in this database, such as 1.4-1; null without it.';

create function public.cron_at_least(p_major int, p_minor int) returns boolean
language sql stable set search_path = ''
return coalesce(
    string_to_array(substring(public.cron_version() from '^\d+\.\d+'), '.')::int[] >= array[p_major, p_minor], false
);
comment on function public.cron_at_least is 'Whether pg_cron is installed in that version or a later one.';

create function public.cron_available() returns boolean
language sql stable set search_path = ''
-- Earlier versions can neither pause a job nor keep the results of its runs.
return public.cron_at_least(1, 4);
comment on function public.cron_available is 'Whether pg_cron is installed in this database, in a supported version (1.4 or later).';

create function public.http_post_function() returns regprocedure
language sql stable set search_path = ''
return to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)');
comment on function public.http_post_function is 'The function of pg_net that sends a request; null without pg_net.';

create function public.process_jobs_seconds() returns int
language sql immutable parallel safe set search_path = ''
return 10;
comment on function public.process_jobs_seconds is
    'Default time in seconds that pg_net waits for process-jobs, which answers within 5 seconds and then continues. Meanwhile pg_net sends no other request.';

create function public.response_seconds() returns int
language sql immutable parallel safe set search_path = ''
return 300;
comment on function public.response_seconds is
    'How long the response to a request of pg_net may take to arrive, in seconds. A batch of requests is one transaction: a request waits for the slowest one of the batch before, and its response for the slowest one of its own. A hosted function may take 150 seconds on every plan.';

-- Secrets -----------------------------------------------------------------------------------------

create function public.named_secret(p_name text) returns text
language plpgsql stable set search_path = ''
as $$
declare
    v_secret text;
begin
    if to_regclass('vault.decrypted_secrets') is not null then
        select s.decrypted_secret into v_secret from vault.decrypted_secrets s where s.name = p_name;
    end if;
    return coalesce(nullif(v_secret, ''), nullif(current_setting('app.settings.' || p_name, true), ''));
end;
$$;
comment on function public.named_secret is
    'A secret by its name: from Vault, else the setting app.settings.<name>; null if neither has it. Runs with the privileges of the caller.';

create function public.setting_readable(p_name text) returns boolean
language sql stable set search_path = ''
as $$
    select coalesce(current_setting(p_name, true), '') <> '' or exists (
        -- A setting of the database or role applies to new sessions, such as those of pg_cron.
        select from pg_catalog.pg_db_role_setting s
        cross join lateral unnest(s.setconfig) as c (line)
        where s.setdatabase in (0, (select d.oid from pg_catalog.pg_database d where d.datname = current_database()))
          and s.setrole in (0, current_user::regrole)
          and lower(split_part(c.line, '=', 1)) = lower(p_name) and split_part(c.line, '=', 2) <> ''
    );
$$;
comment on function public.setting_readable is 'Whether a new session finds a value for a setting.';

create function public.secret_readable(p_name text) returns boolean
language plpgsql stable security definer set search_path = ''
as $$
begin
    return public.named_secret(p_name) is not null or public.setting_readable('app.settings.' || p_name);
end;
$$;
comment on function public.secret_readable is 'Whether a cron job finds the secret of that name. Does not return the secret itself.';

create function public.mask_secrets(p_text text) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    -- Each pattern with its replacement.
    v_pattern text[];
begin
    foreach v_pattern slice 1 in array array[
        -- keys of Supabase and other JWTs
        ['(eyJ[\w-]{6,}\.[\w-]+\.[\w-]*|sb_secret_[\w-]+)', '***'],
        -- user:password@ and ?key=… in a URL
        ['(://[^/\s:@''"]*:)[^/\s@''"]+(?=@)', '\1***'],
        ['([?&][\w-]*(?:key|secret|token|password)=)[^&\s''"]+', '\1***'],
        -- the token after Bearer or Basic
        ['((?:bearer|basic)\s+(?:["'']\s*\|\|\s*["''])?)[^\s''"|*]{4,}', '\1***'],
        -- a literal after the name of a header that holds a key, unless it is itself a name in JSON
        ['((?:authorization|[\w-]*(?:key|secret|token|password))["'']\s*(?:,|:|=>)\s*["''])'
         '(?!(?:bearer|basic)\s)[^''"*]{4,}(?=["''](?!\s*:[^:]))', '\1***'],
        -- any other long literal without spaces that looks random
        ['([''"])(?=[^''"]*\d)(?=[^''"]*[a-z])[\w+=.-][\w+/=.-]{39,}(?=[''"])', '\1***']
    ] loop
        p_text := regexp_replace(p_text, v_pattern[1], v_pattern[2], 'gi');
    end loop;
    return p_text;
end;
$$;
comment on function public.mask_secrets is 'A text with *** in place of everything that looks like a key, token or password.';

-- Jobs --------------------------------------------------------------------------------------------

create function public.cron_jobs()
returns table (
    job_id bigint, job_name text, schedule text, command text, active boolean, wakes_queue boolean,
    last_started_at timestamptz, last_finished_at timestamptz, last_status text, last_message text,
    failures_in_row int, last_error text, runs_since timestamptz
)
language plpgsql stable security definer set search_path = '' set jit = off
as $$
begin
    if not public.cron_available() then
        return;
    end if;
    return query
    -- pg_cron keeps every run and has no index by job, so only the last 10,000 runs are read.
    with runs as materialized (
        select r.* from cron.job_run_details r order by r.runid desc limit 10000
    ), answered as materialized (
        select a.* from public.cron_runs(null, null, 5000, 20) a
    ), judged as materialized (
        select
            r.runid, r.jobid,
            case
                when a.run_id is not null then a.succeeded
                -- Too long ago for its response to matter.
                when r.status = 'failed' then false
                when r.status = 'succeeded' then true
            end as succeeded
        from runs r
        left join answered a on a.run_id = r.runid
    )
    select
        j.jobid, j.jobname::text, j.schedule, public.mask_secrets(j.command), j.active,
        j.command ~ 'process-jobs', last.start_time, last.end_time, last.status,
        public.mask_secrets(last.return_message), failed.runs,
        case when failed.last_id is not null then public.mask_secrets(coalesce(
            case when bad.status = 'failed' then coalesce(bad.return_message, '') end,
            'HTTP ' || a.response_status || coalesce(': ' || coalesce(
                substring(a.response_text from '"message"\s*:\s*"([^"]+)"'), left(a.response_text, 200)), ''),
            case when a.response_timed_out then 'No response in time.' end,
            'Not sent: ' || a.response_error,
            'The request is still in pg_net''s queue.'
        )) end,
        (select min(r.start_time) from runs r)
    from cron.job j
    left join lateral (
        select r.* from runs r where r.jobid = j.jobid order by r.runid desc limit 1
    ) last on true
    cross join lateral (
        select count(*)::int as runs, max(f.runid) as last_id
        from judged f
        where f.jobid = j.jobid and not f.succeeded
          and f.runid > coalesce((select max(g.runid) from judged g where g.jobid = j.jobid and g.succeeded), 0)
    ) failed
    left join runs bad on bad.runid = failed.last_id
    left join answered a on a.run_id = failed.last_id
    order by j.jobid;
end;
$$;
comment on function public.cron_jobs is
    'The jobs of pg_cron with their last run; none without pg_cron. wakes_queue: calls process-jobs. failures_in_row: runs since the last success that failed, or whose request failed, see succeeded in cron_runs; last_error: why the last of them did. runs_since: how far back runs were examined; last_* are null for a job without a run since then. Secrets in the command are masked.';

create function public.cron_findings()
returns table (job_id bigint, finding text, detail text)
language plpgsql stable security definer set search_path = ''
as $$
declare
    v_post regprocedure := public.http_post_function();
begin
    if not public.cron_available() then
        return;
    end if;
    return query
    select j.jobid, 'six_fields', j.schedule from cron.job j
    where cardinality(regexp_split_to_array(btrim(j.schedule), '\s+')) > 5
    union all
    select j.jobid, 'key_in_clear', null from cron.job j where public.mask_secrets(j.command) <> j.command
    union all
    select distinct j.jobid, 'missing_setting', found.names[1]
    from cron.job j
    cross join lateral regexp_matches(j.command, 'current_setting\s*\(\s*''([^'']+)''', 'gi') as found (names)
    where not public.setting_readable(found.names[1])
    union all
    select distinct j.jobid, 'missing_secret', found.names[1]
    from cron.job j
    cross join lateral regexp_matches(j.command, '\mname\s*=\s*''([^'']+)''', 'gi') as found (names)
    where j.command ~* 'vault\.' and not public.secret_readable(found.names[1])
    union all
    select j.jobid, 'missing_secret', asked.names[1]
    from cron.job j
    cross join lateral regexp_matches(j.command, 'request_process_jobs\(''[^'']*'', ''([^'']+)''') as asked (names)
    where not public.secret_readable(asked.names[1])
    union all
    select j.jobid, 'pg_net_missing', null from cron.job j
    where v_post is null and j.command ~ '\mnet\.http_|\mrequest_process_jobs\M'
    union all
    select j.jobid, 'short_timeout', limits.milliseconds
    from cron.job j
    cross join lateral (
        select coalesce(
            substring(j.command from '(?i)timeout_milliseconds\s*(?::=|=>)\s*(\d+)'),
            substring(j.command from 'request_process_jobs\(''[^'']*'', ''[^'']*'', (\d+)\)') || '000',
            pg_catalog.pg_get_function_arg_default(v_post, 5)
        ) as milliseconds
    ) limits
    where j.command ~ 'process-jobs' and j.command ~ '\mnet\.http_|\mrequest_process_jobs\M'
      and limits.milliseconds ~ '^\d{1,9}$'
      -- Within this time process-jobs answers.
      and limits.milliseconds::int < 5000;
end;
$$;
comment on function public.cron_findings is
    'Problems of jobs of pg_cron. finding: six_fields (detail: the schedule), key_in_clear, missing_setting and missing_secret (detail: its name), pg_net_missing, short_timeout (detail: milliseconds).';

-- Runs --------------------------------------------------------------------------------------------

create function public.net_responses(p_since timestamptz)
returns table (request_id bigint, at timestamptz, status_code int, timed_out boolean, error text, content text)
language plpgsql stable security definer set search_path = ''
as $$
begin
    if to_regclass('net._http_response') is null then
        return;
    end if;
    return query
    select r.id, r.created, r.status_code, r.timed_out, r.error_msg, left(r.content, 500)
    from net._http_response r
    where r.created >= p_since
    order by r.created desc limit 5000;
end;
$$;
comment on function public.net_responses is 'Responses that pg_net received since then, the newest 5,000; it keeps them for six hours. None without pg_net. Not masked, so only for cron_runs.';

create function public.net_waiting(p_request_ids bigint[]) returns setof bigint
language plpgsql stable security definer set search_path = ''
as $$
begin
    if has_table_privilege(to_regclass('net.http_request_queue'), 'select') then
        return query select q.id from net.http_request_queue q where q.id = any (p_request_ids);
    end if;
end;
$$;
comment on function public.net_waiting is 'Which of these requests pg_net has not sent, or has sent in a batch that is still open. None without pg_net.';

create function public.cron_runs(
    p_job_id bigint default null, p_before bigint default null, p_most int default 100, p_of_each int default null
)
returns table (
    run_id bigint, job_id bigint, started_at timestamptz, finished_at timestamptz, status text, message text,
    asks boolean, request_id bigint, requested_at timestamptz, waiting boolean, sent_at timestamptz,
    response_status int, response_timed_out boolean, response_error text, response_text text, succeeded boolean
)
language plpgsql stable security definer set search_path = '' set jit = off
as $$
begin
    if not public.cron_available() then
        return;
    end if;
    return query
    with runs as materialized (
        select recent.* from (
            select r.*, lead(r.start_time) over (partition by r.asks order by r.runid) as next_start,
                   row_number() over (partition by r.jobid order by r.runid desc) as place
            from (
                select
                    d.*,
                    strpos(d.command, 'net.http_') > 0 or strpos(d.command, 'request_process_jobs') > 0 as asks
                from cron.job_run_details d
                where p_before is null or d.runid < p_before
                order by d.runid desc
                limit case when p_job_id is null then least(p_most, 5000) else 10000 end
            ) r
        ) recent
        where (p_job_id is null or recent.jobid = p_job_id) and (p_of_each is null or recent.place <= p_of_each)
        order by recent.runid desc limit least(p_most, 5000)
    ), sent as materialized (
        select r.runid, q.* from runs r
        cross join lateral (
            select q.request_id, q.requested_at from public.cron_requests q
            where q.pid = r.job_pid and q.requested_at >= r.start_time
              -- pg_cron may record an end that is a few milliseconds early.
              and q.requested_at < coalesce(r.end_time + interval '10 seconds', 'infinity')
            order by q.requested_at limit 1
        ) q
    ), responses as materialized (
        select n.* from public.net_responses((select min(r.start_time) from runs r)) n
    ), recorded as (
        select distinct on (s.runid) s.runid, n.*
        from sent s
        -- The transaction that sends a request may have begun just before the request was there.
        join responses n on n.request_id = s.request_id
            and n.at between s.requested_at - interval '5 seconds' and s.requested_at + interval '1 hour'
        order by s.runid, n.at
    ), guessed as (
        select r.runid, n.*, count(*) over (partition by r.runid) as candidates
        from runs r
        join responses n on n.at >= r.start_time and n.at < least(r.next_start, r.start_time + interval '10 minutes')
        where r.asks
          and not exists (select from sent s where s.runid = r.runid)
          and not exists (
              select from public.cron_requests q
              where q.request_id = n.request_id
                and q.requested_at between n.at - interval '1 hour' and n.at + interval '5 seconds'
          )
    ), answered as (
        select a.* from recorded a
        union all
        -- Not recorded: the only response in this time is probably that of this run.
        select g.runid, g.request_id, g.at, g.status_code, g.timed_out, g.error, g.content
        from guessed g where g.candidates = 1
    ), waiting as materialized (
        select s.runid from public.net_waiting(array(select s.request_id from sent s)) as w (id)
        join sent s on s.request_id = w.id
        -- After a crash, pg_net counts from 1 again, and the request of that id may be a later one.
        where not exists (
            select from public.cron_requests q where q.request_id = s.request_id and q.requested_at > s.requested_at
        )
    )
    select
        r.runid, r.jobid, r.start_time, r.end_time, r.status, public.mask_secrets(r.return_message), r.asks,
        s.request_id, s.requested_at, a.at is null and w.runid is not null, a.at,
        a.status_code, a.timed_out, public.mask_secrets(a.error), public.mask_secrets(a.content),
        case
            when r.status = 'failed' then false
            when r.status <> 'succeeded' then null
            when not r.asks then true
            -- Guessed: another request may have failed, or pg_net may have waited too short a time.
            when s.request_id is null and coalesce(a.status_code not between 200 and 299, true) then null
            when a.at is not null then coalesce(a.status_code between 200 and 299, false)
            when w.runid is not null and s.requested_at < clock_timestamp() - make_interval(secs => public.response_seconds())
                then false
        end
    from runs r
    left join sent s on s.runid = r.runid
    left join answered a on a.runid = r.runid
    left join waiting w on w.runid = r.runid
    order by r.runid desc;
end;
$$;
comment on function public.cron_runs is
    'Runs of pg_cron, newest first, of one job or all, before a run, and of each job the newest p_of_each. For a job that sends an HTTP request, the status succeeded means only that the request was queued; succeeded says whether the function answered with success, null if that is not known (yet). waiting: pg_net has not sent the request or has not ended its batch. sent_at: when that batch began; pg_net does not record when a response came. response_*: null if unknown. request_id is null if the command did not record its request, as request_process_jobs does; then response_* are the only response received until the next run, probably its own.';

-- The command that wakes the queue ----------------------------------------------------------------

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
            -- The new keys are not JWTs, and the platform refuses them as Bearer.
            || case when v_key like 'eyJ%' then jsonb_build_object('Authorization', 'Bearer ' || v_key) else '{}' end,
        timeout_milliseconds => 1000 * p_timeout_seconds
    );
    delete from public.cron_requests q where q.requested_at < now() - interval '7 days';
    insert into public.cron_requests (request_id) values (v_request);
    return v_request;
end;
$$;
comment on function public.request_process_jobs is
    'Run by the cron job of schedule_process_jobs: lets pg_net call process-jobs with the key of that name, and records the request. Returns its id.';

-- Changes -----------------------------------------------------------------------------------------

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
comment on function public.require_cron is 'Raises an error if pg_cron is not installed.';

create function public.require_cron_schedule(p_schedule text) returns void
language plpgsql stable set search_path = ''
as $$
begin
    if p_schedule ~ '^[1-5]?\d seconds$' and p_schedule !~ '^0' then
        if not public.cron_at_least(1, 5) then
            raise exception 'pg_cron % does not support seconds: the shortest schedule is * * * * *, every minute', public.cron_version()
                using errcode = '22023';
        end if;
    elsif coalesce(cardinality(regexp_split_to_array(btrim(p_schedule), '\s+')), 0) <> 5 then
        raise exception 'the schedule "%" does not have five fields (minute, hour, day, month, weekday)', p_schedule
            using errcode = '22023',
                  hint = 'pg_cron accepts six fields without an error, but reads the first as the minute and ignores the last.';
    end if;
end;
$$;
comment on function public.require_cron_schedule is 'Refuses a schedule that pg_cron would misread. pg_cron itself refuses invalid ones.';

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
comment on function public.record_cron_change is 'Records a change of cron jobs in the audit log, with their state before and after.';

create function public.secret_key_name() returns text
language sql immutable parallel safe set search_path = ''
return 'darkroom_secret_key';
comment on function public.secret_key_name is 'Name under which Vault, or a setting app.settings.<name>, holds the secret key that cron sends.';

create function public.schedule_process_jobs(
    p_actor text, p_schedule text, p_url text,
    p_key_name text default public.secret_key_name(), p_timeout_seconds int default public.process_jobs_seconds()
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
        raise exception '"%" is not the URL of process-jobs: https://…/functions/v1/process-jobs',
            public.mask_secrets(p_url) using errcode = '22023';
    elsif coalesce(p_key_name, '') !~ '^\w{1,60}$' then
        raise exception 'the name of the key may contain only letters, digits and _' using errcode = '22023';
    elsif coalesce(p_timeout_seconds, 0) not between 1 and 3600 then
        raise exception 'the timeout must be 1 to 3600 seconds' using errcode = '22023';
    elsif public.http_post_function() is null then
        raise exception 'pg_net is not installed: pg_cron needs it to call a function'
            using errcode = 'DR409', hint = 'create extension pg_net';
    elsif not public.secret_readable(p_key_name) then
        raise exception 'there is no key: neither Vault has a secret % nor is app.settings.% set', p_key_name, p_key_name
            using errcode = 'DR409';
    end if;
    -- Replaces every job that wakes the queue, or it would be woken twice.
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
    'Schedules process-jobs in pg_cron, replaces all jobs that call it, and records the actor. The job refers to the key by name; Vault or the setting app.settings.<name> holds it. Returns the id of the job.';

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
    'Removes every cron job that calls process-jobs, and records the actor and the jobs. Returns how many; 0 without pg_cron.';

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
    'Changes the schedule of a cron job, or pauses or resumes it, and records the actor. False if nothing changed.';

create function public.set_cron_job_active(p_actor text, p_job_id bigint, p_active boolean) returns boolean
language sql volatile set search_path = ''
as $$
    select public.change_cron_job(p_actor, p_job_id, p_active => p_active);
$$;
comment on function public.set_cron_job_active is 'Pauses or resumes a cron job. False if nothing changed.';

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
comment on function public.unschedule_cron_job is 'Removes a cron job, and records the actor and the job. False if there is none.';

-- Finds the last change of a job: its current schedule says nothing about runs before that.
create index audit_log_cron_idx on public.audit_log (at desc) where details ? 'cron_job_ids';
