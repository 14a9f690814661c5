-- Statements about the embedded server itself.

-- name: shut_down#
-- Ask the server to disconnect everybody and stop. Its own child sends the signal, since in
-- another container than ours its PID is another process.
copy (select) to program 'kill -INT "$(head -n 1 postmaster.pid)"';
