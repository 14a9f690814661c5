-- Registration of a worker.

-- name: register_worker!
insert into public.workers (
    id, kind, host, pid, process_started_at, version, job_types, concurrency
) values (
    :id, :kind, :host, :pid, to_timestamp(:process_started_at), :version, :job_types, :concurrency
);

-- name: forget_old_workers!
-- Each call of process-jobs registers as a worker: old ones would pile up.
delete from public.workers where last_seen_at < now() - interval '1 day';

-- name: worker_seen!
update public.workers
set last_seen_at = clock_timestamp(), processed = :processed, errors = :errors
where id = :id;

-- name: worker_stopped!
update public.workers
set last_seen_at = clock_timestamp(), stopped_at = clock_timestamp(),
    processed = :processed, errors = :errors
where id = :id;
