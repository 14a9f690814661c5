"""Results of the self-test's checks."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal

from lib.checks.check import Check, Finding
from lib.checks.selftest.context import RunContext

SelfTestCheck = Check[RunContext, Awaitable[Finding]]
"""One step of the self-test; `run` may raise CheckEnded, which ends it with that finding."""
Stage = Literal["waiting", "running", "passed", "failed", "skipped"]
STAGES: dict[str, Stage] = {"ok": "passed", "critical": "failed", "not_applicable": "skipped"}


class CheckEnded(Exception):
    """Ends a check with a finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.evidence)
        self.finding = finding


class CheckFailed(CheckEnded):
    """The check failed.

    `came_back` is the actual result, `todo` the fix in words, followed by a blank line and SQL if
    SQL fixes it.
    """

    def __init__(self, came_back: str, todo: str) -> None:
        super().__init__(Finding("critical", came_back, todo))


class CheckSkipped(CheckEnded):
    """The check does not apply or cannot run; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(Finding("not_applicable", reason))


@dataclass(slots=True)
class Result:
    """Result of a check, updated while it runs; without a finding it has not ended."""

    check: SelfTestCheck
    running: bool = False
    finding: Finding | None = None
    seconds: float | None = None

    @property
    def status(self) -> Stage:
        """Where the check stands."""
        if self.finding:
            return STAGES[self.finding.status]
        return "running" if self.running else "waiting"
