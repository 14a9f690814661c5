"""How many jobs each view of the job list has, at a bounded cost."""

from dataclasses import dataclass

from lib.queue.job_filters import STATUSES, VIEWS, Filters
from lib.queue.job_list import Fetch

LIMIT = 10_000
"""Highest number that is shown for filtered jobs."""
# Rows that a count reads of each index, about 25 ms; a user's jobs are scattered on disk.
_MOST_SCANNED = 10_000
_MOST_OF_A_USER = 2_000


@dataclass(frozen=True, slots=True)
class Count:
    """A number of jobs; `more` if there are at least as many."""

    number: int
    more: bool = False

    def __str__(self) -> str:
        return f"{self.number:,}{'+' if self.more else ''}"


def counts(fetch: Fetch, filters: Filters) -> dict[str, Count]:
    """The number of jobs in each view, whatever the statuses of the filters, and of stuck jobs.

    Stuck jobs are not among the running ones, but among all.

    Filtered ones are exact up to LIMIT. Without filters they come from the rollup, of which the
    last seconds are missing. For filters that the rollup does not know, the newest jobs are read:
    if that leaves others, a count says so with `more`.
    """
    kind = {"job_type": filters.job_type, "model_id": filters.model_id}
    live = filters.start is None
    known = fetch("counts", live=live, exact=filters.narrowed, **kind, **filters.span)
    found = {row["status"]: Count(row["jobs"]) for row in known}
    stuck = found.pop("stuck")
    if live:
        running = found["processing"].number - stuck.number
        found |= {"processing": Count(max(running, 0)), "stuck": stuck}
    if found["pending"].number > LIMIT:
        found["pending"] = Count(LIMIT, more=True)
    if "user" in filters.walks:
        rows = fetch("user_counts", most=_MOST_OF_A_USER, **filters.parameters)
        more = not all(row["complete"] for row in rows)
        found = dict.fromkeys(STATUSES, Count(0, more))
        found |= {row["status"]: Count(row["jobs"], more) for row in rows if row["jobs"]}
    elif filters.user_id or filters.error or filters.path:
        rows = fetch("scanned_counts", live=live, most=_MOST_SCANNED, **filters.parameters)
        found = {}
        for row in rows:
            number = max(row["jobs"], found.get(row["status"], Count(0)).number)
            found[row["status"]] = Count(number, not row["complete"])
    limit = LIMIT if filters.narrowed else None
    return {"stuck": stuck} | {
        view: _total([found.get(status, Count(0)) for status in statuses or found], limit)
        for view, statuses in VIEWS.items()
    }


def _total(parts: list[Count], limit: int | None) -> Count:
    number = sum(part.number for part in parts)
    if limit is not None and number > limit:
        return Count(limit, more=True)
    return Count(number, any(part.more for part in parts))
