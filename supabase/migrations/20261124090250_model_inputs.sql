-- What a request asks of a model, brought into the model's own inputs: checked against its schema, neutral names
-- translated, sizes fitted. Called by whatever starts a generation, so that a bad input never gets into the queue.

-- What follows from a model's schema --------------------------------------------------------------

create function public.file_kind(p_field jsonb) returns text
language sql immutable parallel safe set search_path = ''
return case when p_field ->> 'format' = 'uri' then 'file' when p_field -> 'items' ->> 'format' = 'uri' then 'files' end;
comment on function public.file_kind is 'Whether an input takes a file (file) or a list of files (files); null for any other.';

create function public.image_input(p_schema jsonb) returns text
language sql immutable parallel safe set search_path = ''
return coalesce(
    (
        select n.name from unnest(array['image', 'input_image', 'image_prompt', 'image_input', 'input_images', 'images'])
            with ordinality as n (name, place)
        where public.file_kind(p_schema -> n.name) is not null
        order by n.place limit 1
    ),
    (
        select min(f.name) from jsonb_each(p_schema) as f (name, said)
        where public.file_kind(f.said) is not null and f.name !~ 'mask' having count(*) = 1
    )
);
comment on function public.image_input is
    'The input that takes the source image, by its name, or because no other takes a file; null if there is none or several may be meant.';

create function public.model_kind(p_id text, p_schema jsonb) returns text
language sql immutable parallel safe set search_path = ''
return case
    when not exists (select from jsonb_each(p_schema) f where public.file_kind(f.value) is not null) then 'generate'
    when lower(p_id) ~ 'upscal|esrgan|super-?res' then 'upscale'
    when lower(p_id) ~ 'remove-?bg|rembg|background' then 'remove-background'
    when not p_schema ? 'prompt' or lower(p_id) ~ 'edit|kontext|banana'
        or exists (select from jsonb_each(p_schema) f where public.file_kind(f.value) is not null and f.value -> 'required' = 'true')
        then 'edit'
    else 'generate'
end;
comment on function public.model_kind is
    'What a model is for: generate, edit, upscale or remove-background. By its inputs, and by its name where they do not tell.';

create function public.parameter_schema_of(p_schema jsonb) returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        'name', f.name,
        'label', coalesce(f.said ->> 'title', upper(left(f.name, 1)) || replace(substr(f.name, 2), '_', ' ')),
        'kind', case when f.said ? 'enum' then 'choice'
                     when f.said ->> 'type' in ('integer', 'number', 'boolean') then f.said ->> 'type'
                     else coalesce(public.file_kind(f.said), 'text') end,
        'min', f.said -> 'minimum', 'max', f.said -> 'maximum', 'choices', f.said -> 'enum',
        'default', case when public.file_kind(f.said) is null then f.said -> 'default' end,
        'help', f.said -> 'description', 'required', nullif(f.said -> 'required', 'false')
    )) order by (f.said ->> 'x-order')::int, f.name), '[]')
    from jsonb_each(p_schema) as f (name, said)
    where f.name not in (
        'prompt', 'seed', 'width', 'height', 'aspect_ratio', 'size', 'image_size', 'resolution', 'megapixels',
        'output_megapixels', 'num_outputs', 'number_of_images', 'max_images', 'sequential_image_generation'
      )
      and not f.said ? 'x-cog-secret'
      and (public.file_kind(f.said) is not null or not f.said ? 'format' and f.said ->> 'type' <> 'array');
$$;
comment on function public.parameter_schema_of is
    'What a form offers beside prompt, size, seed and number of images, in the order of the schema: a list of objects with name, label, kind (integer, number, boolean, choice, text, file, files), min, max, choices, default, help and required.';

create function public.megapixels_of(p_text text) returns numeric
language sql immutable parallel safe set search_path = ''
return case
    when p_text ~ '^[0-9]{1,3}(\.[0-9]{1,3})?( MP)?$' then nullif(split_part(p_text, ' ', 1)::numeric, 0)
    when p_text ~ '^[1-9]K$' then left(p_text, 1)::numeric ^ 2
end;
comment on function public.megapixels_of is 'The area that a choice such as 0.25, 1 MP or 2K stands for, in units of 1024 x 1024 pixels; null for any other.';

