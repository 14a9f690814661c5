"""Self-test reports: JSON for programs, text for terminals."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypedDict

from lib.checks.selftest.result import Result
from lib.checks.selftest.target import Target

STATUS_LABELS = {
    "waiting": "WAIT",
    "running": "RUN ",
    "passed": "PASS",
    "failed": "FAIL",
    "skipped": "SKIP",
}


class Outcome(TypedDict):
    """One check in a report; `seconds` is null if it did not run."""

    name: str
    area: str
    title: str
    expected: str
    status: str
    came_back: str
    repair: str
    seconds: float | None


class Report(TypedDict):
    """Report of a run. `outcome` is "passed" if no check failed, else "failed"."""

    run: str
    outcome: str
    started_at: str
    seconds: float
    database: str
    functions: str
    provider: str
    checks: list[Outcome]


def outcomes(results: Sequence[Result], target: Target) -> list[Outcome]:
    """Results with secrets redacted."""
    return [
        Outcome(
            name=result.check.name,
            area=result.check.section,
            title=result.check.title,
            expected=result.check.about,
            status=result.status,
            came_back=target.without_secrets(result.finding.evidence if result.finding else ""),
            repair=target.without_secrets(result.finding.todo if result.finding else ""),
            seconds=None if result.seconds is None else round(result.seconds, 3),
        )
        for result in results
    ]


def as_json(report: Report | dict[str, Any]) -> str:
    """The report as JSON."""
    return json.dumps(report, indent=2, ensure_ascii=False)


def as_text(report: Report) -> str:
    """The report for a terminal: a line per check, with details for failed checks."""
    lines = [
        f"Database: {report['database']}; functions: {report['functions']};"
        f" provider: {report['provider']}"
    ]
    for check in report["checks"]:
        took = "" if check["seconds"] is None else f" ({check['seconds']:.1f} s)"
        lines.append(f"{STATUS_LABELS[check['status']]}  {check['name']}: {check['title']}{took}")
        if check["status"] == "skipped":
            lines.append(f"      {check['came_back']}")
        if check["status"] == "failed":
            lines += [
                f"      Expected: {check['expected']}",
                f"      Actual:    {check['came_back']}",
                "      Repair:",
                *(f"        {line}" for line in check["repair"].splitlines()),
            ]
    return "\n".join([*lines, f"{summary(report['checks'])} in {report['seconds']:.1f} s"])


def summary(checks: Sequence[Outcome]) -> str:
    """Counts such as "15 passed, 1 failed, 2 skipped"."""
    counts = Counter(check["status"] for check in checks)
    parts = [f"{counts[status]} {status}" for status in ("passed", "failed", "skipped")]
    return ", ".join(word for word in parts if not word.startswith("0 ")) or "No checks were run"
