-- The server as a whole.

-- name: facts^
select
    current_setting('server_version') as version,
    current_setting('fsync') as fsync,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('shared_buffers') as shared_buffers,
    (select setting from pg_config where name = 'BINDIR') as programs;

-- name: drop_peer_database#
drop database if exists peer with (force);

-- name: create_peer_database#
create database peer;

-- name: checkpoint#
checkpoint;

-- name: vacuum_analyze#
vacuum analyze;
