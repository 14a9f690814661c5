-- The rules of Supabase's database advisor that apply to this schema. Each returns the objects
-- of schema public that break it, in a column `object`.

-- name: unindexed_foreign_keys()
-- Foreign keys whose columns no index starts with: deleting a referenced row reads the whole table.
select con.conrelid::regclass || ' ' || con.conname as object
from pg_constraint con
where con.contype = 'f' and con.connamespace = 'public'::regnamespace
  and not exists (
      select from pg_index i
      cross join lateral (
          select array_agg(k.key order by k.key) as keys
          from unnest(i.indkey) with ordinality as k (key, place)
          where k.place <= least(cardinality(con.conkey), i.indnkeyatts)
      ) start
      where i.indrelid = con.conrelid and i.indisvalid and i.indpred is null
        and start.keys = array(select key from unnest(con.conkey) as key order by key)
  );

-- name: exposed_auth_users()
-- Views through which API roles read auth.users, directly or by way of other views.
with recursive built_on (relation) as (
    select 'auth.users'::regclass::oid
    union
    select rule.ev_class
    from built_on
    join pg_depend d on d.refobjid = built_on.relation and d.refclassid = 'pg_class'::regclass
        and d.classid = 'pg_rewrite'::regclass
    join pg_rewrite rule on rule.oid = d.objid
)
select c.oid::regclass::text as object
from built_on join pg_class c on c.oid = built_on.relation
where c.relnamespace = 'public'::regnamespace
  and (has_any_column_privilege('anon', c.oid, 'select') or has_any_column_privilege('authenticated', c.oid, 'select'));

-- name: auth_evaluated_per_row()
-- Policies that call auth.uid() and the like for every row: wrapped in a select it is called once.
select p.polrelid::regclass || ' ' || p.polname as object
from pg_policy p
join pg_class c on c.oid = p.polrelid
cross join lateral concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) as source
where c.relnamespace = 'public'::regnamespace
  and regexp_replace(source, '\mselect\s+\(*(auth\.\w+|current_setting)\(', '', 'gi')
      ~* '(auth\.(uid|role|jwt|email)|current_setting)\(';

-- name: tables_without_primary_key()
select c.oid::regclass::text as object
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
  and not exists (select from pg_constraint con where con.conrelid = c.oid and con.contype = 'p');

-- name: multiple_permissive_policies()
-- Several permissive policies for one role and command: all of them are evaluated for each row.
select p.polrelid::regclass || ' ' || r.rolname || ' ' || command.name as object
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_roles r on r.oid = any (p.polroles) or p.polroles = '{0}'
join (values ('r', 'select'), ('a', 'insert'), ('w', 'update'), ('d', 'delete')) as command (code, name)
    on p.polcmd in (command.code::"char", '*')
where c.relnamespace = 'public'::regnamespace and p.polpermissive
  and r.rolname in ('anon', 'authenticated', 'service_role')
group by p.polrelid, r.rolname, command.name
having count(*) > 1;

-- name: row_security_off()
select c.oid::regclass::text as object
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relrowsecurity;

-- name: row_security_without_policy()
select c.oid::regclass::text as object
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relrowsecurity
  and not exists (select from pg_policy p where p.polrelid = c.oid);

-- name: always_true_policies()
-- Policies that let everybody but service_role pass.
select p.polrelid::regclass || ' ' || p.polname as object
from pg_policy p
join pg_class c on c.oid = p.polrelid
where c.relnamespace = 'public'::regnamespace and p.polpermissive
  and p.polroles <> array['service_role'::regrole::oid]
  and (
      pg_get_expr(p.polqual, p.polrelid) in ('true', '(1 = 1)')
      or pg_get_expr(p.polwithcheck, p.polrelid) in ('true', '(1 = 1)')
  );

-- name: duplicate_indexes()
-- Indexes that equal another one but for their name and uniqueness.
select i.indexrelid::regclass::text as object
from pg_index i
join pg_class c on c.oid = i.indexrelid
where c.relnamespace = 'public'::regnamespace
  and exists (
      select from pg_index other
      join pg_class o on o.oid = other.indexrelid
      where other.indrelid = i.indrelid and other.indexrelid <> i.indexrelid and o.relam = c.relam
        and other.indnkeyatts = i.indnkeyatts
        and (other.indkey::text, other.indclass::text, other.indcollation::text, other.indoption::text)
            = (i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text)
        and pg_get_expr(other.indexprs, other.indrelid) is not distinct from pg_get_expr(i.indexprs, i.indrelid)
        and pg_get_expr(other.indpred, other.indrelid) is not distinct from pg_get_expr(i.indpred, i.indrelid)
  );

-- name: views_with_rights_of_owner()
-- Views without security_invoker: they read with their owner's rights and go round row security.
select c.oid::regclass::text as object
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'v'
  and not exists (
      select from pg_options_to_table(c.reloptions)
      where option_name = 'security_invoker' and option_value::boolean
  );

-- name: materialized_views_open_to_users()
-- Row security does not reach materialized views.
select c.oid::regclass::text as object
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'm'
  and (has_any_column_privilege('anon', c.oid, 'select') or has_any_column_privilege('authenticated', c.oid, 'select'));

-- name: functions_with_mutable_search_path()
-- Functions that do not run with an empty search_path.
select p.oid::regprocedure::text as object
from pg_proc p
where p.pronamespace = 'public'::regnamespace and p.prokind <> 'a'
  and 'search_path=""' <> all (coalesce(p.proconfig, '{}'));

-- name: security_definer_functions_open_to_users()
select p.oid::regprocedure::text as object
from pg_proc p
where p.pronamespace = 'public'::regnamespace and p.prosecdef
  and (has_function_privilege('anon', p.oid, 'execute') or has_function_privilege('authenticated', p.oid, 'execute'));

-- name: extensions_in_public()
select e.extname::text as object
from pg_extension e
where e.extnamespace = 'public'::regnamespace;
