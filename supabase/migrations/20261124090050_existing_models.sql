-- What an existing deployment has in columns of its own. Its models become ours too, and in rows that Darkroom
-- writes those columns are filled, for applications that read them.

create function public.fill_existing_columns() returns trigger
language plpgsql set search_path = ''
as $$
declare
    v_row   constant jsonb := to_jsonb(new);
    v_given constant jsonb := v_row -> 'parameters';
    v_asked constant jsonb := v_row -> 'size' -> 'asked';
begin
    return jsonb_populate_record(new, (
        select coalesce(jsonb_object_agg(c.name, c.value), '{}')
        from (values
            ('name', v_row -> 'display_name'),
            ('replicate_id', v_row -> 'id'),
            ('model', v_row -> 'model_id'),
            ('width', coalesce(v_asked -> 'width', v_given -> 'width')),
            ('height', coalesce(v_asked -> 'height', v_given -> 'height')),
            ('steps', coalesce(v_given -> 'num_inference_steps', v_given -> 'steps')),
            ('guidance_scale', coalesce(v_given -> 'guidance_scale', v_given -> 'guidance')),
            ('negative_prompt', v_given -> 'negative_prompt'),
            ('style', v_given -> 'style'),
            ('seed', v_given -> 'seed')
        ) as c (name, value)
        where v_row -> c.name = 'null' and c.value <> 'null'
    ) || case when v_row ->> 'model_id' = '' and v_row ->> 'model' <> ''
              then jsonb_build_object('model_id', v_row -> 'model') else '{}' end);
exception when data_exception then
    return new;
end;
$$;
comment on function public.fill_existing_columns is
    'Fills the columns that a table of an existing deployment has beside ours, such as model, from ours, where they are null and the value fits.';

do $$
declare
    v_column record;
    v_model  record;
    v_theirs text[] := '{}';
begin
    if exists (
        select from pg_catalog.pg_attribute a
        where a.attrelid = 'public.image_generations'::regclass and not a.attisdropped
          and a.attname in ('model', 'width', 'height', 'steps', 'guidance_scale', 'negative_prompt', 'style', 'seed')
    ) then
        create trigger image_generations_existing_columns before insert on public.image_generations
            for each row execute function public.fill_existing_columns();
    end if;
    if pg_catalog.to_regclass('before_darkroom.models') is null then
        return;
    end if;

    for v_column in
        select a.attname as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as kind
        from pg_catalog.pg_attribute a
        where a.attrelid = 'before_darkroom.models'::regclass and a.attnum > 0 and not a.attisdropped
          and a.attname not in (
              select o.attname from pg_catalog.pg_attribute o where o.attrelid = 'public.models'::regclass
              union all
              -- Generated, further on.
              values ('parameter_schema'), ('sizes')
          )
        order by a.attnum
    loop
        execute format('alter table public.models add column %I %s', v_column.name, v_column.kind);
        v_theirs := v_theirs || format('%1$I = r.%1$I', v_column.name);
    end loop;
    create trigger models_existing_columns before insert on public.models
        for each row execute function public.fill_existing_columns();

    for v_model in
        select distinct on (n.id) n.id, n.version, m.said
        from (select to_jsonb(e) as said from before_darkroom.models e) m
        cross join lateral (
            select split_part(c.name, ':', 1) as id, nullif(split_part(c.name, ':', 2), '') as version
            from (values (1, m.said ->> 'replicate_id'), (2, m.said ->> 'model_id'), (3, m.said ->> 'id')) as c (place, name)
            where c.name ~ '^[a-zA-Z0-9][a-zA-Z0-9._-]*/[a-zA-Z0-9][a-zA-Z0-9._-]*(:[0-9a-f]{64})?$'
            order by c.place limit 1
        ) n
        order by n.id
    loop
        -- Models that Darkroom knows get its own defaults further on; theirs may not be what a model accepts.
        insert into public.models (id, display_name, version, enabled, default_parameters)
        values (
            v_model.id,
            coalesce(v_model.said ->> 'display_name', v_model.said ->> 'name', v_model.id),
            coalesce(v_model.version, substring(v_model.said ->> 'version' from '^[0-9a-f]{64}$')),
            coalesce(v_model.said -> 'is_active', v_model.said -> 'enabled', 'true') <> 'false',
            jsonb_strip_nulls(jsonb_build_object(
                'width', v_model.said -> 'default_width', 'height', v_model.said -> 'default_height',
                'num_inference_steps', v_model.said -> 'default_steps',
                'guidance_scale', v_model.said -> 'default_guidance_scale'
            ))
        );
        if v_theirs <> '{}' then
            execute format(
                'update public.models m set %s from jsonb_populate_record(null::public.models, $1) r where m.id = $2',
                array_to_string(v_theirs, ', ')
            ) using v_model.said - 'id', v_model.id;
        end if;
    end loop;
end;
$$;
