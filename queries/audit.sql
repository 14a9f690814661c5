-- The audit log. Index lookups only: the cost does not grow with the log.

-- name: actors
-- All actors in the log, up to 200, found by a loose index scan. Columns: actor.
with recursive found as (
    (select a.actor from public.audit_log a order by a.actor limit 1)
    union all
    select (select a.actor from public.audit_log a where a.actor > f.actor order by a.actor limit 1)
    from found f
    where f.actor is not null
)
select actor from found where actor is not null limit 200;

-- name: actions
-- All actions in the log, up to 200, found in the same way. Columns: action.
with recursive found as (
    (select a.action from public.audit_log a order by a.action limit 1)
    union all
    select (select a.action from public.audit_log a where a.action > f.action order by a.action limit 1)
    from found f
    where f.action is not null
)
select action from found where action is not null limit 200;

-- name: entries
-- Up to :most entries, newest first, filtered by :actor and :action (text; null for all) and by
-- time: :length (interval) from :start (timestamptz; null: the last :length). :before or :after (id
-- of an entry, else null) is the paging position. Columns: id, at, actor, action, affected, before
-- and after (jsonb or null), rest (other details, without job ids, truncated).
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
-- Like entries, in full. Columns: id, at, actor, action, affected, details (jsonb).
select e.id, e.at, e.actor, e.action, e.affected, e.details
from public.audit_entries(
    :actor::text, :action::text,
    coalesce(:start::timestamptz, now() - :length::interval),
    coalesce(:start::timestamptz + :length::interval, 'infinity'),
    :before::bigint, null, :most
) e;

-- name: details$
-- All details of an entry as indented JSON, truncated if very long.
select left(jsonb_pretty(a.details), 100000) from public.audit_log a where a.id = :id::bigint;
