"""Checks: what is wrong, how severe it is, and how to fix it.

- `check`: what a check and a finding are, for the three catalogues below.
- `expected_schema`, schema.json: the schema that the migrations make, compared with a database's.
- `health`: the queue's health, as the Overview shows it.
- `job_state`: why a job is in its current state.
- `error_guide`: what each kind of error means and how to resolve it.
- `regression`: whether a model became slower or fails more often.
- `workers_and_cron`, `cron_jobs`: problems with workers and with pg_cron jobs.
- `deployment`, `selftest`, `troubleshooting`: the checks of the pages of the same name.
"""
