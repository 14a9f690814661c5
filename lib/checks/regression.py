"""Whether a model became clearly slower or fails clearly more often than before."""

import math
from dataclasses import dataclass

SLOWDOWN_FACTOR = 1.25
"""Histogram buckets are 10% wide, so p50 moves by three buckets, rarely by chance."""
MIN_FAILURE_RISE = 0.02
"""A smaller rise of the failure rate (two percentage points) is not worth acting on."""
MIN_DEVIATIONS = 3.0
"""The rise must also exceed three standard deviations, or it may be chance."""
MIN_JOBS = 50
"""Jobs needed in each period for a comparison."""


@dataclass(frozen=True, slots=True)
class Period:
    """A model's jobs in one period; `run_p50` is the median run time in seconds."""

    completed: int
    failed: int
    run_p50: float | None

    @property
    def ended(self) -> int:
        """Jobs completed or failed."""
        return self.completed + self.failed


def slower(now: Period, before: Period) -> bool:
    """Whether the median run time rose by at least a quarter; False with too few jobs."""
    if min(now.completed, before.completed) < MIN_JOBS or not now.run_p50 or not before.run_p50:
        return False
    return now.run_p50 >= SLOWDOWN_FACTOR * before.run_p50


def fails_more(now: Period, before: Period) -> bool:
    """Whether the failure rate rose significantly; False with too few jobs."""
    if min(now.ended, before.ended) < MIN_JOBS:
        return False
    rise = now.failed / now.ended - before.failed / before.ended
    overall = (now.failed + before.failed) / (now.ended + before.ended)
    deviation = math.sqrt(overall * (1 - overall) * (1 / now.ended + 1 / before.ended))
    return rise >= MIN_FAILURE_RISE and rise >= MIN_DEVIATIONS * deviation


def comparison(now: Period, before: Period) -> str:
    """The comparison in words: slower, fails more, both, no worse, or too few jobs to tell."""
    found = [
        word
        for word, worse in (
            ("slower", slower(now, before)),
            ("fails more", fails_more(now, before)),
        )
        if worse
    ]
    if found:
        return ", ".join(found)
    return "no worse" if min(now.ended, before.ended) >= MIN_JOBS else "too few jobs to tell"