create function public.sizes_of(p_schema jsonb, p_rules jsonb) returns jsonb
language sql immutable parallel safe set search_path = ''
as $$
    with base as (
        select coalesce((p_rules -> 'megapixels')::numeric, 1) as megapixels,
               coalesce(p_schema -> 'aspect_ratio' -> 'enum' ? 'Not set', false) as ratio_wins
    ), choices as (
        select f.name, v as choice, v ~ '^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$' as is_size, public.megapixels_of(v) as megapixels
        from unnest(array['megapixels', 'output_megapixels', 'resolution', 'size', 'image_size']) as f (name)
        cross join lateral jsonb_array_elements_text(coalesce(p_schema -> f.name -> 'enum', p_schema -> f.name -> 'enum_partial')) v
    ), listed as (
        select jsonb_build_object(c.name, c.choice) as inputs, split_part(c.choice, 'x', 1)::numeric as w, split_part(c.choice, 'x', 2)::numeric as h
        from choices c where c.is_size
    ), areas as (
        select jsonb_build_object(c.name, c.choice) as inputs, c.megapixels from choices c where c.megapixels is not null
        union all
        select '{}', b.megapixels from base b where not exists (select from choices c where c.megapixels is not null)
    ), ratios as (
        select v as ratio, split_part(v, ':', 1)::numeric as w, split_part(v, ':', 2)::numeric as h, p_rules -> 'sizes' -> v as pixels
        from jsonb_array_elements_text(p_schema -> 'aspect_ratio' -> 'enum') v
        where v ~ '^[1-9][0-9]{0,3}:[1-9][0-9]{0,3}$'
    ), of_ratio as (
        select
            jsonb_build_object('aspect_ratio', r.ratio) || a.inputs as inputs,
            case when r.pixels is null then 16 * round(64 * sqrt(a.megapixels * r.w / r.h))
                 else round((r.pixels -> 0)::numeric * sqrt(a.megapixels / b.megapixels)) end as w,
            case when r.pixels is null then 16 * round(64 * sqrt(a.megapixels * r.h / r.w))
                 else round((r.pixels -> 1)::numeric * sqrt(a.megapixels / b.megapixels)) end as h,
            r.pixels is not null and a.megapixels = b.megapixels as exact
        from ratios r cross join areas a cross join base b
    ), made as (
        select l.inputs, l.w, l.h, true as exact, 2 as place from listed l
        union all
        -- A model whose ratio goes before its list makes the size of the list that is nearest to the ratio.
        select r.inputs, coalesce(n.w, r.w), coalesce(n.h, r.h), r.exact or n.w is not null, case when b.ratio_wins then 1 else 3 end
        from of_ratio r cross join base b
        left join lateral (
            select l.w, l.h from listed l where b.ratio_wins order by abs(ln(l.w * r.h / (l.h * r.w))), l.w limit 1
        ) n on true
    )
    select coalesce(jsonb_agg(jsonb_build_object(
        'inputs', m.inputs, 'width', m.w::int, 'height', m.h::int, 'exact', m.exact
    ) order by m.place, m.inputs::text), '[]')
    from made m;
$$;
comment on function public.sizes_of is
    'The sizes that a model makes: a list of objects with inputs (which choose it), width and height in pixels, and exact or about. An input goes before those further on. Sizes that its width and height give are not in it.';

-- Here, because the table may be of an existing deployment.
alter table public.models
    add column parameter_schema jsonb not null
        generated always as (public.parameter_schema_of(coalesce(input_schema, '{}'))) stored,
    add column sizes jsonb not null
        generated always as (public.sizes_of(coalesce(input_schema, '{}'), size_rules)) stored,
    add column kind text not null
        generated always as (public.model_kind(id, coalesce(input_schema, '{}'))) stored;
comment on column public.models.parameter_schema is 'As parameter_schema_of makes it.';
comment on column public.models.sizes is 'As sizes_of makes it.';
comment on column public.models.kind is 'As model_kind gives it: generate, edit, upscale or remove-background.';

-- Checks ------------------------------------------------------------------------------------------

-- What every start calls is PL/pgSQL, whose plans a session keeps.

create function public.upload_of(p_value text) returns uuid
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return case when p_value ~ '^upload:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then substr(p_value, 8)::uuid end;
end;
$$;
comment on function public.upload_of is 'The upload that a reference such as upload:<uuid> names; null for any other text.';

