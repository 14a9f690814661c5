-- Settings of a new connection. Not sent with the connection itself, since poolers refuse that.

-- name: backend_pid$
-- The process of the server. A pooler gives its clients another number.
select pg_backend_pid();

-- name: prepare
-- Set `names` to `values`, or, with :kept false, only compare them: behind a transaction pooler a
-- setting would reach the next user of the server connection. Columns: repair, the statement that
-- sets what differs for the role; no rows if all is as it should be.
select format('alter role %%I set %%s = %%L', session_user, w.name, w.value) as repair
from unnest(:names::text[], :values::text[]) as w (name, value)
where case
    when :kept then set_config(w.name, w.value, false) is null
    else split_part(current_setting(w.name), ',', 1) <> w.value
end;
