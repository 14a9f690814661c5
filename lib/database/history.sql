-- Which migrations have been applied: our own record, and that of the Supabase CLI, which only it writes.
-- https://github.com/supabase/cli/blob/main/pkg/migration/history.go

-- name: lock#
-- Wait until no other session prepares or migrates this database; held until the transaction ends.
-- Opening a table then makes the session notice what others created meanwhile: a lock alone leaves
-- its cache of the catalogue as it was, so that "if not exists" may try to create it again.
select pg_advisory_xact_lock(hashtextextended('darkroom:schema', 0));
select from pg_catalog.pg_namespace limit 0;

-- name: create#
create schema if not exists darkroom;
create table if not exists darkroom.migrations (
    version    text        primary key,
    name       text        not null,
    sha256     text        not null,
    applied_at timestamptz not null default now()
);

-- name: records()
-- The records that exist. Columns: schema, and whether this user may read the one in it.
select n.nspname as schema,
    has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where (n.nspname, c.relname) in (('darkroom', 'migrations'), ('supabase_migrations', 'schema_migrations'));

-- name: fingerprinted()$
-- Whether the last migration, which stores the fingerprint of all, has been applied.
select to_regprocedure('public.schema_fingerprint()') is not null;

-- name: fingerprint()$
select public.schema_fingerprint();

-- name: ours()$
-- Whether tables of ours are there, recorded or not.
select to_regclass('public.job_leases') is not null;

-- name: recorded()
-- Our record. Columns: version, name, sha256 of the file.
select version, name, sha256 from darkroom.migrations;

-- name: pushed()
-- The Supabase CLI's record, in the same columns: name is null in its oldest form, sha256 always, because
-- it keeps the single statements.
select m.version, to_jsonb(m) ->> 'name' as name, null as sha256
from supabase_migrations.schema_migrations m;

-- name: record(version, name, sha256)!
insert into darkroom.migrations (version, name, sha256) values (:version, :name, :sha256);

-- name: audit(actor, file, lines)!
insert into public.audit_log (actor, action, affected, details)
values (:actor, 'apply_migration', 1, jsonb_build_object('file', :file::text, 'lines', :lines::int));

-- name: limit_waits#
-- Give up after 10 s of waiting for one lock, unless the role has a limit of its own. Meanwhile the tables
-- that earlier files have locked, such as those of a running queue, make everybody else wait.
select set_config('lock_timeout', '10s', true) where current_setting('lock_timeout') = '0';

-- name: reset_settings#
-- A migration may have changed settings of the session, such as search_path.
reset all;
