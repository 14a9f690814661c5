-- The models that generations can use: eight well-known ones at Replicate, and the function that adds or
-- changes one.

-- Prices are estimates, to be checked against the account by its operator. For a model that is billed by
-- the second, such as SDXL, this is an average.
insert into public.models as m (id, display_name, version, default_parameters, price_per_image, parameter_schema) values
    ('black-forest-labs/flux-schnell', 'FLUX.1 schnell', null,
     '{"num_inference_steps": 4}', 0.003, '[
         {"name": "num_inference_steps", "label": "Steps", "kind": "integer", "min": 1, "max": 4, "default": 4,
          "help": "More steps, finer image, longer run."},
         {"name": "go_fast", "label": "Go fast", "kind": "boolean", "default": true,
          "help": "Runs with reduced precision."}]'),
    ('black-forest-labs/flux-dev', 'FLUX.1 dev', null,
     '{"num_inference_steps": 28, "guidance": 3.5}', 0.025, '[
         {"name": "num_inference_steps", "label": "Steps", "kind": "integer", "min": 1, "max": 50, "default": 28,
          "help": "More steps, finer image, longer run."},
         {"name": "guidance", "label": "Guidance", "kind": "number", "min": 0, "max": 10, "default": 3.5,
          "help": "How closely the image follows the prompt."},
         {"name": "go_fast", "label": "Go fast", "kind": "boolean", "default": true,
          "help": "Runs with reduced precision."}]'),
    ('black-forest-labs/flux-1.1-pro', 'FLUX 1.1 pro', null,
     '{"prompt_upsampling": false}', 0.04, '[
         {"name": "prompt_upsampling", "label": "Prompt upsampling", "kind": "boolean", "default": false,
          "help": "Lets the model rewrite the prompt."},
         {"name": "safety_tolerance", "label": "Safety tolerance", "kind": "integer", "min": 1, "max": 6, "default": 2,
          "help": "1 is strictest."}]'),
    ('stability-ai/stable-diffusion-3.5-large', 'Stable Diffusion 3.5 Large', null,
     '{"cfg": 5, "steps": 35}', 0.065, '[
         {"name": "cfg", "label": "Guidance", "kind": "number", "min": 1, "max": 10, "default": 5,
          "help": "How closely the image follows the prompt."},
         {"name": "steps", "label": "Steps", "kind": "integer", "min": 1, "max": 50, "default": 35,
          "help": "More steps, finer image, longer run."},
         {"name": "negative_prompt", "label": "Negative prompt", "kind": "text"}]'),
    ('stability-ai/sdxl', 'SDXL', '39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b',
     '{"num_inference_steps": 30, "guidance_scale": 7.5}', 0.005, '[
         {"name": "num_inference_steps", "label": "Steps", "kind": "integer", "min": 1, "max": 500, "default": 30,
          "help": "More steps, finer image, longer run."},
         {"name": "guidance_scale", "label": "Guidance", "kind": "number", "min": 1, "max": 50, "default": 7.5,
          "help": "How closely the image follows the prompt."},
         {"name": "scheduler", "label": "Scheduler", "kind": "choice", "default": "K_EULER",
          "choices": ["DDIM", "DPMSolverMultistep", "HeunDiscrete", "KarrasDPM", "K_EULER_ANCESTRAL", "K_EULER", "PNDM"]},
         {"name": "negative_prompt", "label": "Negative prompt", "kind": "text"}]'),
    ('ideogram-ai/ideogram-v3-turbo', 'Ideogram v3 Turbo', null,
     '{"style_type": "Auto"}', 0.03, '[
         {"name": "style_type", "label": "Style", "kind": "choice", "default": "Auto",
          "choices": ["Auto", "General", "Realistic", "Design"]},
         {"name": "magic_prompt_option", "label": "Magic prompt", "kind": "choice", "default": "Auto",
          "choices": ["Auto", "On", "Off"], "help": "Lets the model rewrite the prompt."}]'),
    ('recraft-ai/recraft-v3', 'Recraft V3', null,
     '{"style": "any"}', 0.04, '[
         {"name": "style", "label": "Style", "kind": "choice", "default": "any",
          "choices": ["any", "realistic_image", "digital_illustration"]}]'),
    ('google/imagen-4', 'Imagen 4', null,
     '{"safety_filter_level": "block_only_high"}', 0.04, '[
         {"name": "safety_filter_level", "label": "Safety filter", "kind": "choice", "default": "block_only_high",
          "choices": ["block_low_and_above", "block_medium_and_above", "block_only_high"]}]')
