"""HTTP: the three functions, their authentication, and what monitors ask for.

- `routes`: start-generation, process-generation, process-jobs.
- `requests`: validated request bodies. `errors`: every error answer, 429 and its headers too.
- `auth`, `user_tokens`: who calls.
- `metrics`: /metrics and /healthz.
- `loopback`: whether a request comes from this computer.
"""
