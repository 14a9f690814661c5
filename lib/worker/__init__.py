"""The long-lived worker; `python -m lib.worker` runs one as a process of its own.

- `worker`: runs several jobs at a time, keeps their leases alive, and gives them back.
- `handlers`: which handler runs which type of job.
- `claiming`, `settlement`: how jobs come in, and how their outcomes are written down.
- `registration`, `rescue`, `rollup`: a worker's row, jobs of dead workers, folding history.
"""
