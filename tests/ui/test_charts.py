"""What charts say in words, and where their lines have their names."""

import pandas as pd

from lib.formats import number
from lib.ui import charts

HOURS = pd.to_datetime(["2026-11-04T09:00Z", "2026-11-04T10:00Z", "2026-11-04T11:00Z"])


def test_lines_say_their_last_and_highest_values():
    figures = pd.DataFrame({"at": HOURS, "p50": [4.0, 80.0, 5.0], "p95": [None] * 3})
    words = charts.describe_lines(figures, ["p50", "p95"], "hour", "seconds")
    assert words == "p50: 5.0 s at last, at most 1 min 20 s (4 Nov 10:00); p95: no value."


def test_bars_say_how_many_of_which_kinds_and_when_the_most():
    at = [HOURS[0], HOURS[1], HOURS[1]]
    figures = pd.DataFrame(
        {"at": at, "status": ["completed", "completed", "failed"], "jobs": [1_000, 2_900, 100]}
    )
    assert charts.describe_bars(figures, "status", "hour", "jobs") == (
        "4,000 jobs in all: 3,900 completed (97.5%), 100 failed (2.5%)."
        " At most 3,000 per hour (4 Nov 10:00)."
    )


def test_names_of_lines_do_not_lie_on_each_other():
    figures = pd.DataFrame({"at": HOURS, "p50": [1, 2, 99], "p95": [1, 2, 100], "p99": [9, 9, 100]})
    chart = charts.lines(figures, charts.PERCENTILES, "hour", "jobs", title="percentile")
    names = chart.datasets["names"].sort_values("place")
    assert list(names["line"]) == ["p50", "p95", "p99"]
    assert names["place"].diff().dropna().min() > 7


def test_large_numbers_keep_their_digits():
    assert [number(12_345.6), number(3), number(4.348)] == ["12,346", "3", "4.35"]
