"""A schedule in words, its next runs, those that are missing, and the form that is right."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from lib.ops.cron.schedule import (
    MAX_MISSED,
    Gap,
    ScheduleError,
    check,
    corrected,
    gaps,
    in_words,
    next_runs,
)

GMT = ZoneInfo("GMT")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        (" 0  3 * * * ", "At 03:00"),
        ("0 3 * * 1-5", "At 03:00, Monday through Friday"),
        ("0 3 1 * mon", "At 03:00, on day 1 of the month, or on Monday"),
        ("0 0 $ * *", "At 00:00, on the last day of the month"),
        ("@hourly", "Every hour"),
        ("30 seconds", "Every 30 seconds"),
        ("1 seconds", "Every second"),
        ("*/30 * * * * *", "Every 30 minutes"),
        ("30 * * * * *", "At 30 minutes past the hour"),
    ],
)
def test_words_say_what_pg_cron_does(schedule, words):
    assert in_words(schedule) == words


@pytest.mark.parametrize("schedule", ["", "@reboot", "61 * * * *", "a b c d e", "* * *", "@@ <b>"])
def test_what_cannot_be_read_is_an_error(schedule):
    for asked in (in_words, lambda text: next_runs(text, NOON, GMT, 1)):
        with pytest.raises(ScheduleError, match="not a valid schedule"):
            asked(schedule)


def times(schedule, count=3, zone=GMT):
    return [f"{at:%d %H:%M:%S}" for at in next_runs(schedule, NOON, zone, count)]


def test_next_runs_are_those_of_pg_cron():
    assert times("*/20 * * * *") == ["01 12:20:00", "01 12:40:00", "01 13:00:00"]
    # Of six fields it reads five.
    assert times("*/30 * * * * *", 2) == ["01 12:30:00", "01 13:00:00"]
    # Day and weekday both given: either will do (1 March 2026 is a Sunday).
    assert times("0 0 3 * 1", 2) == ["02 00:00:00", "03 00:00:00"]
    assert times("30 seconds", 2) == ["01 12:00:30", "01 12:01:00"]
    assert times("0 13 * * *", 1, ZoneInfo("Europe/Berlin")) == ["02 13:00:00"]


def started(*minutes):
    """Starts so many minutes after noon, each a moment late as pg_cron's are."""
    return [NOON + timedelta(minutes=minute, milliseconds=30) for minute in minutes]


def found(schedule, starts, now):
    return gaps(schedule, starts, NOON + timedelta(minutes=now), GMT)


def test_runs_that_came_are_no_gap():
    assert found("* * * * *", started(0, 1, 2, 3), 3.2) == []
    assert found("*/5 * * * *", started(0, 5, 10), 14.9) == []
    assert found("* * * * *", [], 10) == []


def test_missing_runs_are_counted_between_their_neighbours_newest_first():
    first, second, third, fourth = runs = started(0, 1, 4, 7)
    assert found("* * * * *", runs[::-1], 7) == [Gap(third, fourth, 2), Gap(second, third, 2)]
    assert found("*/5 * * * *", started(0, 15), 15) == [Gap(first, *started(15), 2)]


def test_a_run_that_waited_for_the_one_before_it_skipped_times():
    late = NOON + timedelta(minutes=2, seconds=30)
    [first] = started(0)
    assert found("* * * * *", [first, late], 2.6) == [Gap(first, late, 1)]


def test_a_last_run_that_nothing_followed_is_an_open_gap_once_that_is_late():
    [last] = started(0)
    assert found("* * * * *", [last], 2.4) == []
    assert found("* * * * *", [last], 2.6) == [Gap(last, None, 1)]
    assert found("* * * * *", [last], 60) == [Gap(last, None, 58)]
    assert found("* * * * *", [last], 100_000) == [Gap(last, None, MAX_MISSED)]
    assert found("0 3 * * *", [last], 600) == []


def test_gaps_of_a_schedule_in_seconds():
    starts = [NOON + timedelta(seconds=s) for s in (0, 30, 60.4, 150)]
    assert found("30 seconds", starts, 2.6) == [Gap(starts[2], starts[3], 2)]
    assert found("30 seconds", starts, 5) == [Gap(starts[3], None, 2), Gap(starts[2], starts[3], 2)]


@pytest.mark.parametrize(
    ("schedule", "knows_seconds", "right"),
    [
        ("*/30 * * * * *", True, "30 seconds"),
        ("*/30 * * * * *", False, "* * * * *"),
        ("30 * * * * *", True, "* * * * *"),
        ("0 */5 * * * *", True, "*/5 * * * *"),
        ("*/10 0 3 * * *", True, "0 3 * * *"),
        ("0 0 3 * * * 2026", True, "0 3 * * *"),
    ],
)
def test_the_right_form_is_what_was_meant(schedule, knows_seconds, right):
    assert corrected(schedule, supports_seconds=knows_seconds) == right
    with pytest.raises(ScheduleError) as refused:
        check(schedule, supports_seconds=knows_seconds)
    assert f"Use: {right}" in str(refused.value)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("30 seconds", "does not support seconds"),
        ("* * * *", "five fields"),
        ("", "five fields"),
        ("60 seconds", "five fields"),
        ("61 * * * *", "not a valid schedule"),
        ("0 0 30 2 *", "it never runs"),
    ],
)
def test_what_would_be_refused_is_said_before(schedule, reason):
    with pytest.raises(ScheduleError, match=reason):
        check(schedule, supports_seconds=False)


def test_what_is_right_passes():
    check("*/5 * * * *", supports_seconds=False)
    check("30 seconds", supports_seconds=True)
