"""What has to be done to keep the queue in order, how often, and how it grows."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, linear_regression
from threading import Thread
from typing import Any, Literal

from lib.database import DatabaseError, Pool, connect, load, translated

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
RHYTHMS = {"Daily": DAY, "Weekly": 7 * DAY, "Monthly": 30 * DAY}
BLOATED = 2.0
"""Times what its rows need, from which on an index is worth building anew."""
SMALL_BYTES = 10_000_000
"""Below this bloat costs nothing."""
VACUUM_LATE = 2.0
"""Times the dead rows at which autovacuum should have come."""
FREEZE_LATE = 1.2
FEWEST_DAYS = 7
"""Of history, for a forecast."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do regularly. `page` is the file of the page for it, `view` its part there."""

    name: str
    rhythm: Literal["Daily", "Weekly", "Monthly"]
    title: str
    todo: str
    page: str
    view: str | None = None


TASKS = (
    Task(
        "health", "Daily", "Look at the overview",
        "Nothing to act on, or you know why. Compare pending and failure rate with what is usual.",
        "overview",
    ),
    Task(
        "failures", "Daily", "Go through the failures",
        "For each kind of error do what its advice says, then retry what a retry helps.",
        "failures",
    ),
    Task(
        "stuck", "Daily", "Free stuck jobs",
        "No job without a sign of life is left. Where some come back, look at their worker.",
        "stuck_jobs",
    ),
    Task(
        "self_test", "Weekly", "Run the self-test",
        "All green. A run counts by itself.",
        "self_test",
    ),
    Task(
        "trends", "Weekly", "Compare the models with the week before",
        "No model has become slower or fails more often; else tell the provider or disable it.",
        "models",
    ),
    Task(
        "limits", "Weekly", "Review the rate limits",
        "Who reaches a limit either needs a higher one or is to be asked why.",
        "maintenance", "Limits",
    ),
    Task(
        "space", "Weekly", "Look at table sizes and vacuum",
        "No table waits for vacuum, and the disk lasts beyond the next month.",
        "maintenance", "Space",
    ),
    Task(
        "purge", "Monthly", "Purge finished jobs",
        "Nothing older than you need is kept. A purge that ran to its end counts by itself.",
        "maintenance", "Purge",
    ),
    Task(
        "indexes", "Monthly", "Rebuild bloated indexes",
        "No index takes more than twice the space that it needs. A rebuild counts by itself.",
        "maintenance", "Space",
    ),
    Task(
        "capacity", "Monthly", "Look at growth and capacity",
        "Disk and workers suffice for what is coming.",
        "maintenance", "Growth",
    ),
    Task(
        "models", "Monthly", "Review the models",
        "What Replicate has retired is disabled; defaults and prices are right.",
        "maintenance", "Models",
    ),
    Task(
        "access", "Monthly", "Review who may act",
        "Who has left is removed from the roles; the audit log holds nothing that surprises.",
        "audit",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class State:
    """When a task was last done and by whom; None for never."""

    task: Task
    at: datetime | None
    actor: str | None
    note: str | None
    overdue: bool


def states(done: Mapping[str, Mapping[str, Any]], now: datetime | None = None) -> list[State]:
    """How the tasks stand, those that are overdue first.

    `done` has rows of the query `done` by task. A task is overdue once it was last done longer
    ago than its rhythm, and when it was never done.
    """
    moment = now or datetime.now(UTC)
    found = []
    for task in TASKS:
        row = done.get(task.name, {})
        at = row.get("at")
        overdue = at is None or moment - at > RHYTHMS[task.rhythm]
        found.append(State(task, at, row.get("actor"), row.get("note"), overdue))
    return sorted(found, key=lambda state: not state.overdue)


def record(pool: Pool, actor: str, task: str, note: str = "") -> None:
    """Records that a task was done now. Raises DatabaseUnavailable."""
    with translated(), pool.connection() as connection:
        load("maintenance").record_maintenance(connection, actor=actor, task=task, note=note)


def vacuum_due(table: Mapping[str, Any]) -> bool:
    """Whether autovacuum should have come to a table, or has to freeze it."""
    late = table["dead"] > VACUUM_LATE * table["due_at"]
    return bool(late or table["age"] > FREEZE_LATE * table["freeze_at"])


def bloated(index: Mapping[str, Any]) -> bool:
    """Whether an index takes much more space than its rows need."""
    expected = index["expected_bytes"]
    return bool(expected and index["bytes"] > max(BLOATED * expected, SMALL_BYTES))


def in_background(
    url: str, actor: str, task: str, kind: Literal["vacuum", "reindex"], name: str,
    on_end: Callable[[], object],
) -> Thread:  # fmt: skip
    """Vacuums a table or rebuilds an index, without stopping the queue; may take long.

    What came of it is recorded as the task. Raises LookupError for a name that is none of ours,
    DatabaseUnavailable.
    """
    with translated(), connect(url) as connection:
        statement = getattr(load("maintenance"), f"{kind}_statement")(connection, name=name)
    if statement is None:
        raise LookupError(f"There is no {name} any more.")

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


@dataclass(frozen=True, slots=True)
class Growth:
    """Jobs a day now, and by how many a day that grows, from the days before."""

    jobs_per_day: float
    growth_per_day: float

    def on_day(self, day: int) -> float:
        """Jobs that are expected on a day from now, 1 for tomorrow."""
        return max(self.jobs_per_day + self.growth_per_day * day, 0.0)


def growth(days: Sequence[int]) -> Growth | None:
    """The growth that the jobs of the last full days show; None with fewer than FEWEST_DAYS.

    The straight line with the least squares through the last four weeks: whole weeks, or the
    quiet weekend would look like a decline. With less than two weeks the mean.
    """
    weeks = min(len(days) // 7, 4)
    if len(days) < FEWEST_DAYS:
        return None
    last = days[-7 * weeks :]
    if weeks < 2:
        return Growth(fmean(last), 0.0)
    means = [fmean(last[7 * week : 7 * week + 7]) for week in range(weeks)]
    slope, start = linear_regression([7 * week + 3 for week in range(weeks)], means)
    return Growth(max(start + slope * (7 * weeks - 1), 0.0), slope)


def forecast(
    days: Sequence[int], trend: Growth, kept: int, ahead: int, retention: int | None
) -> list[float]:
    """How many finished jobs are kept at the end of each of the next `ahead` days.

    `kept` are kept now, `days` ended on the last days. With `retention` jobs are purged once they
    are so many days old, beginning tomorrow; None: never.
    """
    coming = [trend.on_day(day) for day in range(1, ahead + 1)]
    if retention is None:
        return [kept + sum(coming[: day + 1]) for day in range(ahead)]
    every = [*map(float, days), *coming]
    # Where the days before are not known all of it is taken for younger than that.
    return [
        min(sum(every[max(end - retention, 0) : end]), kept + sum(coming[: end - len(days)]))
        for end in range(len(days) + 1, len(days) + ahead + 1)
    ]
