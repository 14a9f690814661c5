-- The record of applied migrations, as the Supabase CLI keeps it.
-- https://github.com/supabase/cli/blob/main/pkg/migration/history.go

-- name: lock()^
-- Wait until no other session prepares or migrates this database; held until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('darkroom:schema', 0));

-- name: exists()$
select to_regclass('supabase_migrations.schema_migrations') is not null;

-- name: create#
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;

-- name: versions()
select version from supabase_migrations.schema_migrations order by version;

-- name: record(version, name, text)!
insert into supabase_migrations.schema_migrations (version, name, statements)
values (:version, :name, array[:text::text]);

-- name: audit(actor, file, lines)!
insert into public.audit_log (actor, action, affected, details)
values (:actor, 'apply_migration', 1, jsonb_build_object('file', :file::text, 'lines', :lines::int));

-- name: reset_settings#
-- A migration may have changed settings of the session, such as search_path.
reset all;
