"""Estimates how long a backlog lasts and how much concurrency a wait target needs.

The model is an M/M/c queue: Poisson arrivals, exponential run times, c jobs running concurrently,
first in, first out. With a = arrivals per second x mean run time (the offered load: by Little's law
the average number of running jobs), Erlang's C formula gives the share of jobs that wait at all:

    B(0) = 1,  B(c) = a B(c - 1) / (c + a B(c - 1)),  C(c) = c B(c) / (c - a (1 - B(c)))

The share that waits longer than t is C(c) exp(-(c - a) t / mean run time). A. K. Erlang, 1917;
derived in L. Kleinrock, Queueing Systems, volume 1 (1975), section 3.5.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lib.formats import duration, plural

LARGEST_LOAD = 100_000.0
"""Offered load above which the slots are not searched for: their number is the load, within 1%."""
KEEPING_UP_SECONDS = 60.0
"""A backlog that clears within this time at the current pace does not count as one."""

TARGET_WAIT_SECONDS = 10
"""The p95 wait that `summary` aims at."""
MIN_JOBS = 20
"""Fewer jobs in the last hour say nothing about its rate or run time."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a backlog develops at the current pace."""

    state: Literal["empty", "keeping up", "draining", "growing"]
    seconds: float | None = None
    """Time until the backlog is cleared; only while draining."""


def outlook(waiting: int, arrived: int, ended: int, seconds: float = 3600) -> Outlook:
    """Outlook for a backlog if jobs keep arriving and ending as in the last `seconds`."""
    if waiting == 0:
        return Outlook("empty")
    if waiting * seconds < ended * KEEPING_UP_SECONDS:
        return Outlook("keeping up")
    if ended <= arrived:
        return Outlook("growing")
    return Outlook("draining", waiting * seconds / (ended - arrived))


def erlang_c(slots: int, load: float) -> float:
    """Share of jobs that wait, given concurrent `slots` and the offered `load`.

    1 if the load reaches or exceeds the slots, since the queue then grows without bound.
    """
    if load >= slots:
        return 1.0
    return _waiting(slots, load, _blocked(slots, load))


def slots_for(load: float, run_seconds: float, wait_seconds: float, share: float = 0.95) -> int:
    """Minimum concurrency at which `share` of the jobs wait at most `wait_seconds`.

    `load` is arrivals per second x `run_seconds`, the mean run time. Raises ValueError for a
    negative load or wait, a run time that is not positive, or a share not between 0 and 1.
    """
    if load < 0 or wait_seconds < 0 or run_seconds <= 0 or not 0 < share < 1:
        raise ValueError(
            f"load {load}, run time {run_seconds}, wait {wait_seconds}, share {share}: load and"
            " wait must not be negative, the run time must be positive, and the share between 0"
            " and 1."
        )
    slots = math.floor(load) + 1
    if load > LARGEST_LOAD:
        return slots
    blocked = _blocked(slots, load)
    while True:
        longer = math.exp((load - slots) * wait_seconds / run_seconds)
        if _waiting(slots, load, blocked) * longer <= 1 - share:
            return slots
        slots += 1
        blocked = load * blocked / (slots + load * blocked)


def summary(pace: Mapping[str, Any]) -> str:
    """One sentence on the slots that the last hour's rate needs, from a row of queue_pace."""
    if min(pace["arrived"], pace["ended"]) < MIN_JOBS or not pace["run_seconds"]:
        return "Too few jobs in the last hour to estimate the capacity needed."
    load = pace["arrived"] / 3600 * pace["attempts"] * pace["run_seconds"]
    needed, slots = slots_for(load, pace["run_seconds"], TARGET_WAIT_SECONDS), pace["slots"]
    target = (
        f"p95 wait under {duration(TARGET_WAIT_SECONDS)} at the last hour's rate"
        f" ({plural(pace['arrived'])}, {duration(pace['run_seconds'])} each)"
    )
    if needed > slots:
        more = plural(needed - slots, "more slot")
        return f"{more} would keep the {target}: {needed:,} needed, {slots:,} available."
    return f"Needed for a {target}: {needed:,} of {plural(slots, 'slot')}."


def _blocked(slots: int, load: float) -> float:
    """Erlang's B formula, computed iteratively to avoid overflow."""
    blocked = 1.0
    for count in range(1, slots + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def _waiting(slots: int, load: float, blocked: float) -> float:
    return slots * blocked / (slots - load * (1 - blocked))
