"""When a model has clearly got worse than it was before: the rule, and its words."""

import math
from dataclasses import dataclass

SLOWDOWN_FACTOR = 1.25
"""Percentiles come in steps of a tenth: p50 has then moved by three, which chance hardly does."""
MIN_FAILURE_RISE = 0.02
"""The failure share must rise by two points, or there is nothing to do about it."""
MIN_DEVIATIONS = 3.0
"""And by three standard deviations of the difference of two shares, or it may be chance."""
MIN_JOBS = 50
"""Fewer jobs, in either time, do not show it."""


@dataclass(frozen=True, slots=True)
class Period:
    """Jobs of a model that completed and failed in a time, and p50 of their run time in seconds."""

    completed: int
    failed: int
    run_p50: float | None

    @property
    def ended(self) -> int:
        """Completed or failed."""
        return self.completed + self.failed


def slower(now: Period, before: Period) -> bool:
    """Whether p50 of the run time is at least a quarter longer, of enough completed jobs."""
    if min(now.completed, before.completed) < MIN_JOBS or not now.run_p50 or not before.run_p50:
        return False
    return now.run_p50 >= SLOWDOWN_FACTOR * before.run_p50


def fails_more(now: Period, before: Period) -> bool:
    """Whether the failure share is higher by two points, and more than chance explains."""
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
