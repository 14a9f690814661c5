"""Overdue vacuums and bloated indexes, and the work on both."""

import logging
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any, Literal

from lib.database import DatabaseError, connect, load, translated

logger = logging.getLogger(__name__)

BLOAT_FACTOR = 2.0
"""An index is bloated when it is this many times as large as its rows need."""
MIN_BLOAT_BYTES = 10_000_000
"""Bloat of smaller indexes is negligible."""
VACUUM_LATE_FACTOR = 2.0
"""Vacuum is late at this multiple of autovacuum's threshold of dead rows."""
FREEZE_LATE_FACTOR = 1.2


def vacuum_due(table: Mapping[str, Any]) -> bool:
    """Whether autovacuum is late on a table, by dead rows or by age."""
    late = table["dead"] > VACUUM_LATE_FACTOR * table["due_at"]
    return bool(late or table["age"] > FREEZE_LATE_FACTOR * table["freeze_at"])


def bloated(index: Mapping[str, Any]) -> bool:
    """Whether an index takes much more space than its rows need."""
    expected = index["expected_bytes"]
    return bool(expected and index["bytes"] > max(BLOAT_FACTOR * expected, MIN_BLOAT_BYTES))


def run_in_background(
    url: str, actor: str, task: str, kind: Literal["vacuum", "reindex"], name: str,
    on_end: Callable[[], object],
) -> Thread:  # fmt: skip
    """Vacuum a table or rebuild an index in a thread, without blocking the queue.

    Success is recorded as done for `task`. Raises LookupError if there is no such table or index of
    ours, and DatabaseUnavailable.
    """
    with translated(), connect(url) as connection:
        statement = getattr(load("maintenance"), f"{kind}_statement")(connection, name=name)
    if statement is None:
        raise LookupError(f"{name} no longer exists.")

    def run() -> None:
        try:
            with translated(), connect(url, application_name="darkroom maintenance") as connection:
                connection.execute(statement.encode())
                load("maintenance").record_maintenance(
                    connection, actor=actor, task=task, note=f"{kind} {name}"
                )
        except DatabaseError as error:
            logger.error("%s did not end: %s", statement, error)
        on_end()

    thread = Thread(target=run, name=f"{kind} {name}", daemon=True)
    thread.start()
    return thread
