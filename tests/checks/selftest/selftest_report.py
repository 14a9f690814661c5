"""A report of the self-test, as the tests look at it."""

from typing import Any

from lib.checks.selftest.report import Report


def statuses(report: Report) -> dict[str, set[str]]:
    """The names of the checks of a report by how they ended."""
    found: dict[str, set[str]] = {}
    for check in report["checks"]:
        found.setdefault(check["status"], set()).add(check["name"])
    return found


def check(report: Report, name: str) -> Any:
    """One check of a report."""
    return next(found for found in report["checks"] if found["name"] == name)
