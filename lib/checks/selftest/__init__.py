"""The self-test of a deployment: every step that must work, tried for real and taken back.

- `catalogue`: the checks in the order in which they run.
- `check`, `context`: what a check is, and what it works with.
- `runner`: runs the checks of one run and cleans up after them, come what may.
- `cleanup`: takes out again what a run made.
- `report`: a run's results as JSON and as text.
- the others: one subject each.

`python -m lib.checks.selftest` runs it from the shell.
"""
