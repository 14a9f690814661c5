-- name: provided()$
-- Does the database have Supabase's auth already, or somebody's stand-in other than ours?
select exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin')
    or (
        to_regclass('auth.users') is not null
        and obj_description(to_regnamespace('auth'), 'pg_namespace')
            is distinct from 'Darkroom: stands in for Supabase Auth'
    );