create function public.data_uri_problem(p_value text) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    v_data  constant text := substring(p_value from '(?i)^data:image/(?:png|jpe?g|webp|gif);base64,(.*)$');
    v_start bytea;
begin
    if octet_length(p_value) > 262144 then
        return 'is longer than 256 kB: upload the file instead';
    elsif v_data ~ '^[A-Za-z0-9+/]{16,}={0,2}$' and length(v_data) % 4 = 0 then
        v_start := decode(left(v_data, 16), 'base64');
        if substr(v_start, 1, 8) = '\x89504e470d0a1a0a' or substr(v_start, 1, 3) = '\xffd8ff' or substr(v_start, 1, 4) = '\x47494638'
           or substr(v_start, 1, 4) = '\x52494646' and substr(v_start, 9, 4) = '\x57454250' then
            return null;
        end if;
    end if;
    return 'is not a data URI of a PNG, JPEG, WebP or GIF in base64';
end;
$$;
comment on function public.data_uri_problem is
    'What is wrong with a data URI for an input image, by its form and its first bytes; null if nothing is.';

create function public.file_problem(p_value text) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    v_host constant text := rtrim(lower(substring(
        p_value from '(?i)^https://([a-z0-9._-]+)(?::[0-9]{1,5})?(?:[/?#][^[:space:][:cntrl:]\\]*)?$'
    )), '.');
begin
    if public.upload_of(p_value) is not null then
        return null;
    elsif p_value ~* '^data:' then
        return public.data_uri_problem(p_value);
    elsif length(p_value) > 2048 then
        return format('has %s characters; the maximum for an address is 2048', length(p_value));
    elsif v_host is null then
        return 'is not an https address, a data URI of an image or an upload';
    elsif v_host !~ '[.]' or v_host ~ '[.](localhost|local|internal|lan|home|corp|intranet|home[.]arpa)$' then
        return 'is on a private network';
    -- A number at the end makes it an IPv4 address, in one of many spellings.
    elsif v_host ~ '(^|[.])([0-9]+|0x[0-9a-f]*)$' then
        if v_host !~ '^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])([.](?!$)|$)){4}$' then
            return 'is not an https address, a data URI of an image or an upload';
        elsif v_host::inet <<= any ('{0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,168.63.129.16/32,169.254.0.0/16,172.16.0.0/12,192.0.0.0/24,192.0.2.0/24,192.168.0.0/16,198.18.0.0/15,198.51.100.0/24,203.0.113.0/24,224.0.0.0/3}'::inet[]) then
            return 'is on a private network';
        end if;
    end if;
    return null;
end;
$$;
comment on function public.file_problem is
    'What is wrong with the value of an input that takes a file: an https address that is not of a private network, a data URI of an image, or the reference of an upload. Null if nothing is. Where a name leads is only known to whoever fetches it.';

create function public.input_problem(p_field jsonb, p_value jsonb) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    -- The start is enough, and a data URI is long.
    v_said constant text := left(p_value::text, 60) || case when length(p_value::text) > 60 then '…' else '' end;
    v_type constant text := case when public.file_kind(p_field) = 'file' then 'a single image' else case p_field ->> 'type' when 'string' then 'text' when 'integer' then 'a whole number'
        when 'number' then 'a number' when 'boolean' then 'true or false' when 'array' then 'a list' end end;
    v_item jsonb;
