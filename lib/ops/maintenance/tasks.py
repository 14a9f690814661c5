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
        "health", "Daily", "Check the overview",
        "Look for new problems. Compare failure rate, wait and completions with usual values.",
        "overview",
    ),
    Task(
        "failures", "Daily", "Review failures",
        "For each error group, follow the advice, then retry jobs where a retry helps.",
        "failures",
    ),
    Task(
        "stuck", "Daily", "Reset stuck jobs",
        "Check that their workers have stopped, then reset all stuck jobs.",
        "stuck_jobs",
    ),
    Task(
        "self_test", "Weekly", "Run the self-test",
        "Run it and make sure that all checks pass. A run is recorded automatically.",
        "self_test",
    ),
    Task(
        "trends", "Weekly", "Compare models with last week",
        "If a model is slower or fails more often, contact the provider or disable the model.",
        "models",
    ),
    Task(
        "limits", "Weekly", "Review user limits",
        "Raise limits where justified. Find out why the other users reach theirs.",
        "maintenance", "Limits",
    ),
    Task(
        "space", "Weekly", "Check table sizes and vacuum",
        "Vacuum tables that need it, and check on Growth how long the disk will last.",
        "maintenance", "Space",
    ),
    Task(
        "purge", "Monthly", "Purge old jobs",
        "Delete jobs that are no longer needed. A completed purge is recorded automatically.",
        "maintenance", "Purge",
    ),
    Task(
        "indexes", "Monthly", "Rebuild bloated indexes",
        "Rebuild indexes that take more than twice the space they need. A rebuild is recorded"
        " automatically.",
        "maintenance", "Space",
    ),
    Task(
        "capacity", "Monthly", "Check growth and capacity",
        "Check that disk space and workers will cover the forecast.",
        "maintenance", "Growth",
    ),
    Task(
        "models", "Monthly", "Review models",
        "Disable models that Replicate has retired. Check default parameters and prices.",
        "maintenance", "Models",
    ),
    Task(
        "access", "Monthly", "Review access",
        "Remove the roles of people who have left. Look for unexpected entries in the audit log.",
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
