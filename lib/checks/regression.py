"""Whether a model became clearly slower or fails clearly more often than before."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from lib.formats import duration, share

SLOWDOWN_FACTOR = 1.25
"""Histogram buckets are 10% wide, so p50 moves by three buckets, rarely by chance."""
MIN_FAILURE_RISE = 0.02
"""A smaller rise of the failure rate (two percentage points) is not worth acting on."""
MIN_DEVIATIONS = 3.0
"""The rise must also exceed three standard deviations, or it may be chance."""
MIN_JOBS = 50
"""Jobs needed in each period for a comparison."""
MIN_TAIL_JOBS = 200
"""Jobs needed in each period to compare p95: ten of them are then above it."""


@dataclass(frozen=True, slots=True)
class Period:
    """A model's jobs in one period; `run_p50` and `run_p95` are run times in seconds."""

    completed: int
    failed: int
    run_p50: float | None
    run_p95: float | None = None

    @property
    def ended(self) -> int:
        """Jobs completed or failed."""
        return self.completed + self.failed


def slower(now: Period, before: Period) -> bool:
    """Whether the median run time rose by at least a quarter; False with too few jobs."""
    return _rose(now.run_p50, before.run_p50, _fewest(now, before), MIN_JOBS)


def slower_tail(now: Period, before: Period) -> bool:
    """Whether p95 of the run time rose by at least a quarter; False with too few jobs."""
    return _rose(now.run_p95, before.run_p95, _fewest(now, before), MIN_TAIL_JOBS)


def _fewest(now: Period, before: Period) -> int:
    return min(now.completed, before.completed)


def _rose(now: float | None, before: float | None, jobs: int, needed: int) -> bool:
    if jobs < needed or not now or not before:
        return False
    return now >= SLOWDOWN_FACTOR * before


def fails_more(now: Period, before: Period) -> bool:
    """Whether the failure rate rose significantly; False with too few jobs."""
    if min(now.ended, before.ended) < MIN_JOBS:
        return False
    rise = now.failed / now.ended - before.failed / before.ended
    overall = (now.failed + before.failed) / (now.ended + before.ended)
    deviation = math.sqrt(overall * (1 - overall) * (1 / now.ended + 1 / before.ended))
    return rise >= MIN_FAILURE_RISE and rise >= MIN_DEVIATIONS * deviation


def regressions(
    now: Period, before: Period, since: Callable[[str, float | None], str] = lambda *_: ""
) -> list[str]:
    """What got worse, such as "p95 run time is up 40% (4.2 s → 5.9 s)"; empty without a regression.

    `since` is called with "p50" or "p95" and its previous value, and gives what to append.
    """
    found = []
    if slower(now, before):
        found.append(_rise("p50", now.run_p50, before.run_p50) + since("p50", before.run_p50))
    if slower_tail(now, before):
        found.append(_rise("p95", now.run_p95, before.run_p95) + since("p95", before.run_p95))
    if fails_more(now, before):
        rates = [share(period.failed, period.ended) for period in (before, now)]
        found.append(f"failure rate is up ({' → '.join(rates)})")
    return found


def _rise(name: str, now: float | None, before: float | None) -> str:
    assert now
    assert before
    percent = round(100 * (now / before - 1))
    return f"{name} run time is up {percent}% ({duration(before)} → {duration(now)})"


def slower_since(
    steps: Iterable[tuple[datetime, float | None]], before: float | None
) -> datetime | None:
    """The step from which on all are slower than `before` by a quarter or more.

    None if that holds for all steps or not for the last one. Steps without a value do not count.
    """
    known = [(at, value) for at, value in steps if value is not None]
    rose = None
    for at, value in reversed(known):
        if not before or value < SLOWDOWN_FACTOR * before:
            return rose
        rose = at
    return None


def comparable(now: Period, before: Period) -> bool:
    """Whether both periods have enough jobs for a comparison."""
    return min(now.ended, before.ended) >= MIN_JOBS


def change(now: float | None, before: float | None) -> float | None:
    """Relative change in percent; None if either value is missing or `before` is zero."""
    return 100 * (now / before - 1) if now is not None and before else None