begin
    if p_value = 'null' and p_field -> 'nullable' = 'true' then
        return null;
    elsif not (case p_field ->> 'type'
        when 'string' then jsonb_typeof(p_value) = 'string'
        when 'boolean' then jsonb_typeof(p_value) = 'boolean'
        when 'number' then jsonb_typeof(p_value) = 'number'
        when 'integer' then case when jsonb_typeof(p_value) = 'number' then p_value::numeric % 1 = 0 else false end
        when 'array' then jsonb_typeof(p_value) = 'array'
        else true
    end) then
        return format('%s is not %s', v_said, v_type);
    elsif p_field ? 'enum' and not p_field -> 'enum' @> p_value then
        return format('%s is not one of the choices', v_said);
    end if;
    case jsonb_typeof(p_value)
        when 'number' then
            if p_value::numeric < (p_field ->> 'minimum')::numeric then
                return format('%s is below the minimum of %s', v_said, p_field ->> 'minimum');
            elsif p_value::numeric > (p_field ->> 'maximum')::numeric then
                return format('%s is above the maximum of %s', v_said, p_field ->> 'maximum');
            end if;
        when 'string' then
            if length(p_value #>> '{}') > (p_field ->> 'maxLength')::int then
                return format('has %s characters; the maximum is %s', length(p_value #>> '{}'), p_field ->> 'maxLength');
            elsif p_field ->> 'format' = 'uri' then
                return v_said || ' ' || public.file_problem(p_value #>> '{}');
            end if;
        when 'array' then
            if public.file_kind(p_field) = 'files' and jsonb_array_length(p_value) > 20 then
                return format('has %s items; the maximum is 20', jsonb_array_length(p_value));
            end if;
            for v_item in select * from jsonb_array_elements(p_value) loop
                if public.input_problem(p_field -> 'items', v_item) is not null then
                    return 'contains an invalid item: ' || public.input_problem(p_field -> 'items', v_item);
                end if;
            end loop;
        else
    end case;
    return null;
end;
$$;
comment on function public.input_problem is 'What is wrong with the value of an input; null if nothing is.';

create function public.allowed_values(p_field jsonb) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return case
        when p_field ? 'enum' then (
            select 'one of ' || string_agg(v, ', ' order by n) from jsonb_array_elements_text(p_field -> 'enum') with ordinality e (v, n)
        )
        when p_field ->> 'format' = 'uri' then 'an https address, a data URI of an image up to 256 kB, or an upload'
        when p_field ->> 'type' = 'array' then 'a list of ' || public.allowed_values(p_field -> 'items')
        when p_field ->> 'type' = 'boolean' then 'true or false'
        when p_field ->> 'type' is null then 'any value'
        when p_field ->> 'type' = 'string' then concat_ws(' ', 'text', 'of at most ' || (p_field ->> 'maxLength') || ' characters')
        else concat_ws(
            ' ', case p_field ->> 'type' when 'integer' then 'a whole number' else 'a number' end,
            case when p_field ?& '{minimum,maximum}' then 'from ' || (p_field ->> 'minimum') || ' to ' || (p_field ->> 'maximum')
                 when p_field ? 'minimum' then 'of at least ' || (p_field ->> 'minimum')
                 when p_field ? 'maximum' then 'of at most ' || (p_field ->> 'maximum') end
        )
    end;
end;
$$;
comment on function public.allowed_values is 'In words, the values that an input takes.';

create function public.nearest_name(p_name text, p_names text[]) returns text
language sql immutable parallel safe set search_path = ''
as $$
    -- By the pairs of letters that two names share: edit distances need an extension.
    with pairs as (
        select n.name, array(select distinct substr('_' || n.name || '_', i, 2) from generate_series(1, length(n.name) + 1) i) as of_it
        from (select lower(left(p_name, 100)) as name union all select unnest(p_names)) n
    ), given as (
        select of_it from pairs where name = lower(left(p_name, 100)) limit 1
    )
    select p.name
    from pairs p cross join given g
    cross join lateral (
        select 2.0 * count(*) / (cardinality(p.of_it) + cardinality(g.of_it)) as alike
        from unnest(p.of_it) as x where x = any (g.of_it)
    ) s
    where p.name = any (p_names) and s.alike > 0.4
    order by s.alike desc, p.name limit 1;
$$;
comment on function public.nearest_name is 'The name that is spelled most like another; null if none is.';

create function public.input_problems(p_schema jsonb, p_input jsonb) returns jsonb
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return (
        select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
            'field', p.name, 'problem', p.problem, 'allowed', p.allowed
        )) order by p.place, p.name), '[]')
        from (
            select
                i.name, (p_schema -> i.name ->> 'x-order')::int as place,
                case when not p_schema ? i.name then 'is unknown'
                     when p_schema -> i.name -> 'x-cog-secret' = 'true' then 'is a secret; secrets are not accepted'
                     else public.input_problem(p_schema -> i.name, i.value) end as problem,
                case when not p_schema ? i.name
                     then public.nearest_name(i.name, array(select jsonb_object_keys(p_schema)))
                     when p_schema -> i.name -> 'x-cog-secret' = 'true' then null
                     else public.allowed_values(p_schema -> i.name) end as allowed
            from jsonb_each(p_input) as i (name, value)
            union all
            select f.name, (f.said ->> 'x-order')::int, 'is missing', public.allowed_values(f.said)
            from jsonb_each(p_schema) as f (name, said)
            where f.said -> 'required' = 'true' and not p_input ? f.name
        ) p
        where p.problem is not null
    );
