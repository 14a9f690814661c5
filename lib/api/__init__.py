"""HTTP: the three functions, their authentication, metrics and health.

- `routes`: start-generation, process-generation, process-jobs.
- `requests`: validated request bodies. `errors`: error responses, including 429 and its headers.
- `auth`, `user_tokens`: identify the caller.
- `metrics`: /metrics and /healthz.
- `loopback`: whether a request comes from this machine, and from which page.
- `body_limit`, `security_headers`: middleware for all responses.
"""
