-- name: provided()$
-- Does the database have Supabase's auth already, or somebody's stand-in other than ours?
select exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin')
    or (
        to_regclass('auth.users') is not null
        and obj_description(to_regnamespace('auth'), 'pg_namespace')
            is distinct from 'Darkroom: stands in for Supabase Auth'
    );

-- name: lacking()
-- What our migrations build on and this database has not got. Columns: name.
select n.name
from (values
    ('role anon', to_regrole('anon') is not null),
    ('role authenticated', to_regrole('authenticated') is not null),
    ('role service_role', to_regrole('service_role') is not null),
    ('table auth.users', to_regclass('auth.users') is not null),
    ('function auth.uid()', to_regprocedure('auth.uid()') is not null)
) as n (name, present)
where not n.present;