end;
$$;
comment on function public.input_problems is
    'Everything in an input that a schema (models.input_schema) does not allow: a list of objects with field, problem and allowed, which for an unknown field is the nearest known one. Empty if nothing is wrong or the schema is null.';

create function public.problems_in_words(p_problems jsonb) returns text
language sql immutable parallel safe set search_path = ''
as $$
    select string_agg(
        (p ->> 'field') || ': ' || (p ->> 'problem')
            || coalesce(case p ->> 'problem' when 'is unknown' then ', did you mean ' || (p ->> 'allowed') || '?'
                                             else ', allowed: ' || left(p ->> 'allowed', 300) end, ''),
        '; ' order by n
    )
    from jsonb_array_elements(p_problems) with ordinality as e (p, n);
$$;
comment on function public.problems_in_words is 'A list of problems (input_problems) as one sentence; null for none.';

create function public.refuse_input(p_problems jsonb) returns void
language plpgsql immutable set search_path = ''
as $$
begin
    if p_problems is not null then
        raise exception '%', public.problems_in_words(p_problems)
            using errcode = 'DR422', detail = jsonb_build_object('problems', p_problems)::text;
    end if;
end;
$$;
comment on function public.refuse_input is 'Raises DR422 with the problems in DETAIL, unless there are none (null).';

-- Sizes -------------------------------------------------------------------------------------------

create function public.custom_size_input(p_schema jsonb) returns text
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return case when p_schema -> 'aspect_ratio' -> 'enum' ? 'custom' then 'aspect_ratio'
                when p_schema -> 'size' -> 'enum' ? 'custom' then 'size' end;
end;
$$;
comment on function public.custom_size_input is 'The input that must be "custom" for width and height to count; null where they always do.';

create function public.expected_size(p_schema jsonb, p_sizes jsonb, p_input jsonb) returns jsonb
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    v_all    jsonb := (
        select coalesce(jsonb_object_agg(n, p_schema -> n -> 'default') filter (where p_schema -> n ? 'default'), '{}') || p_input
        from unnest('{width,height,aspect_ratio,size,image_size,resolution,megapixels,output_megapixels}'::text[]) n
    );
    v_custom constant text := public.custom_size_input(p_schema);
begin
    -- Models with this name for it change an image, and keep its size.
    if p_input ? 'image' and public.file_kind(p_schema -> 'image') is not null then
        return null;
    end if;
    if p_schema ?& '{width,height}' and jsonb_typeof(v_all -> 'width') = 'number' and jsonb_typeof(v_all -> 'height') = 'number'
       and (v_custom is null or v_all ->> v_custom = 'custom') then
        return jsonb_build_object('width', v_all -> 'width', 'height', v_all -> 'height', 'exact', true);
    end if;
    if coalesce(p_input ->> 'aspect_ratio', '') !~ ':' and exists (
        select from jsonb_object_keys(p_input) k where public.file_kind(p_schema -> k) is not null
    ) then
        return null;
    end if;
    if v_all ->> 'aspect_ratio' in ('match_input_image', 'auto') then
        v_all := v_all || '{"aspect_ratio": "1:1"}';
    end if;
    return (
        select s.size - 'inputs' from jsonb_array_elements(p_sizes) with ordinality as s (size, place)
        where v_all @> (s.size -> 'inputs') order by s.place limit 1
    );
end;
$$;
comment on function public.expected_size is
    'The size of the image that a model makes of an input: width and height in pixels, exact or about; null where it depends on an image in the input or is not known.';

create function public.size_inputs(p_model public.models, p_input jsonb, p_asked jsonb) returns jsonb
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    v_schema constant jsonb := p_model.input_schema;
    v_custom constant text := public.custom_size_input(v_schema);
    v_ratios constant jsonb := v_schema -> 'aspect_ratio' -> 'enum';
    v_step   constant double precision := coalesce((p_model.size_rules -> 'multiple')::int, 1);
    v_sides  constant boolean := p_asked ?| '{width,height}';
    v_ratio  text := p_asked ->> 'aspect_ratio';
    v_w      double precision;
    v_h      double precision;
    v_scale  double precision;
    v_exact  jsonb;
