-- What a Supabase project has and plain PostgreSQL lacks, as far as our migrations need it.
-- Can be run again: every statement leaves what exists as it should be.

-- Roles are shared by all databases of a server: another one may be making them now.
lock table pg_catalog.pg_authid in share row exclusive mode;
do $$
declare
    role_name text;
begin
    foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
        if to_regrole(role_name) is null then
            execute format('create role %I nologin noinherit', role_name);
        end if;
    end loop;
end
$$;
alter role service_role bypassrls;
-- An owner that is not a superuser can then `set role` too.
grant anon, authenticated, service_role to current_user;

revoke create on schema public from public;
grant usage on schema public to anon, authenticated, service_role;

create schema if not exists auth;
comment on schema auth is 'Darkroom: stands in for Supabase Auth';
grant usage on schema auth to anon, authenticated, service_role;

-- Without defaults, as there: Supabase Auth sets all columns.
create table if not exists auth.users (
    id         uuid primary key,
    email      varchar(255),
    created_at timestamptz
);

-- The claims of the request's JWT: PostgREST sets request.jwt.claims, and up to version 8 set
-- request.jwt.claim.<name>; Supabase's own functions read both.
create or replace function auth.uid() returns uuid language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    )::uuid
$$;

create or replace function auth.role() returns text language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
    )
$$;

create or replace function auth.jwt() returns jsonb language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')
    )::jsonb
$$;

do $$
begin
    if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
        create publication supabase_realtime;
    end if;
end
$$;
