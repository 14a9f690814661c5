-- Search in all pages. Each query reads a bounded number of rows; ids are looked up by
-- queries/jobs.sql.

-- name: prompts
-- The five newest generations with a prompt like :pattern (ILIKE), among the newest 3,000. Columns:
-- id, prompt (shortened), model_id, status, created_at.
select g.id, left(g.prompt, 80) as prompt, g.model_id, g.status, g.created_at
from (
    select n.id, n.prompt, n.model_id, n.status, n.created_at from public.image_generations n
    order by n.created_at desc limit 3000
) g
where g.prompt ilike :pattern
order by g.created_at desc
limit 5;

-- name: users
-- Five users whose e-mail address contains :text, an exact match first. Parts of addresses are
-- looked up among 20,000 users. Columns: id, email.
select found.id, found.email
from (
    (select u.id, u.email, true as exact from auth.users u where u.email = lower(:text) limit 1)
    union all
    (
        select p.id, p.email, false
        from (select u.id, u.email from auth.users u limit 20000) p
        where strpos(p.email, lower(:text)) > 0 and p.email <> lower(:text)
        limit 5
    )
) found
order by found.exact desc, found.email
limit 5;

-- name: models
-- Five models whose id or name contains :text. Columns: id, name.
select m.id, m.display_name as name
from public.models m
where strpos(lower(m.id), lower(:text)) > 0 or strpos(lower(m.display_name), lower(:text)) > 0
order by m.id
limit 5;

-- name: failures
-- The five most frequent kinds of errors of the last day whose message or code contains :text,
-- among the newest 2,000 entries of the rollup. Columns: key, error_group, error_code, jobs.
select
    public.error_key(f.error_group, f.error_code) as key, left(f.error_group, 80) as error_group, f.error_code,
    sum(f.jobs)::bigint as jobs
from (
    select r.error_group, r.error_code, r.jobs from public.failure_rollup r
    where r.hour >= date_trunc('hour', now() - interval '24 hours', 'UTC')
    order by r.hour desc limit 2000
) f
where strpos(lower(f.error_group), lower(:text)) > 0
   -- As the rollup has it: without ids and numbers, unless little else is left.
   or length(public.error_group(:text)) > 8 and strpos(lower(f.error_group), lower(public.error_group(:text))) > 0
   or strpos(lower(f.error_code), lower(:text)) > 0
group by f.error_group, f.error_code
order by jobs desc
limit 5;