-- A model that an existing deployment already has keeps its own values and gets what it lacks.
on conflict (id) do update
set price_per_image = coalesce(m.price_per_image, excluded.price_per_image), parameter_schema = excluded.parameter_schema;

update public.models set seed_field = 'seed'
where id in (
    'black-forest-labs/flux-schnell', 'black-forest-labs/flux-dev', 'black-forest-labs/flux-1.1-pro',
    'stability-ai/stable-diffusion-3.5-large', 'stability-ai/sdxl', 'ideogram-ai/ideogram-v3-turbo'
);

create function public.set_model(
    p_actor text, p_id text, p_display_name text, p_version text, p_default_parameters jsonb, p_price numeric,
    p_enabled boolean
) returns public.models
language plpgsql volatile set search_path = ''
as $$
declare
    v_before public.models;
    v_after  public.models;
    v_bad    text;
begin
    perform public.require_actor(p_actor);
    if coalesce(p_id, '') !~ '^[a-zA-Z0-9][a-zA-Z0-9._-]*/[a-zA-Z0-9][a-zA-Z0-9._-]*$' then
        raise exception 'the model id is %: write it as owner/name, as at Replicate', p_id using errcode = '22023';
    end if;
    if coalesce(btrim(p_display_name), '') = '' then
        raise exception 'the display name is empty: say what users see' using errcode = '22023';
    end if;
    if p_version !~ '^[0-9a-f]{64}$' then
        raise exception 'the version is no version id of Replicate: 64 digits 0-9 and a-f, or none for an official model'
            using errcode = '22023';
    end if;
    if jsonb_typeof(p_default_parameters) is distinct from 'object' then
        raise exception 'the default parameters must be a JSON object' using errcode = '22023';
    end if;
    if p_enabled is null or p_price < 0 then
        raise exception 'enabled must be true or false, and the price not below 0' using errcode = '22023';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('set_model:' || p_id, 0));
    select * into v_before from public.models m where m.id = p_id;
    -- A default that the model does not accept would fail every one of its jobs.
    select format('%s must be %s', s.name, s.needs) into v_bad
    from (
        select
            d ->> 'name' as name, p_default_parameters -> (d ->> 'name') as value, d,
            case d ->> 'kind'
                when 'boolean' then 'true or false'
                when 'choice' then 'one of ' || (d ->> 'choices')
                when 'text' then 'a text'
                else concat_ws(' ', 'a', case d ->> 'kind' when 'integer' then 'whole' end, 'number',
                               'from ' || (d ->> 'min'), 'to ' || (d ->> 'max'))
            end as needs
        from jsonb_array_elements(v_before.parameter_schema) d
    ) s
    where s.value is not null and not coalesce(case s.d ->> 'kind'
        when 'boolean' then jsonb_typeof(s.value) = 'boolean'
        when 'choice' then s.d -> 'choices' @> s.value
        when 'text' then jsonb_typeof(s.value) = 'string'
        else case when jsonb_typeof(s.value) = 'number' then
            coalesce(s.value::numeric >= (s.d ->> 'min')::numeric, true)
            and coalesce(s.value::numeric <= (s.d ->> 'max')::numeric, true)
            and (s.d ->> 'kind' <> 'integer' or s.value::numeric % 1 = 0) end
        end, false)
    limit 1;
    if v_bad is not null then
        raise exception 'a default parameter does not fit: %', v_bad using errcode = '22023';
    end if;
    insert into public.models as m (id, display_name, version, default_parameters, price_per_image, enabled)
    values (p_id, btrim(p_display_name), p_version, p_default_parameters, p_price, p_enabled)
    on conflict (id) do update
    set display_name = excluded.display_name, version = excluded.version,
        default_parameters = excluded.default_parameters, price_per_image = excluded.price_per_image,
        enabled = excluded.enabled, updated_at = now()
    returning * into v_after;
    insert into public.audit_log (actor, action, affected, details)
    values (p_actor, 'set_model', 1, jsonb_build_object(
        'model_id', p_id,
        'before', case when v_before.id is not null then to_jsonb(v_before) - '{id,parameter_schema,seed_field,created_at,updated_at}'::text[] end,
        'after', to_jsonb(v_after) - '{id,parameter_schema,seed_field,created_at,updated_at}'::text[]
    ));
    return v_after;
end;
$$;
comment on function public.set_model is
    'Adds a model or changes all of it but what it takes, and records what was before. Jobs that wait run with the new values.';
