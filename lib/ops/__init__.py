"""Operations beyond single jobs.

- `alerts`: rules, channels, delivery.
- `cron`: pg_cron jobs.
- `maintenance`: purging, disk space, recurring tasks.
- `test_runs`: generations that operators submit as a test.
- `migration_path`, `rollback`: moving an application to the queue and back.
- `fault_injection`: faults of the simulated provider.
- `capacity`: backlog and concurrency estimates.
"""