begin
    if v_ratio = 'custom' and v_ratios ? 'custom' then
        v_ratio := null;
    elsif v_ratio !~ '^[1-9][0-9]{0,3}:[1-9][0-9]{0,3}$' or not v_sides and v_schema ? 'aspect_ratio' and coalesce(v_ratios ? v_ratio, true) then
        -- The model's own word, or one that the check refuses.
        return jsonb_build_object('aspect_ratio', v_ratio);
    end if;
    v_scale := split_part(v_ratio, ':', 1)::double precision / split_part(v_ratio, ':', 2)::double precision;
    v_w := coalesce(
        (p_asked -> 'width')::int, (p_asked -> 'height')::int * v_scale,
        case when v_sides then coalesce((v_schema -> 'width' -> 'default')::int, 1024) end,
        1024 * sqrt(coalesce((p_model.size_rules -> 'megapixels')::int, 1) * v_scale)
    );
    v_h := coalesce((p_asked -> 'height')::int, v_w / v_scale, (v_schema -> 'height' -> 'default')::int, 1024);
    if v_schema ?& '{width,height}' and (v_custom is null or coalesce(p_input ->> v_custom, 'custom') = 'custom') then
        -- Into the bounds of the model, at the same ratio as far as possible.
        v_scale := greatest((v_schema -> 'width' -> 'minimum')::int / v_w, (v_schema -> 'height' -> 'minimum')::int / v_h, 1);
        if v_scale = 1 then
            v_scale := least((v_schema -> 'width' -> 'maximum')::int / v_w, (v_schema -> 'height' -> 'maximum')::int / v_h, 1);
        end if;
        select jsonb_object_agg(s.side, greatest(
            least(round(s.pixels * v_scale / v_step) * v_step, floor((v_schema -> s.side -> 'maximum')::int / v_step) * v_step),
            ceil((v_schema -> s.side -> 'minimum')::int / v_step) * v_step, v_step
        )::int) into v_exact
        from (values ('width', v_w), ('height', v_h)) as s (side, pixels);
        if v_custom is not null then
            v_exact := v_exact || jsonb_build_object(v_custom, 'custom');
        end if;
        if v_scale = 1 then
            return v_exact;
        end if;
    end if;
    return coalesce((
        select c.inputs
        from (
            -- Not as integers, whose product may be too large for one.
            select v_exact as inputs, (v_exact -> 'width')::double precision as w, (v_exact -> 'height')::double precision as h
            where v_exact is not null
            union all
            select s.size -> 'inputs', (s.size -> 'width')::double precision, (s.size -> 'height')::double precision
            from jsonb_array_elements(p_model.sizes) as s (size)
            where s.size -> 'inputs' || p_input @> (s.size -> 'inputs')
        ) c
        -- The ratio counts far more than the area.
        order by 8 * abs(ln(c.w * v_h / (c.h * v_w))) + abs(ln(c.w * c.h / (v_w * v_h))), c.inputs ? 'aspect_ratio', c.inputs::text
        limit 1
    ), '{}');
end;
$$;
comment on function public.size_inputs is
    'Width, height and aspect_ratio of a request as the model''s own inputs, those of p_input aside: exact where the model takes a width and height, otherwise the nearest that it makes. Empty where the model has no input for the size.';

-- Requests ----------------------------------------------------------------------------------------

create function public.neutral_inputs() returns jsonb
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return '{
        "width": {"type": "integer", "minimum": 64, "maximum": 8192},
        "height": {"type": "integer", "minimum": 64, "maximum": 8192},
        "aspect_ratio": {"type": "string"},
        "model_version": {"type": "string", "own": []},
        "seed": {"type": "integer", "minimum": 0, "maximum": 4294967295, "own": ["seed"]},
        "negative_prompt": {"type": "string", "maxLength": 10000, "own": ["negative_prompt"]},
        "num_inference_steps": {"type": "integer", "minimum": 1, "own": ["num_inference_steps", "steps"]},
        "guidance_scale": {"type": "number", "minimum": 0, "own": ["guidance_scale", "guidance", "cfg"]},
        "num_outputs": {"type": "integer", "minimum": 1, "own": ["num_outputs", "number_of_images", "max_images"]},
        "style": {"type": "string", "own": ["style", "style_type", "style_preset"]},
        "strength": {"type": "number", "minimum": 0, "maximum": 1,
                     "own": ["strength", "prompt_strength", "image_prompt_strength"]},
        "image": {"type": "string", "format": "uri"},
        "images": {"type": "array", "items": {"type": "string", "format": "uri"}},
        "source_image_url": {"type": "string", "format": "uri"}
    }'::jsonb;
