"""The deployment checklist: live checks, each with evidence and a repair.

- `catalogue`: all checks, in order. Each is one entry there, one function and one test.
- `schema`, `functions_and_cron`, `outcomes`: the checks, by subject.
- `facts`: the data sources of the checks.
- `progress`: runs all checks and records since when each one is done.
- `apply_migrations`: previews and applies pending migrations.
- `report`: the checklist as an HTML file.
"""
