"""Percentiles from histograms, and what errors have in common."""

import math
import random

import pytest
from history import close

ONE = "select histogram_percentile(sum(run_histogram), %s) from job_stats('-infinity', 'infinity')"


@pytest.mark.parametrize("longest", [0.01, 3, 4000, 2_000_000])
def test_percentiles_are_within_ten_percent(history, longest):
    draw = random.Random(longest)
    seconds = [longest * draw.random() ** 3 for _ in range(500)]
    history.db.execute(
        "insert into job_queue (job_type, status, started_at, completed_at)"
        " select 'a', 'completed', %s - run * interval '1 second', %s"
        " from unnest(%s::float8[]) run",
        [history.now, history.now, seconds],
    )
    for fraction in (0.0, 0.01, 0.5, 0.95, 0.99, 1.0):
        truth = history.value(
            "select percentile_disc(%s) within group (order by run) from unnest(%s::float8[]) run",
            fraction,
            seconds,
        )
        close(history.value(ONE, fraction), truth)


def test_percentiles_tell_apart_what_differs_less_than_a_bin_is_wide(history):
    draw = random.Random(1)
    spread = [math.exp(draw.gauss(0, 0.3)) for _ in range(20_000)]
    medians = [2.0, 2.02, 2.04, 2.06, 2.1]
    found = []
    for median in medians:
        histogram = history.value(
            "select sum(histogram_of((run * 1e6)::bigint)) from unnest(%s::float8[]) run",
            [median * factor for factor in spread],
        )
        found.append(float(history.value("select histogram_percentile(%s, 0.5)", histogram)))
    assert found == sorted(set(found))
    assert found == pytest.approx(medians, rel=0.01)


def test_bins_hold_every_job_once(history):
    history.db.execute(
        "insert into job_queue (job_type, status, started_at, completed_at)"
        " select 'a', 'completed', %s - run * interval '1 millisecond', %s"
        " from unnest('{-5, 0, 0.5, 1, 1.05, 1.2, 90000, 1e12}'::float8[]) run",
        [history.now, history.now],
    )
    bins = history.db.execute(
        "select b.* from job_stats('-infinity', 'infinity'), histogram_bins(run_histogram) b"
    ).fetchall()
    assert [row["jobs"] for row in bins] == [3, 2, 1, 1, 1]
    assert (bins[0]["from_seconds"], bins[0]["to_seconds"]) == (0, 0.001)
    assert all(row["from_seconds"] < row["to_seconds"] for row in bins)
    assert bins[3]["from_seconds"] <= 90 < bins[3]["to_seconds"]


@pytest.mark.parametrize("histogram", [None, 0])
def test_an_empty_histogram_has_neither(history, histogram):
    assert history.value("select histogram_percentile(%s, 0.5)", histogram) is None
    assert history.ids("select jobs as id from histogram_bins(%s)", histogram) == []


@pytest.mark.parametrize(
    ("errors", "group"),
    [
        (
            [
                "Replicate failed with 502 on model a/b-1.1: Bad",
                "Replicate failed with 503 on model a/b-1.1: Bad",
            ],
            "Replicate failed with <n> on model <model>: Bad",
        ),
        (
            ["cannot fetch https://x.test/a?b=1, gone", "cannot fetch http://[::1]:9/ gone"],
            "cannot fetch <url> gone",
        ),
        (
            [
                "0b0f6c1e-8a5e-4b7e-9f53-5d2b7d6f0c11, deadbeef1234 of rrr4z55ocneqzikepnug6xezpe",
                "11111111-8A5E-4B7E-9F53-5D2B7D6F0C11, 77ab00ff9912 of abc4z55ocneqzikepnug6xe000",
            ],
            "<id>, <id> of <id>",
        ),
        (["after  1.5 s\n at 12:30:01", "after 300 s at 9:00"], "after <n> s at <n>"),
        (["x" * 5000], "x" * 200),
        (["", "  "], ""),
    ],
)
def test_errors_of_one_kind_have_one_group(history, errors, group):
    found = {history.value("select error_group(%s, 'a/b-1.1')", error) for error in errors}
    assert found == {group}


def test_words_stay(history):
    error = "The image was held back by internationalization accede defaced Berücksichtigung"
    assert history.value("select error_group(%s)", error) == error
