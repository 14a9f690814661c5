"""The long-lived worker; `python -m lib.worker` runs one as its own process.

- `worker`: runs jobs concurrently, sends heartbeats, and releases unfinished jobs.
- `handlers`, `running`: the handler of each job type, and one attempt with it.
- `claiming`, `settlement`: claim jobs, and store their outcomes.
- `registration`, `rescue`, `rollup`: the workers table, jobs of dead workers, the rollups.
- `liveness`: proof that a worker's process is alive, on the embedded database.
- `background`: tasks that continue after an error.
- `batches`: batches of process-jobs, which continue after it has answered.
"""
