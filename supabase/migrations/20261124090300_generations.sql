-- Image generations: the limits of a user, starting a generation, what a worker records while it runs, and
-- notifying clients of changes.

-- Limits ------------------------------------------------------------------------------------------

select public.set_aside_existing('get_user_limits');
create function public.get_user_limits(p_user_id uuid) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
    v_daily_limit  int;
    v_hourly_limit int;
    v_daily_used   int;
    v_hourly_used  int;
    v_reason       text;
begin
    if (select auth.uid()) is not null and p_user_id is distinct from (select auth.uid()) then
        raise exception 'users may only read their own limits' using errcode = '42501';
    end if;
    select coalesce(max(l.daily_limit), 100), coalesce(max(l.hourly_limit), 20)
    into v_daily_limit, v_hourly_limit
    from public.user_limits l where l.user_id = p_user_id;

    if p_user_id is null then
        -- Requests without a user share one allowance.
        select count(*), count(*) filter (where g.created_at > now() - interval '1 hour')
        into v_daily_used, v_hourly_used
        from public.image_generations g
        where g.user_id is null and g.created_at > now() - interval '1 day' and g.source = 'app';
    else
        select count(*), count(*) filter (where g.created_at > now() - interval '1 hour')
        into v_daily_used, v_hourly_used
        from public.image_generations g
        where g.user_id = p_user_id and g.created_at > now() - interval '1 day' and g.source <> 'test';
    end if;
    v_reason := case
        when v_daily_used >= v_daily_limit then format('Daily limit reached: %s of %s.', v_daily_used, v_daily_limit)
        when v_hourly_used >= v_hourly_limit then format('Hourly limit reached: %s of %s.', v_hourly_used, v_hourly_limit)
    end;
    return jsonb_build_object(
        'can_generate', v_reason is null, 'limit_reason', v_reason,
        'daily_limit', v_daily_limit, 'daily_used', v_daily_used,
        'hourly_limit', v_hourly_limit, 'hourly_used', v_hourly_used
    );
end;
$$;
comment on function public.get_user_limits is
    'A user''s generations of the last 24 hours and of the last hour against the limits, and why no more may be started (limit_reason); null asks for requests without a user.';

create function public.default_limits(out daily_limit int, out hourly_limit int)
language sql stable set search_path = ''
as $$
    select (l ->> 'daily_limit')::int, (l ->> 'hourly_limit')::int
    -- No user has the nil id, so none differs from the defaults there.
    from public.get_user_limits('00000000-0000-0000-0000-000000000000') l;
$$;
comment on function public.default_limits is 'Limits of users without a row in user_limits, as get_user_limits has them.';

create function public.limit_resets_in(p_user_id uuid, p_limits jsonb) returns int
language sql stable set search_path = ''
as $$
    select greatest(1, ceil(extract(epoch from max(w.at) - now())))::int
    from (
        -- A slot becomes free when the generation in the last place of the window leaves the window.
        select case when n.allowed = 0 then now() else (
            select g.created_at from public.image_generations g
            where g.user_id is not distinct from p_user_id
              and g.created_at > now() - n.length
              and g.source <> 'test'
            order by g.created_at desc
            offset n.allowed - 1 limit 1
        ) end + n.length as at
        from (values
            (interval '1 hour', (p_limits ->> 'hourly_limit')::int, (p_limits ->> 'hourly_used')::int),
            (interval '1 day', (p_limits ->> 'daily_limit')::int, (p_limits ->> 'daily_used')::int)
        ) as n (length, allowed, used)
        where n.used >= n.allowed
    ) w;
$$;
comment on function public.limit_resets_in is
    'Seconds until a user over the limit may start another generation; a limit of zero answers with its window.';

-- Start -------------------------------------------------------------------------------------------

create function public.reserved_input(p_name text) returns text
language sql immutable parallel safe set search_path = ''
return case
    when p_name ~* '(api|access|account|private|subscription|encryption|auth|openai|anthropic|gemini|google|stability|replicate|civitai|hf)[^a-z]?key|secret|passw|pwd|credential'
        or p_name ~* '(^|[^a-z])(api|hf|huggingface|civitai|replicate|openai|github|access|auth|bearer|session|refresh|id|user)[^a-z]?token$'
        or p_name ~* '(api|access|auth|refresh)[^a-z]?token|authorization|^(token|auth|bearer|cookies?)$|^[a-z]+Token$'
        then 'is a secret; secrets are not accepted'
    when p_name ~* 'safety|unsafe|nsfw|moderat|person_generation|censor|explicit|content[^a-z]?(filter|policy)|guardrail'
        then 'can only be set by operators'
end;
comment on function public.reserved_input is
    'Why no request of a user may set an input of a model, by its name: secrets would be stored with the request, and safety switches are the operators'' business. Null for all others.';

create function public.refuse_reserved_inputs(p_parameters jsonb, p_source text) returns void
language plpgsql immutable set search_path = ''
as $$
declare
    v_problems jsonb := (
        select jsonb_agg(jsonb_build_object('field', left(i.name, 100), 'problem', i.problem) order by i.name)
        from (
            select k as name, public.reserved_input(k) as problem
            from jsonb_object_keys(case when jsonb_typeof(p_parameters) = 'object' then p_parameters else '{}' end) k
        ) i
        where i.problem is not null and (p_source <> 'test' or i.problem like '%secret%')
    );
