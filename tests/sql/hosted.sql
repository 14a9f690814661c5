-- Gives the database to a role that may do what the role postgres may on a hosted project, where it is no
-- superuser: https://github.com/supabase/postgres/tree/develop/migrations

do $$
begin
    if to_regrole('hosted_postgres') is null then
        create role hosted_postgres login createdb createrole replication bypassrls;
    end if;
    execute format('alter database %I owner to hosted_postgres', current_database());
end
$$;
grant anon, authenticated, service_role to hosted_postgres with admin option;
alter publication supabase_realtime owner to hosted_postgres;
grant usage on schema auth to hosted_postgres;
grant all on all tables in schema auth to hosted_postgres;

do $$
begin
    if to_regnamespace('cron') is not null then
        grant usage on schema cron to hosted_postgres with grant option;
        grant all on all functions in schema cron to hosted_postgres with grant option;
        grant all on all tables in schema cron to hosted_postgres with grant option;
        grant all on all sequences in schema cron to hosted_postgres with grant option;
        revoke all on cron.job from hosted_postgres;
        grant select on cron.job to hosted_postgres with grant option;
    end if;
    if to_regnamespace('net') is not null then
        grant usage on schema net, vault to hosted_postgres;
        grant all on all tables in schema net, vault to hosted_postgres;
        grant all on all sequences in schema net to hosted_postgres;
    end if;
end
$$;
