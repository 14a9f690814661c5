"""The pages Maintenance and Troubleshooting read neither jobs nor generations from end to end."""

from datetime import timedelta
from typing import Any

import pytest
from test_job_plans import filled, scans

from lib.checks.troubleshooting.catalogue import SYMPTOMS
from lib.database import load
from lib.database.pool import Connection
from lib.ops.maintenance.tasks import TASKS

__all__ = ["filled"]
UPKEEP: dict[str, dict[str, Any]] = {
    "done": {"tasks": [task.name for task in TASKS]},
    "purge_done": {},
    "purge_now": {},
    "purges": {},
    "purgeable": {"older_than": timedelta(days=9)},
    "tables": {},
    "indexes": {},
    "database_bytes": {},
    "days": {},
    "models": {},
    "model_changes": {},
    "near_limits": {"share": 0.8},
    "asking": {},
}
REPAIRS: dict[str, dict[str, Any]] = {
    "due_of_type": {"job_type": "generate-image"},
    "failed_ids": {"code": "", "model_id": "m1"},
    "long_running": {},
}
CALLS = [
    *[("maintenance", query, parameters) for query, parameters in UPKEEP.items()],
    *[("troubleshooting", query, parameters) for query, parameters in REPAIRS.items()],
    *[(file, query, {}) for one in SYMPTOMS for file, query in one.queries],
]


@pytest.mark.parametrize(("file", "query", "parameters"), CALLS)
def test_no_sequential_scan(
    filled: Connection, file: str, query: str, parameters: dict[str, Any]
) -> None:
    before = scans(filled)
    # More often than the five times after which a plan no longer depends on its parameters.
    for _ in range(7):
        getattr(load(file), query)(filled, **parameters)
    assert scans(filled) == before
