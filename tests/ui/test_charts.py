"""What charts say in words, and where their lines have their names."""

import pandas as pd

from lib.formats import number
from lib.ui import charts
from lib.ui.flow_chart import describe_flow, flow_chart

HOURS = pd.to_datetime(["2026-11-04T09:00Z", "2026-11-04T10:00Z", "2026-11-04T11:00Z"])


def test_lines_say_their_last_and_highest_values():
    figures = pd.DataFrame({"at": HOURS, "p50": [4.0, 80.0, 5.0], "p95": [None] * 3})
    words = charts.describe_lines(figures, ["p50", "p95"], "hour", "seconds")
    assert words == "p50: latest 5.0 s, highest 1 min 20 s (4 Nov 10:00); p95: no value."


def test_bars_say_how_many_of_which_kinds_and_when_the_most():
    at = [HOURS[0], HOURS[1], HOURS[1]]
    figures = pd.DataFrame(
        {"at": at, "status": ["completed", "completed", "failed"], "jobs": [1_000, 2_900, 100]}
    )
    assert charts.describe_bars(figures, "status", "hour", "jobs") == (
        "4,000 jobs in total: 3,900 completed (97.5%), 100 failed (2.5%)."
        " Peak 3,000 per hour (4 Nov 10:00)."
    )


def test_names_of_lines_do_not_lie_on_each_other():
    figures = pd.DataFrame({"at": HOURS, "p50": [1, 2, 99], "p95": [1, 2, 100], "p99": [9, 9, 100]})
    chart = charts.lines(figures, charts.PERCENTILES, "hour", "jobs", title="percentile")
    names = chart.datasets["names"].sort_values("place")
    assert list(names["line"]) == ["p50", "p95", "p99"]
    assert names["place"].diff().dropna().min() > 7


def test_large_numbers_keep_their_digits():
    assert [number(12_345.6), number(3), number(4.348)] == ["12,346", "3", "4.35"]


def over(hours: int) -> pd.DataFrame:
    at = pd.date_range("2026-11-04T00:00Z", periods=hours, freq="h")
    return pd.DataFrame({"at": at, "wait": [10.0 + n % 3 for n in range(hours)]})


def test_an_outlier_does_not_flatten_a_chart():
    figures = over(24)
    figures.loc[5, "wait"] = 900.0
    chart = charts.lines(figures, {"wait": "blue"}, "hour", "seconds", title="line")
    drawn = chart.datasets["figures"]
    assert drawn["drawn"].max() == 18
    assert drawn["words"][5] == "15 min"
    assert list(chart.datasets["clipped"]["words"]) == ["15 min"]
    assert chart.note == "▲ 1 value above 18 s: up to 15 min (4 Nov 05:00)."


def test_a_peak_is_no_outlier():
    figures = over(24)
    figures.loc[4:9, "wait"] = 900.0
    chart = charts.lines(figures, {"wait": "blue"}, "hour", "seconds", title="line")
    assert (chart.datasets["figures"]["drawn"].max(), chart.note) == (900, "")


def test_a_stack_is_clipped_as_a_whole():
    figures = pd.concat(
        [over(24).assign(status="completed", jobs=30), over(24).assign(status="failed", jobs=10)],
        ignore_index=True,
    )
    figures.loc[figures["at"] == figures["at"][3], "jobs"] *= 100
    chart = charts.bars(figures, "status", "jobs", "hour")
    drawn = chart.datasets["figures"]
    assert list(drawn[drawn["at"] == figures["at"][3]]["drawn"]) == [45, 15]
    assert chart.note.startswith("▲ 1 value above 60: up to 4,000")


def test_all_charts_of_a_page_reach_over_the_same_time():
    window = HOURS[0].to_pydatetime(), HOURS[2].to_pydatetime()
    figures = pd.DataFrame({"at": HOURS[1:2], "status": ["failed"], "jobs": [1], "wait": [1.0]})
    drawn = [
        charts.lines(figures, {"wait": "blue"}, "hour", "jobs", title="line", window=window),
        charts.area(figures, "wait", "hour", "jobs", title="depth", window=window),
        charts.bars(figures, "status", "jobs", "hour", window=window),
    ]
    for chart in drawn:
        assert list(chart.datasets["window"]["at"]) == list(window)
        assert str(chart.spec).count("'name': 'window'") == 1


def test_a_color_means_the_same_on_every_chart():
    figures = over(4).assign(status=["completed", "failed", "refused", "cancelled"], jobs=1)
    bars = charts.bars(figures, "status", "jobs", "hour").spec
    quarters = [
        {"at": at.to_pydatetime(), "arrived": 2, "completed": 1, "failed": 1, "refused": 1,
         "depth": 3}
        for at in HOURS
    ]  # fmt: skip
    flow = flow_chart(quarters, []).spec
    colors = {
        name: found
        for spec in (bars, flow)
        for scale in scales(spec)
        for name, found in zip(scale["domain"], scale["range"], strict=True)
    }
    assert colors == {
        name: charts.colors([charts.COLORS[name]])[0]
        for name in ("arrived", "completed", "failed", "refused", "cancelled")
    }


def scales(spec: dict) -> list[dict]:
    """The color scales of a specification."""
    own = spec.get("encoding", {}).get("color", {}).get("scale")
    return [*([own] if own else []), *(s for part in spec.get("layer", ()) for s in scales(part))]


def test_the_flow_says_what_it_shows():
    quarters = [
        {"at": HOURS[0], "arrived": 2, "completed": 1, "failed": 0, "refused": 0, "depth": None},
        {"at": HOURS[1], "arrived": 3, "completed": 2, "failed": 1, "refused": 0, "depth": 7},
        {"at": HOURS[2], "arrived": 0, "completed": 0, "failed": 0, "refused": 0, "depth": 4},
    ]
    pause = {"kind": "pause", "name": "*", "began_at": HOURS[0], "ended_at": None}
    assert describe_flow(quarters, [pause]) == (
        "5 arrived, 3 completed, 1 failed. Pending + running: 4 now, peak 7. pause: Queue"
        " paused (all jobs)."
    )
    chart = flow_chart(quarters, [pause])
    assert chart.note == "─ pending + running, stuck included  ‖ pause"
    assert max(chart.datasets["depth"]["top"]) > 7
    assert list(chart.datasets["events"]["words"]) == ["Queue paused (all jobs)"]
    assert "refused" not in str(chart.spec)
    quarters[1]["refused"] = 4
    assert describe_flow(quarters, []).startswith("5 arrived, 3 completed, 1 failed, 4 refused.")
    refused = flow_chart(quarters, []).datasets["figures"].query("name == 'refused'")
    assert list(refused["jobs"]) == [4]
