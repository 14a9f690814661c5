"""Typed calls of the queue's SQL functions, and the list of jobs.

- `worker_calls`: what workers and the HTTP functions do: start, claim, complete and fail jobs.
- `operator_actions`: what operators do to jobs and the queue, audited.
- `job_list`, `job_filters`: the filtered job list, with keyset pagination.
- `following`: follow a generation over a database connection.
- `upkeep`: how often workers do housekeeping.
"""
