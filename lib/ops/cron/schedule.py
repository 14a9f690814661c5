"""When a job of pg_cron runs: in words, the next times, and the times when it did not.

pg_cron reads `minute hour day month weekday` as Debian's cron does, and from 1.5 on also
`30 seconds`. Of six fields it takes the first five for these and says nothing.
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
NO_SCHEDULE = "“{}” is not a schedule, or no time ever fits it."
LATE_AFTER = timedelta(seconds=90)
"""How late a run may be before it counts as missed."""
MAX_MISSED = 1_000
"""Of more missed times in one gap it is said only that they are more."""


class ScheduleError(ValueError):
    """pg_cron cannot read this, or not as it was meant; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Times between two runs at which no run began; `until` is None when it goes on."""

    after: datetime
    until: datetime | None
    missed: int


def in_words(schedule: str) -> str:
    """What pg_cron makes of a schedule, such as "Every 5 minutes". Raises ScheduleError."""
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
    """The next times, at most `count`, in pg_cron's time zone. Raises ScheduleError.

    Of a schedule in seconds the runs count from the last one, so `after` should be that.
    """
    return list(islice(_runs(schedule, after.astimezone(zone)), count))


def gaps(schedule: str, starts: Sequence[datetime], now: datetime, zone: ZoneInfo) -> list[Gap]:
    """Between which runs times were missed, newest first; `starts` in any order, from its first on.

    A run that is a little late is none, one that had to wait for the run before it is. Judged by
    the schedule as it is now. Raises ScheduleError.
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
    """Raises ScheduleError, with the right form, for what pg_cron refuses or would misread."""
    fields = schedule.split()
    if len(fields) > 5:
        correction = corrected(schedule, supports_seconds=supports_seconds)
        raise ScheduleError(f"{explain_misreading(schedule)} Right is: {correction}")
    if _seconds(schedule):
        if not supports_seconds:
            raise ScheduleError(
                f"This pg_cron knows no seconds (1.5 does). The shortest is: {EVERY_MINUTE}"
            )
    elif len(fields) != 5:
        raise ScheduleError(
            "A schedule has five fields: minute, hour, day of the month, month, weekday."
        )
    in_words(schedule)


def explain_misreading(schedule: str) -> str:
    """What pg_cron makes of a schedule of more than five fields, in a sentence."""
    fields = len(schedule.split())
    return (
        f"pg_cron has no field for seconds. Of the {fields} fields it reads the first five, so this"
        f" job runs: {in_words(schedule).lower()}."
    )


def corrected(schedule: str, *, supports_seconds: bool) -> str:
    """What somebody meant who wrote a field of seconds in front of the five."""
    first, *rest = schedule.split()[:6]
    five_fields = " ".join(rest)
    step = re.fullmatch(r"\*/([1-9]|[1-5]\d)", first)
    if five_fields == EVERY_MINUTE and step and supports_seconds:
        return f"{step[1]} seconds"
    return five_fields


def _effective_fields(schedule: str) -> str:
    """The five fields that pg_cron reads, as cronsim writes them."""
    fields = NICKNAMES.get(schedule.strip(), schedule).split()[:5]
    # The last day of the month, from 1.5 on.
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
    """Times after one run at which none began; the next run stands for the last of them."""
    seconds = _seconds(schedule)
    until = after or now - LATE_AFTER
    if seconds:
        times = int((until - before).total_seconds() / seconds + 0.5)
    else:
        # A run begins some moments after its time.
        due = _runs(schedule, before.replace(second=0, microsecond=0))
        times = 0
        for at in islice(due, MAX_MISSED + 1):
            if at > until:
                break
            times += 1
    return min(times - (after is not None), MAX_MISSED)