begin
    perform public.refuse_input(v_problems);
end;
$$;
comment on function public.refuse_reserved_inputs is
    'Raises DR422 (problems in DETAIL) for parameters with a reserved_input. Tests of operators may set safety switches, and nobody sends a secret.';

create function public.refuse_invalid_labels(p_application text, p_metadata jsonb) returns void
language plpgsql immutable set search_path = ''
as $$
declare
    v_problems jsonb := (
        select jsonb_agg(jsonb_build_object('field', l.field, 'problem', l.problem) order by l.field, l.problem)
        from (values
            ('application', 'must have 1 to 100 characters', length(p_application) not between 1 and 100),
            ('metadata', 'must be a JSON object', jsonb_typeof(p_metadata) <> 'object'),
            ('metadata', 'must have at most 2,048 bytes', octet_length(p_metadata::text) > 2048)
        ) as l (field, problem, is_so)
        where l.is_so
    );
begin
    perform public.refuse_input(v_problems);
end;
$$;
comment on function public.refuse_invalid_labels is
    'Raises DR422 (problems in DETAIL) unless an application and its metadata may be kept with a generation.';

select public.set_aside_existing('start_generation');
create function public.start_generation(
    p_user_id         uuid,
    p_prompt          text,
    p_model_id        text,
    p_parameters      jsonb default '{}',
    p_source          text default 'app',
    p_idempotency_key text default null,
    p_application     text default null,
    p_metadata        jsonb default null
) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
    v_scope   text := coalesce(p_user_id::text, p_source);
    v_request jsonb := jsonb_build_object(
        'prompt', p_prompt, 'model_id', p_model_id, 'parameters', p_parameters, 'application', p_application, 'metadata', p_metadata
    );
    v_earlier public.idempotency_keys;
    v_model   public.models;
    v_input   record;
    v_limits  jsonb;
    v_generation_id uuid := gen_random_uuid();
    v_job_id  uuid;
begin
    p_prompt := coalesce(p_prompt, '');
    perform public.refuse_reserved_inputs(p_parameters, p_source);
    perform public.refuse_invalid_labels(p_application, p_metadata);
    -- One start at a time per user, so that parallel requests cannot exceed the limit together.
    perform pg_advisory_xact_lock(hashtextextended('start_generation:' || v_scope, 0));

    if p_idempotency_key is not null then
        delete from public.idempotency_keys k
        where k.scope = v_scope and k.created_at < now() - interval '1 day';
        select * into v_earlier from public.idempotency_keys k
        where k.scope = v_scope and k.key = p_idempotency_key;
        if found and v_earlier.request <> v_request then
            raise exception 'this Idempotency-Key was used for a different request: send a new key'
                using errcode = 'DR409';
        elsif found then
            return jsonb_build_object('generation_id', v_earlier.generation_id, 'job_id', v_earlier.job_id,
                                      'status', 'queued')
                || coalesce((
                    select jsonb_build_object('notices', coalesce(g.notices, '{}'), 'size', g.size,
                                              'application', g.application, 'metadata', g.metadata)
                    from public.image_generations g where g.id = v_earlier.generation_id
                ), '{"notices": [], "size": null, "application": null, "metadata": null}');
        end if;
    end if;

    select * into v_model from public.models m where m.id = p_model_id and m.enabled;
    if not found then
        raise exception 'there is no enabled model %', p_model_id using errcode = 'DR404';
    end if;
    v_input := public.resolve_input(v_model, p_prompt, p_parameters, p_source = 'test');
    if p_source <> 'test' then
        v_limits := public.get_user_limits(p_user_id);
        if not (v_limits ->> 'can_generate')::boolean then
            raise exception 'the generation limit has been reached' using errcode = 'DR429', detail = (
                v_limits || jsonb_build_object('retry_after_seconds', public.limit_resets_in(p_user_id, v_limits))
            )::text;
        end if;
    end if;

    insert into public.image_generations (
        id, user_id, prompt, model_id, parameters, source, notices, size, application, metadata
    ) values (
        v_generation_id, p_user_id, p_prompt, p_model_id, v_input.parameters, p_source, v_input.notices, v_input.size,
        p_application, p_metadata
    );
    perform public.use_uploads(v_generation_id, p_user_id, p_source, v_model.input_schema, v_input.parameters, p_parameters);
    v_job_id := public.enqueue_job(
        'generate-image',
        jsonb_build_object('generation_id', v_generation_id, 'prompt', p_prompt, 'model_id', p_model_id)
            || case when p_source = 'test' then '{"test": true}' else '{}'::jsonb end,
        p_created_by => p_user_id
    );
    if p_idempotency_key is not null then
        insert into public.idempotency_keys (scope, key, request, generation_id, job_id)
        values (v_scope, p_idempotency_key, v_request, v_generation_id, v_job_id);
    end if;
    return jsonb_build_object('generation_id', v_generation_id, 'job_id', v_job_id, 'status', 'queued',
                              'notices', v_input.notices, 'size', v_input.size,
                              'application', p_application, 'metadata', p_metadata);
