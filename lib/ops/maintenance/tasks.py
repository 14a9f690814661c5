"""Recurring maintenance tasks: how often they are due and when each was last done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from lib.database import Pool, load, translated

DAY = timedelta(days=1)
FREQUENCIES = {"Daily": DAY, "Weekly": 7 * DAY, "Monthly": 30 * DAY}


@dataclass(frozen=True, slots=True)
class Task:
    """A recurring task. `page` is the module name of its page, `view` the tab on that page."""

    name: str
    frequency: Literal["Daily", "Weekly", "Monthly"]
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
        "No stuck jobs left. If some come back, check their worker.",
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
class TaskState:
    """When a task was last done, and by whom; None for never."""

    task: Task
    at: datetime | None
    actor: str | None
    note: str | None
    overdue: bool


def task_states(
    done: Mapping[str, Mapping[str, Any]], now: datetime | None = None
) -> list[TaskState]:
    """State of every task, overdue tasks first.

    `done` holds rows of the query `done`, by task. A task is overdue if it was never done, or last
    done longer ago than its frequency allows.
    """
    moment = now or datetime.now(UTC)
    found = []
    for task in TASKS:
        row = done.get(task.name, {})
        at = row.get("at")
        overdue = at is None or moment - at > FREQUENCIES[task.frequency]
        found.append(TaskState(task, at, row.get("actor"), row.get("note"), overdue))
    return sorted(found, key=lambda state: not state.overdue)


def record(pool: Pool, actor: str, task: str, note: str = "") -> None:
    """Record that a task was done now. Raises DatabaseUnavailable."""
    with translated(), pool.connection() as connection:
        load("maintenance").record_maintenance(connection, actor=actor, task=task, note=note)
