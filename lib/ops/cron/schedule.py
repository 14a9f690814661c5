"""pg_cron schedules: description, next runs, missed runs.

pg_cron reads `minute hour day month weekday` like Debian's cron, and since 1.5 also `30 seconds`.
Given six fields, it silently uses the first five.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cron_descriptor import FormatError, Options, get_description
from cronsim import CronSim, CronSimError

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
EVERY_MINUTE = "* * * * *"
NO_SCHEDULE = "“{}” is not a valid schedule, or it never runs."
LATE_AFTER = timedelta(seconds=90)
"""A run later than this counts as missed."""
MAX_MISSED = 1_000
"""Missed runs in one gap are counted only up to this limit."""


class ScheduleError(ValueError):
    """pg_cron cannot read the schedule or would misread it; the message gives the correct form."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Scheduled times without a run; `until` is None if the gap is still open."""

    after: datetime
    until: datetime | None
    missed: int


def in_words(schedule: str) -> str:
    """Describe a schedule as pg_cron reads it: "Every 5 minutes". Raises ScheduleError."""
    if seconds := _seconds(schedule):
        return "Every second" if seconds == 1 else f"Every {seconds} seconds"
    options = Options()
    options.use_24hour_time_format = True
    options.locale_code = "en_US"
    try:
        CronSim(_effective_fields(schedule), datetime(2000, 1, 1))
        return str(get_description(_effective_fields(schedule), options))
    except (CronSimError, FormatError) as error:
        raise ScheduleError(NO_SCHEDULE.format(schedule)) from error


def next_runs(schedule: str, after: datetime, zone: ZoneInfo, count: int) -> list[datetime]:
    """The next runs, at most `count`, in pg_cron's time zone. Raises ScheduleError.

    Schedules in seconds count from the last run, so `after` should be that.
    """
    return list(islice(_runs(schedule, after.astimezone(zone)), count))


def gaps(schedule: str, starts: Sequence[datetime], now: datetime, zone: ZoneInfo) -> list[Gap]:
    """Gaps after the earliest of `starts` (in any order), newest first.

    Slightly late runs leave no gap; runs delayed by the run before them do. Uses the current
    schedule. Raises ScheduleError.
    """
    found = []
    ordered = sorted(starts)
    for place, before in enumerate(ordered, 1):
        after = ordered[place] if place < len(ordered) else None
        missed = _missed_count(schedule, before.astimezone(zone), after, now)
        if missed > 0:
            found.append(Gap(before, after, missed))
    return found[::-1]


def check(schedule: str, *, supports_seconds: bool) -> None:
    """Validate a schedule. Raises ScheduleError if pg_cron would refuse or misread it."""
    fields = schedule.split()
    if len(fields) > 5:
        correction = corrected(schedule, supports_seconds=supports_seconds)
        raise ScheduleError(f"{explain_misreading(schedule)} Use: {correction}")
    if _seconds(schedule):
        if not supports_seconds:
            raise ScheduleError(
                "This version of pg_cron does not support seconds (1.5 or later does). The"
                f" shortest schedule is: {EVERY_MINUTE}"
            )
    elif len(fields) != 5:
        raise ScheduleError(
            "A schedule has five fields: minute, hour, day of the month, month, weekday."
        )
    in_words(schedule)


def explain_misreading(schedule: str) -> str:
    """Explain how pg_cron misreads a schedule of more than five fields."""
    fields = len(schedule.split())
    return (
        f"pg_cron has no field for seconds and reads only the first five of the {fields} fields."
        f" This job runs: {in_words(schedule).lower()}."
    )


def corrected(schedule: str, *, supports_seconds: bool) -> str:
    """The intended schedule if a seconds field was put in front of the five fields."""
    first, *rest = schedule.split()[:6]
    five_fields = " ".join(rest)
    step = re.fullmatch(r"\*/([1-9]|[1-5]\d)", first)
    if five_fields == EVERY_MINUTE and step and supports_seconds:
        return f"{step[1]} seconds"
    return five_fields


def _effective_fields(schedule: str) -> str:
    """The five fields that pg_cron reads, in cronsim's notation."""
    fields = NICKNAMES.get(schedule.strip(), schedule).split()[:5]
    # Last day of the month, since pg_cron 1.5.
    return " ".join(
        "L" if field == "$" and place == 2 else field for place, field in enumerate(fields)
    )


def _seconds(schedule: str) -> int | None:
    found = re.fullmatch(r"\s*([1-9]|[1-5]\d)\s+seconds?\s*", schedule)
    return int(found[1]) if found else None


def _runs(schedule: str, after: datetime) -> Iterator[datetime]:
    if seconds := _seconds(schedule):
        while True:
            after += timedelta(seconds=seconds)
            yield after
    try:
        yield from CronSim(_effective_fields(schedule), after)
    except CronSimError as error:
        raise ScheduleError(NO_SCHEDULE.format(schedule)) from error


def _missed_count(schedule: str, before: datetime, after: datetime | None, now: datetime) -> int:
    """Scheduled times after a run without one; the next run accounts for the last of them."""
    seconds = _seconds(schedule)
    until = after or now - LATE_AFTER
    if seconds:
        times = int((until - before).total_seconds() / seconds + 0.5)
    else:
        # A run starts a moment after its scheduled time.
        due = _runs(schedule, before.replace(second=0, microsecond=0))
        times = 0
        for at in islice(due, MAX_MISSED + 1):
            if at > until:
                break
            times += 1
    return min(times - (after is not None), MAX_MISSED)
