"""End-to-end self-test of a deployment; cleans up everything it creates.

- `catalogue`: all checks, in execution order.
- `result`, `context`: how a check ends, and the state that the checks of a run share.
- `runner`: runs the checks and always cleans up afterwards.
- `cleanup`: removes what a run created.
- `report`: results as JSON and as text.
- other modules: the checks, one subject each.

Run it from the shell with `python -m lib.checks.selftest`.
"""
