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
-- storage_error: why the storage takes no files, storage_seconds: for how long, or null.
update public.workers
set last_seen_at = clock_timestamp(),
    stopped_at = case when :stopped::boolean then clock_timestamp() else stopped_at end,
    processed = :processed, errors = :errors, blocked_types = :blocked_types,
    storage_error = left(:storage_error, 1000),
    storage_failed_at = clock_timestamp() - make_interval(secs => :storage_seconds)
where id = :id;

-- name: report_background_error!
select public.report_background_error(:task, :error);
