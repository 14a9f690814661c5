"""The rule by which a model counts as worse than before."""

from datetime import UTC, datetime

import pytest

from lib.checks.regression import (
    Period,
    change,
    comparable,
    fails_more,
    regressions,
    slower,
    slower_since,
    slower_tail,
)


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (1.25, 1.0, True),
        (1.24, 1.0, False),
        (1.0, 1.25, False),
        (1.0, 1.0, False),
        (None, 1.0, False),
        (1.0, None, False),
        (1.0, 0.0, False),
    ],
)
def test_slower(now, before, expected):
    assert slower(Period(50, 0, now), Period(50, 0, before)) is expected


@pytest.mark.parametrize(("now", "before"), [(49, 500), (500, 49)])
def test_few_completed_jobs_are_not_slower(now, before):
    assert not slower(Period(now, 900, 9.0), Period(before, 900, 1.0))


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        # Of 1000 each, 3 % and 6 %: the difference has a deviation of 0.93 %, so 3.2 of them.
        ((940, 60), (970, 30), True),
        ((945, 55), (970, 30), False),  # 2.7 deviations
        ((970, 30), (940, 60), False),
        ((98_300, 1_700), (99_900, 100), False),  # far from chance, but below two points
        ((97_800, 2_200), (99_900, 100), True),
        ((0, 50), (50, 0), True),
        ((0, 49), (500, 0), False),
        ((1, 49), (49, 0), False),
        ((0, 0), (0, 0), False),
        ((100, 0), (100, 0), False),
        ((0, 100), (0, 100), False),
    ],
)
def test_fails_more(now, before, expected):
    assert fails_more(Period(*now, 1.0), Period(*before, 1.0)) is expected


@pytest.mark.parametrize(
    ("jobs", "now", "before", "expected"),
    [
        (200, 1.25, 1.0, True),
        (199, 9.0, 1.0, False),
        (200, 1.24, 1.0, False),
        (200, None, 1.0, False),
    ],
)
def test_slower_tail(jobs, now, before, expected):
    assert slower_tail(Period(jobs, 0, 1.0, now), Period(jobs, 0, 1.0, before)) is expected


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [
        (Period(100, 0, 2.0), Period(100, 0, 1.0), ["p50 run time is up 100% (1.0 s → 2.0 s)"]),
        (
            Period(200, 0, 1.0, 14.0),
            Period(200, 0, 1.0, 10.0),
            ["p95 run time is up 40% (10 s → 14 s)"],
        ),
        (Period(100, 100, 1.0), Period(100, 0, 1.0), ["failure rate is up (0.0% → 50.0%)"]),
        (
            Period(100, 100, 2.0),
            Period(100, 0, 1.0),
            ["p50 run time is up 100% (1.0 s → 2.0 s)", "failure rate is up (0.0% → 50.0%)"],
        ),
        (Period(100, 0, 1.0), Period(100, 0, 1.0), []),
        (Period(3, 0, 9.0), Period(100, 0, 1.0), []),
    ],
)
def test_regressions_in_words(now, before, words):
    assert regressions(now, before) == words


def test_a_comparison_needs_fifty_jobs_in_each_period():
    assert comparable(Period(40, 10, 1.0), Period(50, 0, 1.0))
    assert not comparable(Period(49, 0, 1.0), Period(500, 0, 1.0))


def test_change():
    assert change(1.5, 1.0) == pytest.approx(50)
    assert change(None, 1.0) is change(1.0, None) is change(1.0, 0.0) is None


@pytest.mark.parametrize(
    ("values", "day"),
    [
        ((1.0, 1.0, 1.3, 2.0), 3),
        ((1.0, 1.3, 1.0, 2.0), 4),
        # A day without jobs.
        ((1.0, 1.3, None, 2.0), 2),
        ((1.3, 1.3, 1.3, 2.0), None),
        ((1.0, 2.0, 2.0, 1.0), None),
        ((), None),
    ],
)
def test_slower_since(values, day):
    steps = [(datetime(2026, 3, n, tzinfo=UTC), value) for n, value in enumerate(values, 1)]
    at = slower_since(steps, 1.0)
    assert (at and at.day) == day
    assert slower_since(steps, None) is None
