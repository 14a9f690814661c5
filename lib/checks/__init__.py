"""What is right or wrong, and what to do about it.

- `health`: the verdict on the Overview.
- `job_state`: why a job is where it is.
- `error_guide`: what errors mean.
- `regression`: whether a model has become slower or fails more.
- `workers_and_cron`, `cron_jobs`: whether anything works on the queue or wakes it.
- `deployment`, `selftest`, `troubleshooting`: the catalogues of the pages of that name.
"""
