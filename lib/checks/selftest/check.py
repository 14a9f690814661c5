"""Self-test checks and their results."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from lib.checks.selftest.context import RunContext

Status = Literal["waiting", "running", "passed", "failed", "skipped"]


class CheckFailed(Exception):
    """The check failed.

    `came_back` is the actual result. `repair` is the fix in words, followed by a blank line and SQL
    if SQL fixes it.
    """

    def __init__(self, came_back: str, repair: str) -> None:
        super().__init__(came_back)
        self.came_back = came_back
        self.repair = repair


class CheckSkipped(Exception):
    """The check does not apply or cannot run; the message says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One step of the self-test.

    `run` returns the actual result in a sentence, or raises CheckFailed or CheckSkipped. `needs`
    names the checks that must pass first.
    """

    name: str
    area: str
    title: str
    expected: str
    run: Callable[[RunContext], Awaitable[str]]
    needs: tuple[str, ...] = ()
    time_limit: float = 20
    """Seconds."""
    on_timeout: str = (
        "Look at the page Overview for what keeps the database busy, then run the self-test again."
    )
    """What to do if the time limit is exceeded."""


@dataclass(slots=True)
class Result:
    """Result of a check, updated while it runs."""

    check: Check
    status: Status = "waiting"
    came_back: str = ""
    repair: str = ""
    seconds: float | None = None
