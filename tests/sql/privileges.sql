-- name: relations()
-- Tables, views and sequences of schema public; `inserted` are the columns that a row can be
-- given, `updated` is one that can be set.
select
    c.relname as name,
    case c.relkind when 'v' then 'view' when 'm' then 'view' when 'S' then 'sequence' else 'table' end as kind,
    array(
        select a.attname::text from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        order by a.attnum
    ) as inserted,
    (
        select a.attname::text from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and a.attgenerated = '' and a.attidentity = ''
        order by a.attnum limit 1
    ) as updated
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
order by c.relname;

-- name: functions()
-- Functions of schema public; `of_a_user` says that a user is all they ask for.
select p.oid, p.oid::regprocedure::text as signature, p.proname as name, p.proargnames is not distinct from '{p_user_id}' as of_a_user
from pg_proc p
where p.pronamespace = 'public'::regnamespace
order by p.proname, p.oid;

-- name: may_execute(role, function)$
select has_function_privilege(:role, :function::oid, 'execute');

-- name: executable_by_public()
select p.oid::regprocedure::text as function
from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) grants
where p.pronamespace = 'public'::regnamespace and grants.grantee = 0 and grants.privilege_type = 'EXECUTE';

-- name: grants_beyond_reading()
-- What anon, authenticated and PUBLIC are granted besides SELECT on whole tables and views.
select c.relname as object, grants.grantee::regrole::text as grantee, grants.privilege_type as privilege
from pg_class c
cross join lateral (
    select g.grantee, g.privilege_type from aclexplode(c.relacl) g
    where g.privilege_type <> 'SELECT' or c.relkind = 'S'
    union all
    select g.grantee, g.privilege_type || ' on ' || a.attname
    from pg_attribute a, aclexplode(a.attacl) g
    where a.attrelid = c.oid
) grants
where c.relnamespace = 'public'::regnamespace
  and grants.grantee in (0, 'anon'::regrole, 'authenticated'::regrole)
order by 1, 2, 3;