end;
$$;
comment on function public.start_generation is
    'Checks the input and the limits, writes the generation and enqueues its job, in one transaction. Source test is not limited. The prompt may be empty or null for a model that takes none. notices and size say what became of the request (resolve_input). application and metadata, up to 2 kB, are the caller''s own and kept with the generation and its predictions. Errors: DR404 model, DR409 key reused, DR422 input (problems in DETAIL), DR429 limit (limits in DETAIL).';

-- As the owner, because users may not write jobs and generations. Priority and time are bounded, or they would
-- pass others by.
create function public.enqueue_for_user(
    p_job_type text, p_payload jsonb, p_priority int, p_scheduled_at timestamptz, p_max_attempts int, p_created_by uuid
) returns uuid
language plpgsql volatile security definer set search_path = ''
as $$
declare
    v_user     constant uuid := auth.uid();
    v_generate constant boolean := p_job_type = 'generate-image';
    v_payload  constant jsonb := case when jsonb_typeof(p_payload) = 'object' then p_payload else '{}'::jsonb end;
    v_prompt   constant text := btrim(v_payload ->> 'prompt', E' \t\r\n');
    v_inputs   constant jsonb := jsonb_strip_nulls(
        v_payload - '{generation_id,user_id,prompt,model_id,application,metadata,parameters}'::text[]
        || case when jsonb_typeof(v_payload -> 'parameters') = 'object' then v_payload -> 'parameters' else '{}'::jsonb end
    );
    v_problems jsonb;
    v_limits   jsonb;
    v_id       uuid;
begin
    if v_user is null or p_created_by <> v_user then
        raise exception 'users may only enqueue their own jobs' using errcode = '42501';
    end if;
    if not exists (select from public.job_types t where t.job_type = p_job_type and t.for_users) then
        raise exception 'users may not enqueue jobs of type %', left(p_job_type, 200)
            using errcode = '42501', hint = 'To allow a type, set for_users in the table job_types.';
    end if;
    select jsonb_agg(jsonb_build_object('field', c.field, 'problem', c.problem)) into v_problems
    from (values
        ('payload', 'must be a JSON object', jsonb_typeof(p_payload) is distinct from 'object'),
        ('payload', 'must not be larger than 256 kB', octet_length(p_payload::text) > 262144),
        ('user_id', 'must be your own', lower(v_payload ->> 'user_id') <> v_user::text),
        ('test', 'can only be set by operators', v_payload ?| '{test,test_run}'),
        ('priority', 'must be 0', p_priority <> 0),
        ('scheduled_at', 'must be within a day', p_scheduled_at > now() + interval '1 day'),
        ('max_attempts', 'must be 1 to 3', p_max_attempts not between 1 and 3),
        ('generation_id', 'is set by the server: omit it', v_generate and v_payload ->> 'generation_id' is not null),
        ('prompt', 'must be text of at most 10,000 characters', v_generate and (
            jsonb_typeof(v_payload -> 'prompt') not in ('string', 'null') or length(v_prompt) > 10000
        )),
        ('model_id', 'must be the id of a model', v_generate and coalesce(v_payload ->> 'model_id', '') = ''),
        ('payload', 'must not contain objects or nested lists as inputs', v_generate and exists (
            select from jsonb_each(v_inputs) i
            where jsonb_typeof(i.value) = 'object' or i.value @? 'strict $[*] ? (@.type() == "object" || @.type() == "array")'
        )),
        ('output_url', 'must be an https address',
         p_job_type = 'download-image' and coalesce(v_payload ->> 'output_url', '') !~* '^https://')
    ) as c (field, problem, is_so)
    where c.is_so;
    perform public.refuse_input(v_problems);

    if v_generate then
        v_id := (public.start_generation(
            v_user, v_prompt, p_payload ->> 'model_id', v_inputs,
            p_application => p_payload ->> 'application', p_metadata => nullif(p_payload -> 'metadata', 'null')
        ) ->> 'job_id')::uuid;
        update public.job_queue q
        set scheduled_at = greatest(q.scheduled_at, p_scheduled_at), max_attempts = coalesce(p_max_attempts, q.max_attempts)
        where q.id = v_id and (p_scheduled_at > q.scheduled_at or p_max_attempts <> q.max_attempts);
        return v_id;
    end if;

    perform pg_advisory_xact_lock(hashtextextended('start_generation:' || v_user, 0));
    if (p_payload ? 'generation_id' or p_job_type = 'download-image') and not exists (
        select from public.image_generations g
        where g.id = public.generation_of(p_payload) and g.user_id = v_user
    ) then
        raise exception 'you have no generation %', left(p_payload ->> 'generation_id', 200) using errcode = 'DR404';
    end if;
    select l || jsonb_build_object('daily_used', u.daily, 'hourly_used', u.hourly) into v_limits
    from public.get_user_limits(v_user) l
    cross join (
        select count(*) as daily, count(*) filter (where q.created_at > now() - interval '1 hour') as hourly
        from public.job_queue q
        where q.created_by = v_user and q.job_type <> 'generate-image' and q.created_at > now() - interval '1 day'
    ) u;
    if (v_limits ->> 'daily_used')::int >= (v_limits ->> 'daily_limit')::int
       or (v_limits ->> 'hourly_used')::int >= (v_limits ->> 'hourly_limit')::int
    then
        raise exception 'the job limit has been reached' using errcode = 'DR429', detail = v_limits::text;
    end if;
    return public.enqueue_job(
        p_job_type, p_payload || jsonb_build_object('user_id', v_user),
        p_scheduled_at => greatest(p_scheduled_at, now()), p_max_attempts => p_max_attempts, p_created_by => v_user
    );
