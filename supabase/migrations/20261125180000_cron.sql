-- The jobs of pg_cron, the one that wakes the queue among them: what they are, what is wrong with
-- them, and what came of their runs. Nothing here needs pg_cron, pg_net or Vault to exist; without
-- pg_cron the lists are empty.
-- The lists are read with their owner's rights, because the tables of pg_cron are the owner's.

-- What pg_net is asked for carries no trace of the run that asked: this is the trace.
create table public.cron_requests (
    requested_at timestamptz not null default clock_timestamp(),
    request_id   bigint      not null,
    pid          int         not null default pg_backend_pid(),
    -- The ids of pg_net begin anew after a crash, since its tables are unlogged.
    primary key (requested_at, request_id)
);
comment on table public.cron_requests is 'Requests of request_process_jobs, kept for a week. pid and time say which run of a cron job sent one.';

-- What is there ------------------------------------------------------------------------------

create function public.cron_version() returns text
language sql stable set search_path = ''
return (select e.extversion from pg_catalog.pg_extension e where e.extname = 'pg_cron');
comment on function public.cron_version is 'Version of pg_cron in this database, such as 1.4-1; null without it.';

create function public.cron_at_least(p_major int, p_minor int) returns boolean
language sql stable set search_path = ''
return coalesce(
    string_to_array(substring(public.cron_version() from '^\d+\.\d+'), '.')::int[] >= array[p_major, p_minor], false
);
comment on function public.cron_at_least is 'Whether pg_cron is here, in that version or a later one.';

create function public.cron_available() returns boolean
language sql stable set search_path = ''
-- Earlier ones can neither pause a job nor keep what became of its runs.
return public.cron_at_least(1, 4);
comment on function public.cron_available is 'Whether pg_cron is installed in this database, in a version that can be worked with (1.4).';

create function public.http_post_function() returns regprocedure
language sql stable set search_path = ''
return to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)');
comment on function public.http_post_function is 'The function of pg_net that sends a request; null without pg_net.';

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
    'A secret by its name: from Vault, else the setting app.settings.<name>; null when neither has it. With the rights of the caller.';

create function public.secret_readable(p_name text) returns boolean
language plpgsql stable security definer set search_path = ''
as $$
begin
    return public.named_secret(p_name) is not null or public.setting_readable('app.settings.' || p_name);
end;
$$;
comment on function public.secret_readable is 'Whether a cron job finds the secret of that name. The secret itself is not told.';

create function public.setting_readable(p_name text) returns boolean
language sql stable set search_path = ''
as $$
    select coalesce(current_setting(p_name, true), '') <> '' or exists (
        -- What was set for the database meanwhile holds for new sessions only, as those of cron are.
        select from pg_catalog.pg_db_role_setting s
        cross join lateral unnest(s.setconfig) as c (line)
        where s.setdatabase in (0, (select d.oid from pg_catalog.pg_database d where d.datname = current_database()))
          and s.setrole in (0, current_user::regrole)
          and lower(split_part(c.line, '=', 1)) = lower(p_name) and split_part(c.line, '=', 2) <> ''
    );
$$;
comment on function public.setting_readable is 'Whether a new session finds a value for a setting.';

create function public.mask_secrets(p_text text) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    -- Each with what stays of it.
    v_pattern text[];
begin
    foreach v_pattern slice 1 in array array[
        -- Supabase's keys and other JWTs
        ['(eyJ[\w-]{6,}\.[\w-]+\.[\w-]*|sb_secret_[\w-]+)', '***'],
        -- user:password@ and ?key=… of an address
        ['(://[^/\s:@''"]*:)[^/\s@''"]+(?=@)', '\1***'],
        ['([?&][\w-]*(?:key|secret|token|password)=)[^&\s''"]+', '\1***'],
        -- Bearer and Basic with what follows
        ['((?:bearer|basic)\s+(?:["'']\s*\|\|\s*["''])?)[^\s''"|*]{4,}', '\1***'],
        -- a literal beside the name of a header that holds a key
        ['((?:authorization|[\w-]*(?:key|secret|token|password))["'']\s*(?:,|:|=>)\s*["''])'
         '(?!(?:bearer|basic)\s)[^''"*]{4,}(?=["''])', '\1***'],
        -- any other long literal without a space that looks random
        ['([''"])(?=[^''"]*\d)(?=[^''"]*[a-z])[\w+=.-][\w+/=.-]{39,}(?=[''"])', '\1***']
    ] loop
        p_text := regexp_replace(p_text, v_pattern[1], v_pattern[2], 'gi');
    end loop;
    return p_text;
end;
$$;
comment on function public.mask_secrets is 'A text with *** in place of everything that looks like a key, token or password.';

-- The jobs -----------------------------------------------------------------------------------

