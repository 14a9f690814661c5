-- Files that users upload to start generations with: kept as long as a generation uses them, or for a day.

create table public.uploads (
    id             uuid        primary key,
    user_id        uuid,
    source         text        not null default 'app' check (source in ('app', 'test')),
    storage_path   text        not null,
    thumbnail_path text,
    content_type   text        not null,
    width          int         not null check (width > 0),
    height         int         not null check (height > 0),
    bytes          bigint      not null check (bytes > 0),
    created_at     timestamptz not null default clock_timestamp(),
    expires_at     timestamptz default clock_timestamp() + interval '1 day'
);
comment on table public.uploads is
    'Uploaded images, which inputs name as upload:<id>. Their files are private, and deleted before their rows.';
-- No foreign key: the rows of a deleted user are still needed to find their files.
comment on column public.uploads.user_id is 'Only this user''s requests can use it; null: requests without a user.';
comment on column public.uploads.source is 'test: of an operator, for test runs. These can use every upload.';
comment on column public.uploads.width is 'In pixels, as browsers show it; likewise height.';
comment on column public.uploads.expires_at is 'When it can no longer be used and is deleted; null while a generation uses it.';

create index uploads_expiring_idx on public.uploads (expires_at) where expires_at is not null;
-- For row-level security.
create index uploads_user_idx on public.uploads (user_id, created_at);
-- No user has the nil id.
create index uploads_unused_idx on public.uploads (coalesce(user_id, '00000000-0000-0000-0000-000000000000'))
    where expires_at is not null;

create table public.generation_uploads (
    generation_id uuid not null references public.image_generations (id) on delete cascade,
    upload_id     uuid not null references public.uploads (id),
    primary key (generation_id, upload_id)
);
comment on table public.generation_uploads is 'The uploads that each generation uses. Several may use the same.';

create index generation_uploads_upload_idx on public.generation_uploads (upload_id);

create function public.record_upload(
    p_id uuid, p_user_id uuid, p_source text, p_storage_path text, p_thumbnail_path text, p_content_type text, p_width int,
    p_height int, p_bytes bigint
) returns timestamptz
language plpgsql volatile set search_path = ''
as $$
declare
    v_unused record;
    v_expires timestamptz;
begin
    if p_user_id is not null and not exists (select from auth.users u where u.id = p_user_id) then
        raise exception 'there is no user %', p_user_id using errcode = '23503';
    end if;
    if p_source <> 'test' then
        -- One at a time per user, so that parallel uploads cannot exceed the limit together.
        perform pg_advisory_xact_lock(hashtextextended('record_upload:' || coalesce(p_user_id::text, ''), 0));
        select count(*) as files, coalesce(sum(u.bytes), 0) as bytes,
               greatest(1, ceil(extract(epoch from min(u.expires_at) - clock_timestamp())))::int as seconds
        into v_unused
        from public.uploads u
        where coalesce(u.user_id, '00000000-0000-0000-0000-000000000000')
                = coalesce(p_user_id, '00000000-0000-0000-0000-000000000000')
          and u.source = 'app' and u.expires_at > clock_timestamp();
        if v_unused.files >= 100 or v_unused.bytes + p_bytes > 250 * 1024 * 1024 then
            raise exception 'Too many unused uploads: at most 100 files and 250 MB at a time. Use them, or wait % seconds until the oldest expires.',
                v_unused.seconds
                using errcode = 'DR430', detail = jsonb_build_object('retry_after_seconds', v_unused.seconds)::text;
        end if;
    end if;
    insert into public.uploads (id, user_id, source, storage_path, thumbnail_path, content_type, width, height, bytes)
    values (p_id, p_user_id, p_source, p_storage_path, p_thumbnail_path, p_content_type, p_width, p_height, p_bytes)
    returning expires_at into v_expires;
    return v_expires;