end;
$$;
comment on function public.enqueue_for_user is
    'enqueue_job for the signed-in user, of types that job_types allows (for_users). generate-image starts a generation as start_generation does, from a payload of prompt, model_id and inputs. Other types have the user''s limits too, counted apart, and take only generations of the user. Errors: 42501 type or user not allowed, DR404 no such model or generation, DR422 (problems in DETAIL), DR429 limit (limits in DETAIL).';

-- Run ---------------------------------------------------------------------------------------------

select public.set_aside_existing('begin_generation');
-- What the holder of a claim does next: follow the prediction provider_id, look for the prediction of an intent
-- of an earlier attempt (intended_seconds), or create one for the new intent prediction.
create function public.begin_generation(p_job_id uuid, p_attempt int, p_provider text default null)
returns table (
    generation_id uuid, status text, model_id text, version text, prediction uuid, provider_id text, input jsonb,
    intended_at timestamptz, intended_seconds double precision, deadline_seconds int,
    user_id uuid, images_asked int, outputs_made int, outputs jsonb, given_files jsonb, provider text, provider_url text
)
language plpgsql volatile set search_path = ''
as $$
declare
    v_job     public.job_queue;
    v_id      uuid;
    v_payload jsonb;
    v_user    uuid;
    v_known   text;
    v_resolved record;
begin
    if not public.hold_claim(p_job_id, p_attempt) then
        return;
    end if;
    select * into v_job from public.job_queue q where q.id = p_job_id;
    v_payload := v_job.payload;
    v_id := coalesce(public.generation_of(v_payload), gen_random_uuid());
    if v_payload ->> 'generation_id' is not null and public.generation_of(v_payload) is null then
        raise exception 'payload.generation_id is not a uuid' using errcode = 'DR422';
    end if;

    if not exists (select from public.image_generations g where g.id = v_id) then
        -- Enqueued by hand or by an older client: create the generation from the payload.
        if coalesce(btrim(v_payload ->> 'prompt'), '') = '' and not exists (
            select from public.models m where m.id = v_payload ->> 'model_id' and not m.input_schema ? 'prompt'
        ) then
            raise exception 'payload.prompt is missing: describe the image' using errcode = 'DR422';
        end if;
        perform public.refuse_reserved_inputs(
            v_payload -> 'parameters', case when v_payload -> 'test' = 'true' then 'test' else 'app' end
        );
        v_user := v_job.created_by;
        if v_user is null and v_payload ? 'user_id' then
            -- Whoever enqueues with the secret key may say for which user.
            select u.id into v_user from auth.users u
            where u.id = case when v_payload ->> 'user_id' ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                              then (v_payload ->> 'user_id')::uuid end;
        end if;
        insert into public.image_generations (id, user_id, prompt, model_id, parameters, source, created_at)
        values (
            v_id,
            v_user,
            coalesce(v_payload ->> 'prompt', ''),
            coalesce(v_payload ->> 'model_id', 'black-forest-labs/flux-schnell'),
            case when jsonb_typeof(v_payload -> 'parameters') = 'object' then v_payload -> 'parameters' else '{}' end,
            case when v_payload -> 'test' = 'true' then 'test' else 'app' end,
            v_job.created_at
        );
        update public.job_queue q
        set payload = q.payload || jsonb_build_object('generation_id', v_id) where q.id = p_job_id;
    end if;
    p_provider := coalesce(p_provider, (
        -- A model may have moved to a server of one's own meanwhile: what the other provider runs is paid for.
        select coalesce((
            select p.provider from public.predictions p
            where p.generation_id = g.id and p.status in ('intended', 'starting', 'processing', 'succeeded')
              and (p.provider = m.provider or exists (select from public.model_servers s where s.model_id = m.id))
            order by p.provider_id is null, p.provider = m.provider desc, p.created_at desc limit 1
        ), m.provider)
        from public.image_generations g join public.models m on m.id = g.model_id where g.id = v_id
    ), 'replicate');
    -- Only start_generation has checked the input already. An older client writes it beside the prompt.
    update public.image_generations g
    set model_id = a.model_id, parameters = coalesce(i.parameters, a.given), notices = coalesce(i.notices, '{}'), size = i.size
    from (
        select o.id, o.source, o.prompt, n.model_id, m, o.parameters || coalesce((
            select jsonb_object_agg(p.key, p.value) from jsonb_each(v_payload) p
            where public.neutral_inputs() ? p.key and p.value <> 'null'
        ), '{}') as given
        from public.image_generations o
        cross join lateral (
            select coalesce(v_payload ->> 'model_id', nullif(o.model_id, ''), 'black-forest-labs/flux-schnell') as model_id
        ) n
        left join public.models m on m.id = n.model_id
        where o.id = v_id and o.notices is null and o.status <> 'completed'
    ) a
    left join lateral public.resolve_input(a.m, a.prompt, a.given, a.source = 'test') i on (a.m).id is not null
    where g.id = a.id
    returning g.user_id, g.source, (a.m).input_schema, g.parameters, a.given into v_resolved;
    if found then
        perform public.use_uploads(
            v_id, v_resolved.user_id, v_resolved.source, v_resolved.input_schema, v_resolved.parameters, v_resolved.given
        );
    end if;
    if v_payload ->> 'model_id' is null then
        -- Circuit breakers and holds go by the payload.
        update public.job_queue q set payload = q.payload || jsonb_build_object('model_id', g.model_id)
        from public.image_generations g where q.id = p_job_id and g.id = v_id;
    end if;

    update public.image_generations g
    set status = 'processing', started_at = clock_timestamp(), error_message = null, error_code = null,
        updated_at = clock_timestamp(),
        -- An attempt may have lost its claim before it recorded its prediction.
        prediction_id = coalesce(g.prediction_id, (
            select p.provider_id from public.predictions p
            where p.generation_id = v_id and p.provider = p_provider and p.status in ('starting', 'processing', 'succeeded')
            order by p.created_at desc limit 1
        ))
    where g.id = v_id and g.status <> 'completed'
    returning g.prediction_id into v_known;
    if not found then
        return query
            select g.id, g.status, g.model_id, null::text, null::uuid, null::text, null::jsonb, null::timestamptz,
                   null::double precision, null::int, g.user_id, null::int, null::int, null::jsonb, null::jsonb, null::text,
                   null::text
            from public.image_generations g where g.id = v_id;
        return;
    end if;
    if v_known is not null and not exists (
        select from public.predictions p where p.provider = p_provider and p.provider_id = v_known
    ) then
        -- Of an existing deployment.
        insert into public.predictions (provider, provider_id, model_id, generation_id, input, status, created_at)
        select p_provider, v_known, g.model_id, g.id, '{}', 'processing', g.created_at from public.image_generations g where g.id = v_id;
    end if;
    perform public.intend_prediction(p_job_id, p_attempt, v_id, p_provider)
    where not exists (
        select from public.predictions p
        where p.generation_id = v_id and p.provider = p_provider
          and p.status in ('intended', 'starting', 'processing', 'succeeded')
    );
    return query
        select g.id, g.status, p.model_id, p.version, p.id, p.provider_id, public.input_to_send(p), p.created_at,
               case when p.provider_id is null and (p.job_id, p.attempt) is distinct from (p_job_id, p_attempt)
                    then extract(epoch from clock_timestamp() - p.created_at)::double precision end,
               m.deadline_seconds, g.user_id, public.images_asked(p.input), p.outputs,
               coalesce((
                   select jsonb_agg(to_jsonb(o) order by o.index) from public.outputs o
                   where o.generation_id = g.id and o.prediction_id = p.id
               ), '[]'),
               p.given_files, p.provider, s.url
        from public.image_generations g
        join public.predictions p
            on p.generation_id = g.id and p.provider = p_provider
           and p.status in ('intended', 'starting', 'processing', 'succeeded')
        left join public.models m on m.id = g.model_id
        left join public.model_servers s on s.model_id = g.model_id
        where g.id = v_id
        -- One that is known before one that may not exist.
        order by p.provider_id is null, p.created_at desc
        limit 1;
