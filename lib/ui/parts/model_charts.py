"""Charts of one model: run and wait times, their distribution, and failures."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from lib.checks.regression import slower_since
from lib.formats import duration, plural
from lib.ui import charts
from lib.ui.columns import count_column, percent_column, seconds_column
from lib.ui.dashboard import read, time_zone
from lib.ui.time_range import Step, TimeRange

TREND_COLUMNS = [
    "at", "jobs", "failed", "run_p50", "run_p95", "run_p99", "wait_p50", "wait_p95", "wait_p99",
]  # fmt: skip
BIN_COLUMNS = ["what", "period", "from_seconds", "to_seconds", "jobs", "share"]


def show_charts(model_id: str, span: TimeRange, step: Step, times: Mapping[str, Any]) -> None:
    """Draw the charts that the viewer chooses; `times` are the parameters of the queries."""
    shown = st.segmented_control(
        "Charts",
        ["Times", "Distribution", "Failures"],
        default="Times",
        required=True,
        key="shown",
        bind="query-params",
        label_visibility="collapsed",
    )
    if shown == "Distribution":
        bins = pd.DataFrame(
            read("models", "distribution", model=model_id, **times), columns=BIN_COLUMNS
        )
        left, right = st.columns(2)
        with left:
            _distribution(bins[bins["what"] == "run"], "run", "Run time distribution", span)
        with right:
            _distribution(bins[bins["what"] == "wait"], "wait", "Wait time distribution", span)
        return
    trend = pd.DataFrame(
        read("models", "trend", model=model_id, step=step, **times), columns=TREND_COLUMNS
    )
    if shown == "Failures":
        _failures(trend, span, step)
        return
    left, right = st.columns(2)
    with left:
        _percentiles(trend, "run", "Run time", span, step)
    with right:
        _percentiles(trend, "wait", "Wait time", span, step)


def since_text(
    model_id: str, step: Step, times: Mapping[str, Any], part: str, before: float | None
) -> str:
    """When a percentile of the run time rose, such as " since Tue 24 Nov"; empty if unclear."""
    trend = read("models", "trend", model=model_id, step=step, **times)
    at = slower_since(((row["at"], row[f"run_{part}"]) for row in trend), before)
    form = "%a %-d %b" if step == "day" else "%a %-d %b %H:%M"
    return f" since {at.astimezone(time_zone()):{form}}" if at else ""


def _percentiles(trend: pd.DataFrame, what: str, title: str, span: TimeRange, step: Step) -> None:
    names = {f"{what}_{part}": part for part in charts.PERCENTILES}
    figures = trend[["at", *names]].rename(columns=names)
    if figures["p50"].isna().all():
        figures = figures.head(0)
    charts.show(
        title,
        charts.lines(figures, charts.PERCENTILES, step, "seconds", title="percentile"),
        figures,
        key=f"{what} trend",
        description=f"Line chart of three percentiles per {step}, {span.description}. "
        + charts.describe_lines(figures, list(charts.PERCENTILES), step, "seconds"),
        columns={"at": charts.step_column(step)}
        | {part: seconds_column(part) for part in charts.PERCENTILES},
        empty="No jobs ran and ended in this time range.",
    )


def _failures(trend: pd.DataFrame, span: TimeRange, step: Step) -> None:
    figures = trend[["at", "jobs", "failed"]].assign(failed=trend["failed"] * 100)
    if figures["failed"].isna().all():
        figures = figures.head(0)
    charts.show(
        "Failure rate",
        charts.lines(figures, {"failed": "red"}, step, "% of jobs", title="share"),
        figures,
        key="failure trend",
        description=f"Line chart, {span.description}."
        f" {charts.describe_lines(figures, ['failed'], step, '% of jobs')}",
        columns={
            "at": charts.step_column(step),
            "jobs": count_column("Jobs"),
            "failed": percent_column("Failed"),
        },
        empty="No jobs completed or failed in this time range.",
    )


def _distribution(bins: pd.DataFrame, what: str, title: str, span: TimeRange) -> None:
    # A logarithmic axis cannot show zero.
    figures = bins.assign(
        first=bins["from_seconds"].clip(lower=0.0005), percent=bins["share"] * 100
    )
    figures["range"] = [
        f"{duration(a)} to {duration(b)}"
        for a, b in zip(bins["from_seconds"], bins["to_seconds"], strict=True)
    ]
    charts.show(
        title,
        charts.distribution(figures),
        bins.assign(share=bins["share"] * 100).drop(columns="what"),
        key=f"{what} distribution",
        description=f"Bars: {span.description}. Outlines: previous period."
        f" {_describe_distribution(figures)}",
        columns={
            "period": "Period",
            "from_seconds": st.column_config.NumberColumn("From", format="%.3f s"),
            "to_seconds": st.column_config.NumberColumn("To", format="%.3f s"),
            "jobs": count_column("Jobs"),
            "share": percent_column("Share"),
        },
        empty="No jobs ran and ended in this time range.",
    )


def _describe_distribution(figures: pd.DataFrame) -> str:
    """Text alternative for a distribution: each period's job count and most common range."""
    found = []
    for period, bins in figures.groupby("period", sort=False):
        most = bins.sort_values("jobs").iloc[-1]
        found.append(
            f"{str(period).capitalize()}: {plural(int(bins['jobs'].sum()))}, most often"
            f" {most['range']} ({most['percent']:.1f}%)."
        )
    return " ".join(found)