end;
$$;
comment on function public.record_upload is
    'Records a file that is about to be stored, and returns when it expires unless a generation uses it. A user has at most 100 unused uploads and 250 MB of them; those for tests are not limited. Errors: DR430 limit (retry_after_seconds in DETAIL), 23503 unknown user.';

create function public.forget_uploads(p_ids uuid[]) returns void
language sql volatile set search_path = ''
as $$ delete from public.uploads u where u.id = any (p_ids) and u.expires_at is not null $$;
comment on function public.forget_uploads is
    'Deletes the rows of uploads whose files are gone: expired ones, or those that could not be stored. None that a generation uses.';

create function public.upload_references(p_schema jsonb, p_parameters jsonb) returns table (field text, upload_id uuid)
language sql immutable parallel safe set search_path = ''
as $$
    select f.name, public.upload_of(e.value #>> '{}')
    from jsonb_each(p_parameters) as f (name, value)
    cross join lateral jsonb_array_elements(case jsonb_typeof(f.value) when 'array' then f.value else jsonb_build_array(f.value) end) e
    where jsonb_typeof(e.value) = 'string' and public.upload_of(e.value #>> '{}') is not null
      and (p_schema is null or public.file_kind(p_schema -> f.name) is not null);
$$;
comment on function public.upload_references is
    'The uploads that parameters refer to, and where. Of a model without a schema, every text that looks like a reference is one.';

create function public.use_uploads(
    p_generation_id uuid, p_user_id uuid, p_source text, p_schema jsonb, p_parameters jsonb, p_given jsonb
) returns void
language plpgsql volatile set search_path = ''
as $$
declare
    v_usable   uuid[];
    v_problems jsonb;
begin
    if p_parameters::text not like '%"upload:%' then
        return;
    end if;
    v_usable := array(
        select u.id
        from (
            select l.* from public.uploads l
            where l.id in (select r.upload_id from public.upload_references(p_schema, p_parameters) r)
            order by l.id for update
        ) u
        -- A test of an operator has no user.
        where (p_source = 'test' and p_user_id is null or u.source = 'app' and u.user_id is not distinct from p_user_id)
          and coalesce(u.expires_at > clock_timestamp(), true)
    );
    select jsonb_agg(jsonb_build_object(
        'field', coalesce(g.key, r.field),
        'problem', format('upload:%s cannot be used: it does not exist, has expired or belongs to another user', r.upload_id),
        'allowed', public.allowed_values('{"type": "string", "format": "uri"}')
    ) order by r.field, r.upload_id)
    into v_problems
    from public.upload_references(p_schema, p_parameters) r
    -- Under the name that the request used.
    left join lateral (
        select j.key from jsonb_each(p_given) j where j.value @> to_jsonb('upload:' || r.upload_id) order by j.key <> r.field limit 1
    ) g on true
    where r.upload_id <> all (v_usable);
    perform public.refuse_input(v_problems);
    update public.uploads u set expires_at = null where u.id = any (v_usable);
    insert into public.generation_uploads (generation_id, upload_id)
    select p_generation_id, u from unnest(v_usable) u
    on conflict do nothing;
end;
$$;
comment on function public.use_uploads is
    'Keeps the uploads that a generation''s parameters refer to for as long as the generation. Error DR422 (problems in DETAIL, under the names of p_given) for any that this user cannot use; it does not tell why.';

-- As the owner: Supabase Auth deletes users, and with them their generations, in a role that may not read uploads.
create function public.expire_unused_upload() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    -- First locked, then looked: a generation may be about to use it.
    perform from public.uploads u where u.id = old.upload_id for update;
    update public.uploads u set expires_at = clock_timestamp()
    where u.id = old.upload_id and not exists (select from public.generation_uploads g where g.upload_id = u.id);
    return null;
end;
$$;
comment on function public.expire_unused_upload is 'Lets an upload expire at once when the last generation that used it is deleted.';

create trigger generation_uploads_deleted
    after delete on public.generation_uploads
    for each row
    execute function public.expire_unused_upload();
