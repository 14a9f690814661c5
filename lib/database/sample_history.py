"""Thirty days of sample history, so that a new installation has something to show."""

from datetime import datetime

from lib.database import load
from lib.database.pool import Connection


def load_sample_history(connection: Connection, *, until: datetime | None = None) -> int:
    """Fill an empty queue with thirty days of sample history ending at `until` (default: now).

    Returns the number of jobs written: 0 if the queue has any jobs, or if history was loaded
    before, even if its jobs have been deleted since. Safe to call concurrently. Deterministic
    for the same `until`; within the same UTC hour only the end differs. No job is pending, so
    a worker has nothing to run. Needs the right to write `auth.users`.
    """
    sql = load("sample_history")
    with connection.transaction():
        sql.lock(connection)
        if not sql.wanted(connection):
            return 0
        sql.prepare(connection)
        sql.span(connection, until=until)
        sql.draw_requests(connection)
        sql.run_requests(connection)
        sql.forget_future(connection)
        sql.leave_stuck(connection)
        sql.repeat_some(connection)
        sql.write_users(connection)
        sql.write_generations(connection)
        written: int = sql.write_jobs(connection)
        sql.sample_queue(connection)
        sql.fold(connection)
        sql.analyze(connection)
    return written