end;
$$;
comment on function public.begin_generation is
    'What the holder of a claim needs to run its generation; no row when the claim is lost. prediction: the row of predictions to follow (provider_id is known), to look for (intended_seconds, since an earlier attempt intended it) or to create. deadline_seconds: of the model, null for the worker''s. images_asked: how many images its input asks for; outputs_made: how many it has, null while it runs; outputs: those stored already, as in the table; given_files: as in predictions. provider: p_provider, by default the one of the model, with the address of the model''s own server. Errors: DR422 for a payload or input that can never run, 23503 for a user that is gone.';

-- Predictions -------------------------------------------------------------------------------------

create function public.requested_input(p_generation public.image_generations, p_model public.models) returns jsonb
language sql stable set search_path = ''
return coalesce(public.default_input(p_model), '{}') || (p_generation).parameters
    || case when coalesce((p_model).input_schema ? 'prompt', true) then jsonb_build_object('prompt', (p_generation).prompt) else '{}' end;
comment on function public.requested_input is 'Input of a prediction as requested and by the model''s defaults, without a seed of ours.';

create function public.data_reference(p_value jsonb) returns jsonb
language sql immutable parallel safe set search_path = ''
return case when jsonb_typeof(p_value) = 'string' and p_value #>> '{}' ~* '^data:' then to_jsonb(format(
    'data:%s;sha256,%s;%s',
    substring(p_value #>> '{}' from '^.{5}([^;,]{0,100})'),
    encode(sha256(convert_to(p_value #>> '{}', 'UTF8')), 'hex'),
    octet_length(p_value #>> '{}')
)) else p_value end;
comment on function public.data_reference is
    'A data URL as data:<media type>;sha256,<digest of the URL>;<its length in bytes>; any other value unchanged.';

create function public.input_without_data(p_input jsonb) returns jsonb
language sql immutable parallel safe set search_path = ''
return case when p_input::text ~* '"data:' then (
    select jsonb_object_agg(i.key, case
        when jsonb_typeof(i.value) = 'array' then (
            select coalesce(jsonb_agg(public.data_reference(e.value) order by e.place), '[]')
            from jsonb_array_elements(i.value) with ordinality as e (value, place)
        )
        else public.data_reference(i.value)
    end)
    from jsonb_each(p_input) i
) else p_input end;
comment on function public.input_without_data is 'An input with references in place of data URLs, also in its lists.';

create function public.input_to_send(p_prediction public.predictions) returns jsonb
language sql stable set search_path = ''
return case when (p_prediction).input::text like '%;sha256,%' then (
    select jsonb_object_agg(i.key, case
        when public.input_without_data(jsonb_build_object(i.key, r.input -> i.key)) -> i.key = i.value
        then r.input -> i.key else i.value
    end)
    from jsonb_each((p_prediction).input) i
    cross join (
        select public.requested_input(g, m) as input
        from public.image_generations g left join public.models m on m.id = g.model_id
        where g.id = (p_prediction).generation_id
    ) r
) else (p_prediction).input end;
comment on function public.input_to_send is 'The input of a prediction with the data URLs of its request in place of the references.';

create function public.intend_prediction(p_job_id uuid, p_attempt int, p_generation_id uuid, p_provider text)
returns public.predictions
language sql volatile set search_path = ''
as $$
    insert into public.predictions (
        provider, model_id, version, generation_id, job_id, attempt, worker, input, application, metadata
    )
    select
        p_provider, g.model_id, m.version, g.id, p_job_id, p_attempt, public.worker_of(p_job_id, p_attempt),
        -- A seed of ours, in the range that every model takes, tells two with the same prompt apart at the provider.
        case when m.input_schema ? 'seed' then jsonb_build_object('seed', floor(random() * 2147483647)::int) else '{}' end
            || public.input_without_data(public.requested_input(g, m)),
        g.application, g.metadata
    from public.image_generations g left join public.models m on m.id = g.model_id
    where g.id = p_generation_id
    returning *;
$$;
comment on function public.intend_prediction is
    'Writes down that a prediction of a generation is about to be created, with the input to send, references in place of data. The caller holds the claim; without one, p_job_id and p_attempt are null.';

create function public.replace_prediction(p_job_id uuid, p_attempt int, p_prediction uuid, p_status text, p_error text default null)
returns setof public.predictions
language plpgsql volatile set search_path = ''
as $$
declare
    v_old public.predictions;
begin
    if not public.hold_claim(p_job_id, p_attempt) then
        return;
    end if;
    update public.predictions p
    set status = p_status, error = left(p_error, 16000), ended_at = coalesce(p.ended_at, clock_timestamp())
    where p.id = p_prediction
    returning * into v_old;
    update public.image_generations g set prediction_id = null where g.id = v_old.generation_id;
    return query select * from public.intend_prediction(p_job_id, p_attempt, v_old.generation_id, v_old.provider);
end;
$$;
comment on function public.replace_prediction is
    'Ends a prediction of an earlier attempt, with the status that its provider gives or unknown, and intends another for the same generation; no row when the claim is lost.';

create function public.renew_intent(
    p_job_id uuid, p_attempt int, p_prediction uuid, p_given_files jsonb default null
) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
    if not public.hold_claim(p_job_id, p_attempt) then
        return false;
    end if;
    update public.predictions p
    set job_id = p_job_id, attempt = p_attempt, worker = public.worker_of(p_job_id, p_attempt),
        created_at = clock_timestamp(), given_files = coalesce(p_given_files, p.given_files)
    where p.id = p_prediction and p.provider_id is null;
    return found;
end;
$$;
comment on function public.renew_intent is
    'Before an intent is sent again, because nothing was started for it, or later than it was written, because files were given to the provider first (p_given_files: their addresses by reference). False when the claim is lost or the intent is known meanwhile.';

create function public.record_prediction(
    p_job_id uuid, p_attempt int, p_provider_id text, p_prediction uuid default null, p_status text default 'starting'
) returns text
language plpgsql volatile set search_path = ''
as $$
declare
    v_held       boolean := public.hold_claim(p_job_id, p_attempt);
    v_generation uuid := (select public.generation_of(q.payload) from public.job_queue q where q.id = p_job_id);
    v_prediction uuid := coalesce(p_prediction, (
        select p.id from public.predictions p
        where p.generation_id = v_generation and (p.status = 'intended' or p.provider_id = p_provider_id)
        order by p.created_at desc limit 1
    ));
    v_row        public.predictions;
begin
    if v_prediction is null and v_held then
        -- A worker of somebody else, which does not begin a generation as ours does.
        select p.id into v_prediction
        from public.image_generations g
        left join public.models m on m.id = g.model_id
        cross join lateral public.intend_prediction(p_job_id, p_attempt, g.id, coalesce(m.provider, 'replicate')) p
        where g.id = v_generation and g.status = 'processing';
    end if;
    begin
        update public.predictions p
        set provider_id = p_provider_id, started_at = clock_timestamp(),
            -- A status that is new to us must not cost what was paid for. One that was given up stays so.
            status = case when p.status <> 'intended' then p.status
                          when p_status in ('starting', 'succeeded', 'failed', 'canceled', 'aborted') then p_status
                          else 'processing' end
        where p.id = v_prediction and p.provider_id is null
        returning * into v_row;
    exception when unique_violation then
        return 'taken';
    end;
    if v_row.ended_at is not null then
        return 'unwanted';
    end if;
    if v_row.id is null then
        select * into v_row from public.predictions p where p.id = v_prediction;
        if v_row.provider_id is distinct from p_provider_id then
            return 'unwanted';
        end if;
    end if;
    if v_held then
        update public.image_generations g
        set prediction_id = p_provider_id, progress = 5, updated_at = clock_timestamp()
        where g.id = v_row.generation_id and g.status = 'processing';
        -- Not of an attempt that has not begun: only the one before it has.
        if found then
            return 'held';
        end if;
    end if;
    return case when public.is_being_generated(v_row.generation_id) then 'lost' else 'unwanted' end;
end;
$$;
comment on function public.record_prediction is
    'Stores which prediction an intent (null: the open one of the job''s generation) has become, even when the claim is lost: the next attempt follows it. held: the claim is; lost: another attempt goes on with it; unwanted: nobody does, so cancel it; taken: that prediction belongs to another intent.';

create function public.adopt_prediction(p_job_id uuid, p_attempt int, p_prediction uuid, p_provider_ids text[])
returns text
language plpgsql volatile set search_path = ''
as $$
declare
    v_provider_id text;
begin
    foreach v_provider_id in array p_provider_ids loop
        if public.record_prediction(p_job_id, p_attempt, v_provider_id, p_prediction) = 'held' then
            return v_provider_id;
        end if;
    end loop;
    return null;
end;
$$;
comment on function public.adopt_prediction is
    'Gives an intent the first of the predictions, found in the provider''s list, that no other intent has. Null when all are taken or the claim is lost.';

create function public.forget_provider_id(p_job_id uuid, p_attempt int, p_prediction uuid) returns double precision
language plpgsql volatile set search_path = ''
as $$
declare
    v_row public.predictions;
begin
    if not public.hold_claim(p_job_id, p_attempt) then
        return null;
    end if;
    update public.predictions p set provider_id = null, status = 'intended', started_at = null
    where p.id = p_prediction
    returning * into v_row;
    update public.image_generations g set prediction_id = null where g.id = v_row.generation_id;
    return extract(epoch from clock_timestamp() - v_row.created_at);
end;
$$;
comment on function public.forget_provider_id is
    'Makes an intent of a prediction again whose id the provider does not know, so that it is looked for. Returns how long ago it was intended, in seconds; null when the claim is lost.';

create function public.drop_intent(p_prediction uuid) returns void
language sql volatile set search_path = ''
as $$ delete from public.predictions p where p.id = p_prediction and p.provider_id is null $$;
comment on function public.drop_intent is 'Takes back an intent, because the provider''s answer shows that nothing was started.';

create function public.end_prediction(
    p_job_id uuid, p_attempt int, p_prediction uuid, p_status text, p_error text, p_log text,
    p_predict_seconds double precision, p_progress int, p_outputs int default null
) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
    -- Of a worker that was stopped for a while, another attempt may follow the same prediction.
    if p_job_id is not null and not public.hold_claim(p_job_id, p_attempt) then
        return false;
    end if;
    update public.predictions p
    set status = p_status, error = left(p_error, 16000), log = right(p_log, 16000), predict_seconds = p_predict_seconds,
        outputs = p_outputs, ended_at = clock_timestamp()
    where p.id = p_prediction;
    return public.record_progress(p_job_id, p_attempt, p_progress);
end;
$$;
comment on function public.end_prediction is 'Stores how a prediction ended, and raises the progress of its generation; false, and nothing changes, when the claim is lost.';

create function public.unwanted_predictions(p_job_id uuid)
returns table (provider_id text, provider text, provider_url text)
language sql volatile set search_path = ''
as $$
    update public.predictions p
    set status = 'canceled', ended_at = clock_timestamp()
    from public.job_queue q
    where p.generation_id = public.generation_of(q.payload)
      and q.id = p_job_id and q.status not in ('pending', 'processing')
      and p.provider_id is not null and p.status in ('starting', 'processing')
      and not public.is_being_generated(p.generation_id)
    returning p.provider_id, p.provider, (select s.url from public.model_servers s where s.model_id = p.model_id);
$$;
comment on function public.unwanted_predictions is
    'The provider''s ids of a job''s predictions that run although no attempt will follow them, and where: the caller cancels them.';

create function public.note_uncancelled(p_provider text, p_provider_id text) returns void
language sql volatile set search_path = ''
as $$
    update public.predictions p set status = 'unknown'
    where p.provider = p_provider and p.provider_id = p_provider_id and p.status = 'canceled';
$$;
comment on function public.note_uncancelled is
    'Records that the provider did not cancel a prediction of unwanted_predictions: it may run to its end and be paid for.';

create function public.record_progress(p_job_id uuid, p_attempt int, p_progress int) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
    if not public.hold_claim(p_job_id, p_attempt) then
        return false;
    end if;
    update public.image_generations g
    set progress = greatest(g.progress, least(p_progress, 100)), updated_at = clock_timestamp()
    from public.job_queue q
    where q.id = p_job_id and g.id = public.generation_of(q.payload) and g.status = 'processing';
    return found;
end;
$$;
comment on function public.record_progress is 'Raises the progress of a generation, in percent; false when the claim is lost.';

-- Outputs -----------------------------------------------------------------------------------------

create function public.images_asked(p_input jsonb) returns int
language sql immutable parallel safe set search_path = ''
as $$
    select coalesce(max(case when jsonb_typeof(i.value) = 'number' then least(i.value::numeric, 1000)::int end), 1)
    from jsonb_each(p_input) i
    where public.neutral_inputs() -> 'num_outputs' -> 'own' ? i.key
      and not (i.key = 'max_images' and p_input ->> 'sequential_image_generation' is distinct from 'auto');
$$;
comment on function public.images_asked is 'How many images the input of a prediction asks for.';

create function public.record_output(
    p_job_id uuid, p_attempt int, p_prediction uuid, p_index int, p_url text, p_storage_path text, p_media_type text,
    p_width int, p_height int, p_bytes bigint, p_thumbnail_path text
) returns text[]
language plpgsql volatile set search_path = ''
as $$
declare
    v_replaced text[];
begin
    if not public.hold_claim(p_job_id, p_attempt) then
        return null;
    end if;
    with replaced as (
        delete from public.outputs o using public.predictions p
        where p.id = p_prediction and o.generation_id = p.generation_id and o.prediction_id is distinct from p.id
        returning o.storage_path, o.thumbnail_path
    )
    select coalesce(array_agg(f.path), '{}') into v_replaced
    from replaced r cross join lateral (values (r.storage_path), (r.thumbnail_path)) f (path)
    where f.path is not null and f.path is distinct from p_storage_path and f.path is distinct from p_thumbnail_path;
    insert into public.outputs (
        generation_id, index, prediction_id, user_id, url, storage_path, media_type, width, height, bytes, thumbnail_path
    )
    select p.generation_id, p_index, p.id, g.user_id, p_url, p_storage_path, p_media_type, p_width, p_height, p_bytes,
           p_thumbnail_path
    from public.predictions p join public.image_generations g on g.id = p.generation_id
    where p.id = p_prediction
    on conflict (generation_id, index) do update
    set url = excluded.url, storage_path = excluded.storage_path, media_type = excluded.media_type,
        width = excluded.width, height = excluded.height, bytes = excluded.bytes,
        thumbnail_path = excluded.thumbnail_path;
    return v_replaced;
end;
$$;
comment on function public.record_output is
    'Records a stored file of a prediction, again without effect, and forgets those of an earlier prediction of the generation. Returns the paths of the files that nothing has any more, which the caller deletes; null when the claim is lost.';

create function public.missing_images_notice(p_prediction uuid, p_stored int) returns text
language sql stable set search_path = ''
as $$
    select concat_ws('; ',
        format('%s of %s images', p_stored, n.asked),
        case when n.asked > n.made then format(
            case when m.input_schema ?& '{num_outputs,disable_safety_checker}'
                      and p.input -> 'disable_safety_checker' is distinct from 'true'
                 then '%s withheld by the safety filter' else '%s not returned by the model' end,
            n.asked - n.made
        ) end,
        case when n.made > p_stored then format('%s could not be fetched or stored', n.made - p_stored) end
    ) || '.'
    from public.predictions p
    left join public.models m on m.id = p.model_id
    cross join lateral (
        select coalesce(p.outputs, p_stored) as made,
               greatest(public.images_asked(p.input), p.outputs, p_stored) as asked
    ) n
    where p.id = p_prediction and n.asked > p_stored;
$$;
comment on function public.missing_images_notice is
    'Tells the user that a prediction has fewer stored images than it was asked for or made, and why; null if it has not. Of the models that take both inputs it is known that they leave flagged images out.';

create function public.images(p_generation public.image_generations) returns jsonb
language sql stable set search_path = ''
as $$
    select case when p_generation.status = 'completed' then coalesce(
        (
            select jsonb_agg(jsonb_build_object(
                'url', o.url, 'width', o.width, 'height', o.height, 'type', o.media_type
            ) order by o.index)
            from public.outputs o where o.generation_id = p_generation.id
        ),
        case when p_generation.image_url is not null then jsonb_build_array(
            jsonb_build_object('url', p_generation.image_url, 'width', null, 'height', null, 'type', null)
        ) end,
        '[]'
    ) else '[]' end;
$$;
comment on function public.images is
    'The images of a completed generation, in order: a list of objects with url, width and height in pixels, and type (media type); empty before. PostgREST serves it as a column. Generations of an existing deployment have one, without size and type.';

create function public.stored_files(p_generations uuid[]) returns setof text
language sql stable set search_path = ''
as $$
    select f.path
    from public.image_generations g cross join lateral (values (g.storage_path), (g.thumbnail_path)) f (path)
    where g.id = any (p_generations) and f.path is not null
    union
    select f.path
    from public.outputs o cross join lateral (values (o.storage_path), (o.thumbnail_path)) f (path)
    where o.generation_id = any (p_generations) and f.path is not null;
$$;
comment on function public.stored_files is
    'The paths of all images and thumbnails of some generations, each once. Uploads are not among them: those that no other generation uses expire when these are deleted.';

-- Notify ------------------------------------------------------------------------------------------

create function public.tell_generation_change() returns trigger
language plpgsql set search_path = ''
as $$
begin
    perform pg_notify('image_generations', new.id::text);
    return null;
end;
$$;
comment on function public.tell_generation_change is
    'Sends the id of a generation that changed to channel image_generations. Hosted clients hear of it by Realtime instead.';

-- Notifies of every change that a user can see, so that no client has to poll.
create trigger image_generations_changed
    after insert or update of status, progress, image_url, error_message on public.image_generations
    for each row
    execute function public.tell_generation_change();
