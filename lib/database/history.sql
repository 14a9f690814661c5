-- The record of applied migrations, as the Supabase CLI keeps it.
-- https://github.com/supabase/cli/blob/main/pkg/migration/history.go

-- name: lock#
-- Wait until no other session prepares or migrates this database; held until the transaction ends.
-- Opening a table then makes the session notice what others created meanwhile: a lock alone leaves
-- its cache of the catalogue as it was, so that "if not exists" may try to create it again.
select pg_advisory_xact_lock(hashtextextended('darkroom:schema', 0));
select from pg_catalog.pg_namespace limit 0;

-- name: exists()$
select to_regclass('supabase_migrations.schema_migrations') is not null;

-- name: create#
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;

-- name: versions()
select version from supabase_migrations.schema_migrations order by version;

-- name: fingerprinted()$
-- Whether the last migration, which stores the fingerprint of all, has been applied.
select to_regprocedure('public.schema_fingerprint()') is not null;

-- name: fingerprint()$
select public.schema_fingerprint();

-- name: ours()$
-- Whether tables of ours are there, recorded or not.
select to_regclass('public.job_leases') is not null;

-- name: readable()$
-- Whether there is a record that this user may read.
select exists (
    select from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'supabase_migrations' and c.relname = 'schema_migrations'
      and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
);

-- name: recorded()
-- Columns: version, name (null in the oldest records), text: the whole file where this program
-- recorded it, null where the Supabase CLI recorded its single statements.
select
    m.version,
    to_jsonb(m) ->> 'name' as name,
    case when to_jsonb(m) #>> '{statements,1}' is null then to_jsonb(m) #>> '{statements,0}' end as text
from supabase_migrations.schema_migrations m;

-- name: record(version, name, text)!
insert into supabase_migrations.schema_migrations (version, name, statements)
values (:version, :name, array[:text::text]);

-- name: audit(actor, file, lines)!
insert into public.audit_log (actor, action, affected, details)
values (:actor, 'apply_migration', 1, jsonb_build_object('file', :file::text, 'lines', :lines::int));

-- name: reset_settings#
-- A migration may have changed settings of the session, such as search_path.
reset all;
