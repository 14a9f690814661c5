-- The simulator's predictions (SQLite). Times are seconds since 1970.

-- name: create_schema#
pragma journal_mode = wal;
create table predictions (
    id text primary key,
    model text not null,
    input text not null,
    created_at real not null,
    started_at real not null,
    finished_at real not null,
    deadline_at real not null,
    canceled_at real,
    error text
);
create index predictions_created_at on predictions (created_at);

-- name: newest_but(moment, model, skipped)^
-- When the newest prediction after a moment was created (of a model, null for all), but for some
-- that are newer; no row when there are no more than those.
select created_at
from predictions
where created_at > :moment and (:model is null or model = :model)
order by created_at desc
limit 1 offset :skipped;

-- name: remove_created_before(moment)!
-- Forgets old predictions.
delete from predictions where created_at < :moment;

-- name: add(id, model, input, created_at, started_at, finished_at, deadline_at, error)!
-- Stores a new prediction with its whole future.
insert into predictions (id, model, input, created_at, started_at, finished_at, deadline_at, error)
values (:id, :model, :input, :created_at, :started_at, :finished_at, :deadline_at, :error);

-- name: prediction(id)^
-- One prediction.
select id, model, input, created_at, started_at, finished_at, deadline_at, canceled_at, error
from predictions
where id = :id;

-- name: newest(after, before, moment, id, rows)
-- The newest predictions of a time, older than one by moment and ID.
select id, model, input, created_at, started_at, finished_at, deadline_at, canceled_at, error
from predictions
where created_at >= :after and created_at < :before and (created_at, id) < (:moment, :id)
order by created_at desc, id desc
limit :rows;

-- name: cancel(id, moment)!
-- Ends a prediction that has not ended yet.
update predictions
set canceled_at = :moment
where id = :id and canceled_at is null and :moment < min(finished_at, deadline_at);
