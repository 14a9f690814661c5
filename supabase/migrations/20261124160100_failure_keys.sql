-- One short key for each kind of error, by which its failed jobs are found without reading the others.

create function public.error_key(p_error_group text, p_error_code text) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return left(md5(coalesce(p_error_code, '') || ' ' || coalesce(p_error_group, '')), 12);
end;
$$;
comment on function public.error_key(text, text) is
    'Stands for an error_group with an error_code, as failure_rollup has them, in indexes and addresses of pages.';

create function public.failure_key(p_error text, p_code text, p_model_id text) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return public.error_key(public.error_group(p_error, coalesce(p_model_id, '')), p_code);
end;
$$;
comment on function public.failure_key(text, text, text) is
    'The error_key of one error. job_queue_failure_key_idx holds it: whoever changes error_group or error_key builds that index anew.';

-- Written for failed jobs only, once each: the others pay nothing.
create index job_queue_failure_key_idx
    on public.job_queue (
        public.failure_key(error_message, error_details ->> 'code', payload ->> 'model_id'), completed_at
    )
    where status = 'failed';

do $$
declare
    v_function regprocedure;
begin
    foreach v_function in array array[
        'public.error_key(text, text)', 'public.failure_key(text, text, text)'
    ]::regprocedure[] loop
        execute format('revoke execute on function %s from public, anon, authenticated', v_function);
        execute format('grant execute on function %s to service_role', v_function);
    end loop;
end;
$$;
