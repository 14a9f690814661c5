"""What operators do beyond single jobs.

- `alerts`: rules, channels, delivery.
- `cron`: jobs of pg_cron.
- `maintenance`: purging, space, recurring tasks.
- `test_runs`: generations submitted to try the system out.
- `migration_path`, `rollback`: the way to the queue and back.
- `fault_injection`: faults of the simulated provider.
- `capacity`: how long a backlog lasts.
"""