end;
$$;
comment on function public.neutral_inputs is
    'Names that mean the same for every model, each with what it allows and, but for the size and the source image (image_input), with the inputs of models that it stands for: the first one that a model has. No model takes model_version, which older clients send: models.version counts.';

create function public.default_input(p_model public.models) returns jsonb
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
    return (
        select case when p_model.input_schema is null then p_model.default_parameters else coalesce((
            select jsonb_object_agg(d.key, d.value) from jsonb_each(p_model.default_parameters) d
            where p_model.input_schema ? d.key and not p_model.input_schema -> d.key ? 'x-cog-secret'
        ), '{}') end
    );
end;
$$;
comment on function public.default_input is 'The default parameters of a model that it takes: an older deployment may have others.';

create function public.resolve_input(
    p_model public.models, p_prompt text, p_given jsonb, p_by_operator boolean,
    out parameters jsonb, out notices text[], out size jsonb
)
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
    -- The concatenation unpacks it once, not at every access.
    v_schema   constant jsonb := p_model.input_schema || '{}';
    v_neutral  constant jsonb := public.neutral_inputs();
    v_given    constant jsonb := jsonb_strip_nulls(p_given) - 'prompt';
    v_defaults constant jsonb := public.default_input(p_model);
    v_asked    jsonb := jsonb '{}';
    v_fitted   jsonb;
    v_expected jsonb;
    v_names    jsonb := jsonb '{}';
    v_problems jsonb := jsonb '[]';
    v_key      text;
    v_value    jsonb;
    v_own      text;
    v_problem  text;
