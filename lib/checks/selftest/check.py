"""What a check is, and how it ends."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from lib.checks.selftest.context import RunContext

Status = Literal["waiting", "running", "passed", "failed", "skipped"]


class CheckFailed(Exception):
    """Something else came back than was expected.

    `repair` says what to do about it: in words, then after an empty line the SQL, if it is SQL.
    """

    def __init__(self, came_back: str, repair: str) -> None:
        super().__init__(came_back)
        self.came_back = came_back
        self.repair = repair


class CheckSkipped(Exception):
    """The check cannot say anything now; the message says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One step of the self-test.

    `run` returns what came back, in a sentence, or raises CheckFailed or CheckSkipped. `needs`
    are the names of checks without which this one would only fail for the same reason.
    """

    name: str
    area: str
    title: str
    expected: str
    run: Callable[[RunContext], Awaitable[str]]
    needs: tuple[str, ...] = ()
    time_limit: float = 20
    """The time limit."""
    on_timeout: str = (
        "Look at the page Overview for what keeps the database busy, then run the self-test again."
    )
    """What to do when the time limit is reached."""


@dataclass(slots=True)
class Result:
    """How a check stands: for those who watch, it changes while the check runs."""

    check: Check
    status: Status = "waiting"
    came_back: str = ""
    repair: str = ""
    seconds: float | None = None
