"""The rule by which a model counts as worse than before."""

import pytest

from lib.checks.regression import Period, comparison, fails_more, slower


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
    ("now", "before", "words"),
    [
        (Period(100, 0, 2.0), Period(100, 0, 1.0), "slower"),
        (Period(100, 100, 1.0), Period(100, 0, 1.0), "fails more"),
        (Period(100, 100, 2.0), Period(100, 0, 1.0), "slower, fails more"),
        (Period(100, 0, 1.0), Period(100, 0, 1.0), "no worse"),
        (Period(100, 0, 1.0), Period(0, 0, None), "too few jobs to tell"),
        (Period(3, 0, 1.0), Period(100, 0, 1.0), "too few jobs to tell"),
    ],
)
def test_words(now, before, words):
    assert comparison(now, before) == words