create function public.cron_jobs()
returns table (
    job_id bigint, job_name text, schedule text, command text, active boolean, wakes_queue boolean,
    last_started_at timestamptz, last_finished_at timestamptz, last_status text, last_message text,
    failures_in_row int, runs_since timestamptz
)
language plpgsql stable security definer set search_path = ''
as $$
begin
    if not public.cron_available() then
        return;
    end if;
    return query
    -- pg_cron keeps all runs and has no index on their job: its last ten thousand are looked at.
    with runs as materialized (
        select r.* from cron.job_run_details r order by r.runid desc limit 10000
    )
    select
        j.jobid, j.jobname::text, j.schedule, public.mask_secrets(j.command), j.active,
        j.command ~ 'process-jobs', last.start_time, last.end_time, last.status,
        public.mask_secrets(last.return_message),
        coalesce((
            select count(*)::int from runs r
            where r.jobid = j.jobid and r.status = 'failed'
              and r.runid > coalesce(
                  (select max(s.runid) from runs s where s.jobid = j.jobid and s.status = 'succeeded'), 0)
        ), 0),
        (select min(r.start_time) from runs r)
    from cron.job j
    left join lateral (
        select r.* from runs r where r.jobid = j.jobid order by r.runid desc limit 1
    ) last on true
    order by j.jobid;
end;
$$;
comment on function public.cron_jobs is
    'The jobs of pg_cron with their last run; none without pg_cron. wakes_queue: calls process-jobs. failures_in_row: runs that failed since the last one that succeeded. runs_since: how far back runs were looked at; of a job that has not run since then last_* are null. Secrets in the command are masked.';

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
      and limits.milliseconds::int < 1000 * public.process_jobs_seconds();
end;
$$;
comment on function public.cron_findings is
    'What is wrong with jobs of pg_cron. finding: six_fields (detail: the schedule), key_in_clear, missing_setting and missing_secret (detail: its name), pg_net_missing, short_timeout (detail: milliseconds).';

create function public.process_jobs_seconds() returns int
language sql immutable parallel safe set search_path = ''
return 150;
comment on function public.process_jobs_seconds is
    'How long a call of process-jobs may take: as long as a hosted function may run on every plan.';

-- The runs -----------------------------------------------------------------------------------

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
comment on function public.net_responses is 'What pg_net got back since then, the newest 5000; it keeps that for six hours. None without pg_net. Not masked, so for cron_runs alone.';

create function public.cron_runs(p_job_id bigint default null, p_before bigint default null, p_most int default 100)
returns table (
    run_id bigint, job_id bigint, started_at timestamptz, finished_at timestamptz, status text, message text,
    asks boolean, request_id bigint, requested_at timestamptz, responded_at timestamptz, response_status int,
    response_timed_out boolean, response_error text, response_text text
)
language plpgsql stable security definer set search_path = ''
as $$
begin
    if not public.cron_available() then
        return;
    end if;
    return query
    with runs as materialized (
        select recent.* from (
            select r.*, lead(r.start_time) over (partition by r.asks order by r.runid) as next_start
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
        where p_job_id is null or recent.jobid = p_job_id
        order by recent.runid desc limit least(p_most, 5000)
    ), responses as materialized (
        select n.*, exists (
            select from public.cron_requests q
            where q.request_id = n.request_id and q.requested_at between n.at - interval '1 hour' and n.at
        ) as ours
        from public.net_responses((select min(r.start_time) from runs r)) n
    )
    select
        r.runid, r.jobid, r.start_time, r.end_time, r.status, public.mask_secrets(r.return_message), r.asks,
        sent.request_id, sent.requested_at, n.at, n.status_code, n.timed_out, public.mask_secrets(n.error), public.mask_secrets(n.content)
    from runs r
    left join lateral (
        select q.* from public.cron_requests q
        where q.pid = r.job_pid and q.requested_at >= r.start_time
          -- pg_cron may note an end that is some milliseconds too early.
          and q.requested_at < coalesce(r.end_time + interval '10 seconds', 'infinity')
        order by q.requested_at limit 1
    ) sent on true
    left join lateral (
        select * from (
            select n.*, count(*) over () as candidates from responses n
            where case when sent.request_id is not null
                then n.request_id = sent.request_id
                    and n.at >= sent.requested_at and n.at < sent.requested_at + interval '1 hour'
                -- Nobody wrote down which request it was: the only answer of its time is probably its own.
                else r.asks and not n.ours
                    and n.at >= r.start_time and n.at < least(r.next_start, r.start_time + interval '10 minutes')
                end
        ) n
        where sent.request_id is not null or n.candidates = 1
        order by n.at limit 1
    ) n on true
    order by r.runid desc;
end;
$$;
comment on function public.cron_runs is
    'Runs of pg_cron, newest first, of one job or all, before a run. A status of succeeded says of a job that asks over HTTP only that its request was queued: response_* say what became of it, null where that is not known. request_id is null where the command wrote no request down, as request_process_jobs does: then response_* are the only answer that came until the next run, probably its own.';

revoke execute on function public.net_responses from public, anon, authenticated, service_role;

do $$
declare
    v_function regprocedure;
begin
    alter table public.cron_requests enable row level security;
    revoke all on public.cron_requests from public, anon, authenticated, service_role;
    grant select, insert, update, delete on public.cron_requests to service_role;
    create policy "Service role has full access" on public.cron_requests for all to service_role
        using (true) with check (true);
    for v_function in
        select p.oid::regprocedure
        from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in (
              'cron_version', 'cron_at_least', 'cron_available', 'http_post_function', 'named_secret',
              'secret_readable', 'setting_readable', 'mask_secrets', 'cron_jobs', 'cron_findings',
              'process_jobs_seconds', 'cron_runs'
          )
    loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
