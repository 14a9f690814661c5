"""How long a backlog lasts, and how many jobs must run at once to hold the wait.

The queue is taken for an M/M/c queue: jobs arrive at random, run times vary exponentially, and c
jobs run at once, oldest first. With a = arrivals a second x mean run time (the jobs that run at
once on average, Little's law) the share of jobs that wait at all is Erlang's C formula

    B(0) = 1,  B(c) = a B(c - 1) / (c + a B(c - 1)),  C(c) = c B(c) / (c - a (1 - B(c)))

and the share that waits longer than t is C(c) exp(-(c - a) t / mean run time). A. K. Erlang, 1917;
derived in L. Kleinrock, Queueing Systems, volume 1 (1975), section 3.5.
"""

import math
from dataclasses import dataclass
from typing import Literal

KEEPING_UP_SECONDS = 60.0
"""A backlog that the last hour's pace works off within this long is none."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What becomes of a backlog at the present pace."""

    state: Literal["empty", "keeping up", "draining", "growing"]
    seconds: float | None = None
    """Until nothing waits any more, while it is draining."""


def outlook(waiting: int, arrived: int, ended: int, seconds: float = 3600) -> Outlook:
    """The outlook of the waiting jobs when as many arrive and end as did in the last `seconds`."""
    if waiting == 0:
        return Outlook("empty")
    if waiting * seconds < ended * KEEPING_UP_SECONDS:
        return Outlook("keeping up")
    if ended <= arrived:
        return Outlook("growing")
    return Outlook("draining", waiting * seconds / (ended - arrived))


def erlang_c(slots: int, load: float) -> float:
    """The share of jobs that wait when `slots` run at once and `load` do on average.

    1 when the load is not below the slots: then the queue grows without end.
    """
    if load >= slots:
        return 1.0
    return _waiting(slots, load, _blocked(slots, load))


def slots_for(load: float, run_seconds: float, wait_seconds: float, share: float = 0.95) -> int:
    """The fewest jobs to run at once for a share of them to wait no longer than wait_seconds.

    `load` is arrivals a second x run_seconds, the mean run time. Raises ValueError for a negative
    load or wait, a run time that is not positive, or a share not between 0 and 1.
    """
    if load < 0 or wait_seconds < 0 or run_seconds <= 0 or not 0 < share < 1:
        raise ValueError(
            f"load {load}, run time {run_seconds}, wait {wait_seconds}, share {share}: load and"
            " wait must not be negative, the run time positive, the share between 0 and 1."
        )
    slots = math.floor(load) + 1
    blocked = _blocked(slots, load)
    while True:
        longer = math.exp((load - slots) * wait_seconds / run_seconds)
        if _waiting(slots, load, blocked) * longer <= 1 - share:
            return slots
        slots += 1
        blocked = load * blocked / (slots + load * blocked)


def _blocked(slots: int, load: float) -> float:
    """Erlang's B formula, step by step, so that nothing overflows."""
    blocked = 1.0
    for count in range(1, slots + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def _waiting(slots: int, load: float, blocked: float) -> float:
    return slots * blocked / (slots - load * (1 - blocked))
