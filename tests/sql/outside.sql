-- What a hosted project has beside the database, as far as cron jobs use it: pg_net, whose requests
-- a test sends on itself (send_requests), and Vault.

create schema net;
create unlogged table net.http_request_queue (
    id bigint generated always as identity primary key,
    url text not null,
    headers jsonb not null,
    body jsonb not null,
    timeout_milliseconds int not null
);
create unlogged table net._http_response (
    id bigint,
    status_code int,
    content_type text,
    headers jsonb,
    content text,
    timed_out boolean,
    error_msg text,
    created timestamptz not null default now()
);
create function net.http_post(
    url text, body jsonb default '{}', params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds int default 5000
) returns bigint
language sql as $$
    insert into net.http_request_queue (url, headers, body, timeout_milliseconds)
    values (url, headers, body, timeout_milliseconds)
    returning id;
$$;

create schema vault;
create table vault.secrets (name text unique, secret text not null);
create view vault.decrypted_secrets as select name, secret, secret as decrypted_secret from vault.secrets;
create function vault.create_secret(new_secret text, new_name text) returns void
language sql as $$
    insert into vault.secrets (name, secret) values (new_name, new_secret);
$$;
