"""The deployment checklist: every point looked at live, with its evidence and its repair.

- `catalogue`: all points, in order. One point is one entry there, one function, one test.
- `expected`: what a complete database has and who may do what in it.
- `schema`, `rights`, `surroundings`, `running`: the functions that look, by subject.
- `progress`: looks at all of them, and keeps since when each is done.
- `updating`: the migrations that are not applied yet, and applying them.
- `report`: the checklist as a file to keep.
"""
