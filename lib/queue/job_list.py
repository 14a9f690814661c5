"""The list of all jobs: filtered, page by page, and never read from end to end.

The list is made of walks, each along an index of its own: what runs, what waits, what has ended.
A page looks at so many rows of a walk at most; where that is not enough to fill it, it says how far
it came and the next page goes on from there.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from lib.queue.job_filters import Filters

Row = Mapping[str, Any]
Fetch = Callable[..., Any]
"""Runs a named query of queries/jobs.sql with parameters."""

PAGE_ROWS = 50
EXPORT_ROWS = 1_000
FEWEST_DIGITS = 4
"""Of an id, to look for it by its beginning."""
COUNTED_AT_MOST = 10_000
# Rows that a page looks at: some 25 ms each. Failed jobs lie far apart, generations and their jobs
# farther.
_MOST = {
    "running": 10_000,
    "pending": 10_000,
    "finished": 10_000,
    "failed": 5_000,
    "undated": 10_000,
    "user": 2_000,
}
_FIRST_ID, _LAST_ID = UUID(int=0), UUID(int=2**128 - 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_FIRST_PRIORITY, _LAST_PRIORITY = -(2**31), 2**31 - 1
_WRITTEN = re.compile(r"([a-z]{4,8})_(-?\d{1,10})_(-?\d{1,18})_(-?\d{1,18})_([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is in the list: its walk, and its place in the order of that walk."""

    walk: str
    at: datetime
    id: UUID
    priority: int = 0
    created_at: datetime = _EPOCH

    def __str__(self) -> str:
        """As it stands in a URL."""
        times = "_".join(str((at - _EPOCH) // _MICROSECOND) for at in (self.at, self.created_at))
        return f"{self.walk}_{self.priority}_{times}_{self.id.hex}"

    @staticmethod
    def read(text: str | None) -> "Place | None":
        """What `str` wrote; None for anything else."""
        written = _WRITTEN.fullmatch(text or "")
        if written is None or written[1] not in _MOST:
            return None
        priority, at, created_at = (int(written[n]) for n in (2, 3, 4))
        if not _FIRST_PRIORITY <= priority <= _LAST_PRIORITY:
            return None
        try:
            times = [_EPOCH + timedelta(microseconds=micros) for micros in (at, created_at)]
        except OverflowError:
            return None
        if not all(_FIRST <= time <= _LAST for time in times):
            return None
        return Place(written[1], times[0], UUID(written[5]), priority, times[1])


_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs in the list's order, and where it goes on."""

    rows: Sequence[Row]
    before: Place | None
    """The page before this one ends before it; None on the first page."""
    after: Place | None
    """The next page begins after it; None on the last page."""
    searched: Place | None
    """Where the search stopped because it had looked at enough; None when it had not to."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many jobs; `kind` says what the number is worth."""

    number: int
    kind: Literal["exactly", "about", "more than"]


def first_page(fetch: Fetch, filters: Filters, rows: int = PAGE_ROWS) -> Page:
    """The beginning of the list."""
    return _forward(fetch, filters, None, rows, whole=False)


def page_after(fetch: Fetch, filters: Filters, place: Place, rows: int = PAGE_ROWS) -> Page:
    """The page that begins after a place."""
    return _forward(fetch, filters, place, rows, whole=False)


def page_before(fetch: Fetch, filters: Filters, place: Place, rows: int = PAGE_ROWS) -> Page:
    """The page that ends before a place; where too few come before it, the first page."""
    if place.walk not in filters.walks:
        return first_page(fetch, filters, rows)
    found, stopped = _walk(fetch, filters, place, rows, back=True, whole=False)
    shown, more = found[:rows][::-1], len(found) > rows
    if not more and stopped is None:
        return first_page(fetch, filters, rows)
    before = _place(shown[0]) if more else stopped
    return Page(shown, before, _place(shown[-1]) if shown else stopped, None if more else stopped)


def all_pages(fetch: Fetch, filters: Filters) -> Iterator[Sequence[Row]]:
    """The whole list with payloads, in pieces of up to EXPORT_ROWS, each by short queries."""
    place: Place | None = None
    while True:
        page = _forward(fetch, filters, place, EXPORT_ROWS, whole=True)
        yield page.rows
        if page.after is None:
            return
        place = page.after


def by_id(fetch: Fetch, digits: str) -> Sequence[Row]:
    """Jobs whose id, or whose generation's, begins so: up to 50, newest first.

    Raises ValueError with a sentence for the reader when `digits` is no beginning of an id.
    """
    plain = digits.replace("-", "").lower()
    if not re.fullmatch("[0-9a-f]{1,32}", plain):
        raise ValueError("An id has only the digits 0 to 9, the letters a to f, and dashes.")
    if len(plain) < FEWEST_DIGITS:
        raise ValueError(f"Too short: give at least {FEWEST_DIGITS} digits of the id.")
    rows: Sequence[Row] = fetch(
        "by_id", low=UUID(plain.ljust(32, "0")), high=UUID(plain.ljust(32, "f"))
    )
    return rows


def count(fetch: Fetch, filters: Filters, page: Page) -> Count | None:
    """How many jobs the list has that a page is of, where that is known without reading them."""
    if page.before is None and page.after is None:
        return Count(len(page.rows), "exactly")
    if filters.error or filters.path:
        return None
    if filters.user_id:
        if "user" not in filters.walks or filters.statuses or filters.model_id:
            return None
        number = fetch("count_of_user", user_id=filters.user_id, **filters.span)
        return Count(number, "more than" if number >= COUNTED_AT_MOST else "about")
    found = fetch("count", live=filters.start is None, **filters.kind, **filters.span)
    return Count(found["live"] + found["ended"], "about")


def _forward(
    fetch: Fetch, filters: Filters, place: Place | None, rows: int, *, whole: bool
) -> Page:
    if place is not None and place.walk not in filters.walks:
        place = None  # Of a list with other filters.
    found, stopped = _walk(fetch, filters, place, rows, back=False, whole=whole)
    shown, more = found[:rows], len(found) > rows
    before = None
    if place is not None:
        # After a page without rows, back over all that it looked at.
        empty_end = stopped or _end_of(filters.walks[-1], filters, back=True)
        before = _place(shown[0]) if shown else empty_end
    return Page(shown, before, _place(shown[-1]) if more else stopped, None if more else stopped)


def _walk(
    fetch: Fetch, filters: Filters, place: Place | None, rows: int, *, back: bool, whole: bool
) -> tuple[list[Row], Place | None]:
    """Up to one row more than asked for, and the place where a walk was broken off, if one was."""
    walks = filters.walks[::-1] if back else filters.walks
    found: list[Row] = []
    for walk in walks[walks.index(place.walk) :] if place else walks:
        start = place if place and place.walk == walk else _end_of(walk, filters, back)
        if walk == "finished" and not back and any(filters.kind.values()):
            after_gap = _past_gap(fetch, filters, start)
            if after_gap is None:
                continue
            start = after_gap
        wanted = rows + 1 - len(found)
        stretch = fetch(
            "walk",
            walk=walk,
            back=back,
            priority=start.priority,
            at=start.at,
            created_at=start.created_at,
            id=start.id,
            most=_MOST[walk] if filters.refuse_some(walk) else wanted,
            rows=wanted,
            whole=whole,
            **filters.parameters,
        )
        found += [{**row, "walk": walk} for row in stretch if row["fits"]]
        if len(found) > rows:
            break
        if stretch and stretch[-1]["last"]:
            return found, _place({**stretch[-1], "walk": walk})
    return found, None


def _past_gap(fetch: Fetch, filters: Filters, start: Place) -> Place | None:
    """From where on to walk, past the hours in which no such job ended; None when none did."""
    hour = fetch("newest_hour", at=start.at, **filters.kind)
    if hour is None:
        return None
    end = hour + timedelta(hours=1)
    return start if end > start.at else Place(start.walk, end, _FIRST_ID)


def _end_of(walk: str, filters: Filters, back: bool) -> Place:
    """The place before the first row of a walk, or when going back after its last."""
    if walk == "pending":
        if back:
            return Place(walk, _LAST, _LAST_ID, _FIRST_PRIORITY, _LAST)
        return Place(walk, _FIRST, _FIRST_ID, _LAST_PRIORITY, _FIRST)
    if walk == "undated":
        return Place(walk, _EPOCH, _LAST_ID if back else _FIRST_ID)
    if back:
        return Place(walk, filters.start or _FIRST, _FIRST_ID)
    end = filters.start + filters.length if filters.start and walk != "running" else _LAST
    return Place(walk, end, _FIRST_ID)


def _place(row: Row) -> Place:
    return Place(
        row["walk"],
        row["walk_at"],
        row["walk_id"],
        row["priority"] or 0,
        row["created_at"] or _EPOCH,
    )
