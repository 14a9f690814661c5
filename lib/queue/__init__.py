"""Typed calls of the queue's SQL functions, and the list of jobs.

- `worker_calls`: what a worker does to jobs that it has claimed.
- `operator_actions`: what an operator does to jobs and to the queue, recorded with who did it.
- `job_list`, `job_filters`: the jobs that a page shows, in keyset pages.
- `following`: a generation's updates over a database connection.
- `upkeep`: how often every worker looks after the queue.
"""
