"""The filtered list of all jobs, paginated by keyset without full table scans.

The list is a sequence of walks, each a scan of one index: running, pending, finished jobs. A page
scans a limited number of rows per walk; if these do not fill it, it reports how far it searched
and the next page continues from there.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from lib.queue.job_filters import Filters

Fetch = Callable[..., Any]
"""Runs a named query of queries/jobs.sql with parameters."""

PAGE_ROWS = 50
EXPORT_ROWS = 1_000
MIN_ID_DIGITS = 4
"""Minimum length of an ID prefix to search for."""
MAX_STRETCHES = 400
"""Most queries for the ids of matching jobs: some 10 s."""
# Rows that a page scans per walk: about 25 ms each. Pending jobs are that many of each line; failed
# jobs are scattered on disk, a user's generations and their jobs even more so.
_SCAN_LIMITS = {
    "running": 10_000,
    "pending": 2_000,
    "finished": 10_000,
    "failed": 5_000,
    "undated": 10_000,
    "user": 2_000,
}
_FIRST_ID, _LAST_ID = UUID(int=0), UUID(int=2**128 - 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_FIRST_PRIORITY, _LAST_PRIORITY = -(2**31), 2**31 - 1
_SERIALIZED = re.compile(r"([a-z]{4,8})_(-?\d{1,10})_(-?\d{1,18})_(-?\d{1,18})_([0-9a-f]{32})")


class JobRow(TypedDict):
    """A job in the list of jobs, as the queries `walk` and `by_id` of queries/jobs.sql return it.

    `prompt` and `error_message` are shortened; the lists of pages have no `payload` and no
    `whole_error`.
    """

    id: UUID
    status: str
    job_type: str
    model_id: str | None
    prompt: str | None
    generation_id: UUID | None
    created_by: UUID | None
    priority: int | None
    attempts: int
    max_attempts: int
    created_at: datetime | None
    scheduled_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error_message: str | None
    error_code: str | None
    payload: str | None
    whole_error: str | None


class _WalkRow(JobRow):
    walk: str
    walk_at: datetime
    walk_id: UUID
    fits: bool
    last: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position of a row in the list: its walk and its sort key within that walk."""

    walk: str
    at: datetime
    id: UUID
    priority: int = 0
    created_at: datetime = _EPOCH

    def __str__(self) -> str:
        """Serialize for a URL."""
        times = "_".join(str((at - _EPOCH) // _MICROSECOND) for at in (self.at, self.created_at))
        return f"{self.walk}_{self.priority}_{times}_{self.id.hex}"

    @staticmethod
    def read(text: str | None) -> "Cursor | None":
        """Parse what `str` produced; None for anything else."""
        match = _SERIALIZED.fullmatch(text or "")
        if match is None or match[1] not in _SCAN_LIMITS:
            return None
        priority, at, created_at = (int(match[n]) for n in (2, 3, 4))
        if not _FIRST_PRIORITY <= priority <= _LAST_PRIORITY:
            return None
        try:
            times = [_EPOCH + timedelta(microseconds=micros) for micros in (at, created_at)]
        except OverflowError:
            return None
        if not all(_FIRST <= time <= _LAST for time in times):
            return None
        return Cursor(match[1], times[0], UUID(match[5]), priority, times[1])


_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of jobs in list order, with cursors to its neighbours."""

    rows: Sequence[JobRow]
    before: Cursor | None
    """The previous page ends before it; None on the first page."""
    after: Cursor | None
    """The next page begins after it; None on the last page."""
    searched: Cursor | None
    """Where the scan stopped at its limit; None if it did not."""


def first_page(fetch: Fetch, filters: Filters, rows: int = PAGE_ROWS) -> Page:
    """The first page of the list."""
    return _forward(fetch, filters, None, rows, whole=False)


def page_after(fetch: Fetch, filters: Filters, cursor: Cursor, rows: int = PAGE_ROWS) -> Page:
    """The page after a cursor."""
    return _forward(fetch, filters, cursor, rows, whole=False)


def page_before(fetch: Fetch, filters: Filters, cursor: Cursor, rows: int = PAGE_ROWS) -> Page:
    """The page before a cursor; the first page if too few jobs precede it."""
    if cursor.walk not in filters.walks:
        return first_page(fetch, filters, rows)
    found, stopped = _walk(fetch, filters, cursor, rows, back=True, whole=False)
    shown, more = found[:rows][::-1], len(found) > rows
    if not more and stopped is None:
        return first_page(fetch, filters, rows)
    before = _cursor(shown[0]) if more else stopped
    return Page(shown, before, _cursor(shown[-1]) if shown else stopped, None if more else stopped)


def all_pages(fetch: Fetch, filters: Filters) -> Iterator[Sequence[JobRow]]:
    """The whole list with payloads, in chunks of up to EXPORT_ROWS, read by short queries."""
    cursor: Cursor | None = None
    while True:
        page = _forward(fetch, filters, cursor, EXPORT_ROWS, whole=True)
        yield page.rows
        if page.after is None:
            return
        cursor = page.after


def by_id(fetch: Fetch, prefix: str) -> Sequence[JobRow]:
    """Jobs whose ID, or whose generation's ID, starts with `prefix`: up to 50, newest first.

    Raises ValueError as `id_digits` does.
    """
    digits = id_digits(prefix)
    rows: Sequence[JobRow] = fetch(
        "by_id", low=UUID(digits.ljust(32, "0")), high=UUID(digits.ljust(32, "f"))
    )
    return rows


def id_digits(prefix: str) -> str:
    """The digits of an ID prefix; ValueError with a message for the user if it is none."""
    digits = prefix.replace("-", "").lower()
    if not re.fullmatch("[0-9a-f]{1,32}", digits):
        raise ValueError("An id consists of the digits 0 to 9, the letters a to f, and dashes.")
    if len(digits) < MIN_ID_DIGITS:
        raise ValueError(f"Too short: enter at least {MIN_ID_DIGITS} digits of the id.")
    return digits


def matching(fetch: Fetch, filters: Filters, most: int) -> tuple[list[UUID], bool]:
    """The ids of the first `most` jobs of the list, and whether these are all.

    Stops after MAX_STRETCHES short queries.
    """
    found: list[UUID] = []
    cursor: Cursor | None = None
    for _ in range(MAX_STRETCHES):
        page = _forward(fetch, filters, cursor, EXPORT_ROWS, whole=False)
        found += [row["id"] for row in page.rows]
        if page.after is None or len(found) >= most:
            return found[:most], page.after is None and len(found) <= most
        cursor = page.after
    return found, False


def _forward(
    fetch: Fetch, filters: Filters, cursor: Cursor | None, rows: int, *, whole: bool
) -> Page:
    if cursor is not None and cursor.walk not in filters.walks:
        cursor = None  # From a list with other filters.
    found, stopped = _walk(fetch, filters, cursor, rows, back=False, whole=whole)
    shown, more = found[:rows], len(found) > rows
    before = None
    if cursor is not None:
        # From an empty page, go back over everything that it scanned.
        empty_end = stopped or _walk_boundary(filters.walks[-1], filters, back=True)
        before = _cursor(shown[0]) if shown else empty_end
    return Page(shown, before, _cursor(shown[-1]) if more else stopped, None if more else stopped)


def _walk(
    fetch: Fetch, filters: Filters, cursor: Cursor | None, rows: int, *, back: bool, whole: bool
) -> tuple[list[_WalkRow], Cursor | None]:
    """Up to one row more than requested, and where a walk stopped at its limit, if it did."""
    walks = filters.walks[::-1] if back else filters.walks
    found: list[_WalkRow] = []
    for walk in walks[walks.index(cursor.walk) :] if cursor else walks:
        start = cursor if cursor and cursor.walk == walk else _walk_boundary(walk, filters, back)
        if walk == "finished" and not back and any(filters.kind.values()):
            after_gap = _skip_gap(fetch, filters, start)
            if after_gap is None:
                continue
            start = after_gap
        wanted = rows + 1 - len(found)
        stretch: Sequence[_WalkRow] = fetch(
            "walk",
            walk=walk,
            back=back,
            priority=start.priority,
            at=start.at,
            created_at=start.created_at,
            id=start.id,
            most=_SCAN_LIMITS[walk] if filters.may_exclude(walk) else wanted,
            rows=wanted,
            whole=whole,
            **filters.parameters,
        )
        found += [{**row, "walk": walk} for row in stretch if row["fits"]]
        if len(found) > rows:
            break
        if stretch and stretch[-1]["last"]:
            return found, _cursor({**stretch[-1], "walk": walk})
    return found, None


def _skip_gap(fetch: Fetch, filters: Filters, start: Cursor) -> Cursor | None:
    """Move the start of a walk past hours in which no such job ended; None if none ever did."""
    hour = fetch("newest_hour", at=start.at, **filters.kind)
    if hour is None:
        return None
    end = hour + timedelta(hours=1)
    return start if end > start.at else Cursor(start.walk, end, _FIRST_ID)


def _walk_boundary(walk: str, filters: Filters, back: bool) -> Cursor:
    """The position before the first row of a walk, or after its last when going back."""
    if walk == "pending":
        if back:
            return Cursor(walk, _LAST, _LAST_ID, _FIRST_PRIORITY, _LAST)
        return Cursor(walk, _FIRST, _FIRST_ID, _LAST_PRIORITY, _FIRST)
    if walk == "undated":
        return Cursor(walk, _EPOCH, _LAST_ID if back else _FIRST_ID)
    if back:
        return Cursor(walk, filters.start or _FIRST, _FIRST_ID)
    end = filters.start + filters.length if filters.start and walk != "running" else _LAST
    return Cursor(walk, end, _FIRST_ID)


def _cursor(row: _WalkRow) -> Cursor:
    return Cursor(
        row["walk"],
        row["walk_at"],
        row["walk_id"],
        row["priority"] or 0,
        row["created_at"] or _EPOCH,
    )
