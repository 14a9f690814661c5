"""The deployment checklist: every point examined live, with its evidence and its repair.

- `catalogue`: all points, in order. One point is one entry there, one function, one test.
- `expected`: what a complete database has and who may do what in it.
- `schema`, `rights`, `functions_and_cron`, `outcomes`: the checks, by subject.
- `progress`: runs all of them, and keeps since when each is done.
- `apply_migrations`: the pending migrations, and applying them.
- `report`: the checklist as a file to keep.
"""
