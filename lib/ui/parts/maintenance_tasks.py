"""The state of the recurring maintenance tasks."""

from lib.ops.maintenance.tasks import TASKS, TaskState, task_states
from lib.ui.dashboard import read


def current_tasks() -> list[TaskState]:
    """State of every task, overdue tasks first; those that record themselves included."""
    done = {row["task"]: row for row in read("maintenance", "done", tasks=[t.name for t in TASKS])}
    for name, row in {
        "purge": read("maintenance", "purge_done"),
        "self_test": read("self_test", "last_run"),
    }.items():
        if row and (not done[name]["at"] or row["at"] > done[name]["at"]):
            done[name] = {"at": row["at"], "actor": row["actor"]}
    return task_states(done)
