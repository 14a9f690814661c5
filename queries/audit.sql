-- Who did what, and when? From the audit log, by its indexes: nothing here grows with it.

-- name: actors
-- Everybody who is in the log, up to 200, by looking for one name after the other. Columns: actor.
with recursive found as (
    (select a.actor from public.audit_log a order by a.actor limit 1)
    union all
    select (select a.actor from public.audit_log a where a.actor > f.actor order by a.actor limit 1)
    from found f
    where f.actor is not null
)
select actor from found where actor is not null limit 200;

-- name: actions
-- Everything that was done, up to 200 names, found in the same way. Columns: action.
with recursive found as (
    (select a.action from public.audit_log a order by a.action limit 1)
    union all
    select (select a.action from public.audit_log a where a.action > f.action order by a.action limit 1)
    from found f
    where f.action is not null
)
select action from found where action is not null limit 200;

-- name: entries
-- Up to :most entries, newest first, of :actor and :action (text; null for all) and of a time:
-- from :start (timestamptz; null: the last) for :length (interval). :before or :after (id of an
-- entry, else null) give those next to it. Columns: id, at, actor, action, affected, before and
-- after (jsonb or null), rest (what else the details say, without lists of jobs; cut).
select e.id, e.at, e.actor, e.action, e.affected,
       e.details -> 'before' as before, e.details -> 'after' as after,
       left(nullif(e.details - array['before', 'after', 'job_ids', 'report'], '{}')::text, 400) as rest
from public.audit_entries(
    :actor::text, :action::text,
    coalesce(:start::timestamptz, now() - :length::interval),
    coalesce(:start::timestamptz + :length::interval, 'infinity'),
    :before::bigint, :after::bigint, :most
) e;

-- name: export
-- As entries, whole. Columns: id, at, actor, action, affected, details (jsonb).
select e.id, e.at, e.actor, e.action, e.affected, e.details
from public.audit_entries(
    :actor::text, :action::text,
    coalesce(:start::timestamptz, now() - :length::interval),
    coalesce(:start::timestamptz + :length::interval, 'infinity'),
    :before::bigint, null, :most
) e;

-- name: details$
-- All that an entry says, as indented JSON; a very long one is cut.
select left(jsonb_pretty(a.details), 100000) from public.audit_log a where a.id = :id::bigint;