begin
    p_model.input_schema := v_schema;
    parameters := '{}';
    notices := '{}';
    for v_key, v_value in select * from jsonb_each(v_given) loop
        v_problem := null;
        v_own := v_key;
        if v_neutral ? v_key and (
            v_schema is null and v_key not in ('image', 'images') or not v_schema ? v_key or v_key in ('width', 'height', 'seed')
        ) then
            v_problem := coalesce(public.input_problem(v_neutral -> v_key, v_value), case
                when v_key = 'aspect_ratio' and v_value #>> '{}' !~ '^[1-9][0-9]{0,3}:[1-9][0-9]{0,3}$' then left(v_value::text, 60) || ' is not a ratio such as 16:9'
            end);
        end if;
        if v_problem is not null then
            v_problems := v_problems || jsonb_build_object(
                'field', v_key, 'problem', v_problem, 'allowed', public.allowed_values(v_neutral -> v_key)
            );
        elsif v_schema is null then
            parameters := parameters || jsonb_build_object(v_key, v_value);
        elsif v_key in ('width', 'height', 'aspect_ratio') then
            v_asked := v_asked || jsonb_build_object(v_key, v_value);
        elsif v_schema ? v_key then
            if v_key = any (p_model.operator_fields) and not p_by_operator then
                v_problems := v_problems || jsonb_build_object('field', v_key, 'problem', 'can only be set by operators');
            end if;
            parameters := parameters || jsonb_build_object(v_key, v_value);
        elsif v_neutral ? v_key then
            if v_key in ('image', 'images', 'source_image_url') then
                v_own := public.image_input(v_schema);
            else
                select o into v_own from jsonb_array_elements_text(v_neutral -> v_key -> 'own') with ordinality as e (o, n)
                where v_schema ? o order by n limit 1;
            end if;
            if v_own is null or v_given ? v_own or v_names ? v_own then
                if v_key <> 'num_outputs' or v_value <> '1' then
                    notices := notices || case
                        when v_own is not null then format('%s is ignored because %s is given.', v_key, coalesce(v_names ->> v_own, v_own))
                        when v_key = 'num_outputs' then format('num_outputs is ignored: %s generates one image per request.', p_model.id)
                        else format('%s is ignored: %s does not accept it.', v_key, p_model.id)
                    end;
                end if;
            else
                v_names := v_names || jsonb_build_object(v_own, v_key);
                parameters := parameters || jsonb_build_object(v_own, case
                    when v_schema -> v_own ->> 'type' = 'array' then case jsonb_typeof(v_value) when 'array' then v_value else jsonb_build_array(v_value) end
                    when v_key = 'images' and jsonb_array_length(v_value) = 1 then v_value -> 0
                    -- Of the image, not of the change. So do the functions of the guide understand it for FLUX, with their name of the image.
                    when v_own = 'image_prompt_strength' or v_own = 'prompt_strength' and v_given ? 'source_image_url' and p_model.id ~ '/flux'
                        then to_jsonb(1 - v_value::numeric)
                    else v_value
                end);
                if v_own = 'max_images' and v_value <> '1' then
                    parameters := '{"sequential_image_generation": "auto"}' || parameters;
                end if;
            end if;
        else
            v_problems := v_problems || jsonb_strip_nulls(jsonb_build_object(
                'field', v_key, 'problem', 'is unknown', 'allowed', public.nearest_name(
                    v_key, array(select jsonb_object_keys(v_neutral || v_schema))
                )
            ));
        end if;
    end loop;

    -- Where the schema requires one, its check says so.
    if coalesce(v_schema ? 'prompt' and v_schema -> 'prompt' -> 'required' is distinct from 'true', v_schema is null)
       and coalesce(btrim(p_prompt), '') = '' then
        v_problems := v_problems || jsonb_build_object('field', 'prompt', 'problem', 'is missing', 'allowed', 'text');
    elsif not v_schema ? 'prompt' and p_prompt <> '' then
        notices := notices || format('prompt is ignored: %s does not accept it.', p_model.id);
    end if;
    if v_schema is not null then
        if v_asked <> '{}' and v_problems = '[]' then
            v_fitted := public.size_inputs(p_model, parameters, v_asked);
            parameters := parameters || v_fitted;
        end if;
        select v_problems || coalesce(jsonb_agg(
            p || jsonb_build_object('field', coalesce(v_names ->> (p ->> 'field'), p ->> 'field'))
        ), '[]') into v_problems
        from jsonb_array_elements(public.input_problems(
            v_schema, v_defaults || parameters || case when v_schema ? 'prompt' and btrim(p_prompt) <> '' then jsonb_build_object('prompt', p_prompt) else '{}' end
        )) p;
    end if;
    perform public.refuse_input(nullif(v_problems, '[]'));
    if v_schema is null then
        return;
    end if;

    select notices || coalesce(array_agg(format('%s: %s is not among the known choices (%s) and is sent as is.', i.key, i.value,
        (select string_agg(c, ', ') from jsonb_array_elements_text(v_schema -> i.key -> 'enum_partial') c))), '{}') into notices
    from jsonb_each(parameters) i
    where v_schema -> i.key ? 'enum_partial' and not v_schema -> i.key -> 'enum_partial' @> i.value;
    v_expected := public.expected_size(v_schema, p_model.sizes, v_defaults || parameters);
    size := jsonb_build_object('requested', v_asked, 'sent', coalesce(v_fitted, '{}'), 'expected', v_expected);
    if v_fitted = '{}' then
        notices := notices || format('The size is ignored: %s does not accept one.', p_model.id);
    elsif v_asked - 'aspect_ratio' <> '{}' and not v_expected @> (v_asked - 'aspect_ratio') then
        notices := notices || format(
            'The image will be %s%s x %s pixels: %s does not support the requested size.',
            case when v_expected -> 'exact' = 'true' then '' else 'about ' end, v_expected ->> 'width', v_expected ->> 'height', p_model.id
        );
    elsif v_asked ? 'aspect_ratio' and v_fitted ? 'aspect_ratio' and v_fitted ->> 'aspect_ratio' not in (v_asked ->> 'aspect_ratio', 'custom') then
        notices := notices || format('aspect_ratio is %s: %s does not support %s.', v_fitted ->> 'aspect_ratio', p_model.id, v_asked ->> 'aspect_ratio');
    end if;
end;
$$;
comment on function public.resolve_input is
    'What a request asks of a model as the model''s own inputs (parameters), with notices of what was ignored or changed, and size as in image_generations. Neutral names (neutral_inputs) are translated. Error DR422: everything that is wrong, with a list of problems in DETAIL.';
