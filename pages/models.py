"""How does each model perform, and has it regressed?"""

from datetime import timedelta

import pandas as pd
import streamlit as st

from lib.checks.regression import Period, comparison, fails_more, slower
from lib.formats import duration, escaped, plural, share
from lib.ui import charts
from lib.ui.columns import count_column, percent_column, seconds_column
from lib.ui.dashboard import REFRESH_SECONDS, read, time_zone
from lib.ui.export import csv_export
from lib.ui.live import live
from lib.ui.time_range import time_range

ALL, UNNAMED = "all models", "no model named"
MAX_MODELS = 200
COLUMNS = [
    "model_id", "jobs", "completed", "failed", "usage", "run_total", "run_mean", "run_min",
    "run_p50", "run_p95", "run_p99", "run_max", "wait_mean", "wait_p50", "wait_p95", "wait_p99",
    "wait_max", "before_completed", "before_failed", "before_p50",
]  # fmt: skip
TREND_COLUMNS = [
    "at", "jobs", "failed", "run_p50", "run_p95", "run_p99", "wait_p50", "wait_p95", "wait_p99",
]  # fmt: skip
RUN_ORDER = [
    "model", "compared", "jobs", "usage", "failed", "failed_before", "run_p50", "before_p50",
    "trend", "run_p95", "run_p99", "run_mean", "run_min", "run_max", "run_total",
]  # fmt: skip
BIN_COLUMNS = ["what", "period", "from_seconds", "to_seconds", "jobs", "share"]

span = time_range()
step = "hour" if span.length <= timedelta(days=2) else "day"
times = {"bucket": "day" if span.bucket == "day" else "hour", **span.parameters}


def panel() -> None:
    models = pd.DataFrame(
        read("models", "models", step=step, most=MAX_MODELS, **times), columns=[*COLUMNS, "trend"]
    )
    models["model"] = models["model_id"].replace("", UNNAMED)
    show_regressions(models)
    model = st.selectbox(
        "Model",
        [ALL, *models["model"]],
        accept_new_options=True,
        key="model",
        bind="query-params",
        width=420,
    )
    show_periods()
    if model not in (None, ALL):
        models = models[models["model"] == model]
    if models.empty:
        st.info(
            f"No job{'' if model in (None, ALL) else ' of this model'} ended in this time. Choose"
            " a longer one, or submit a job: page Generate."
        )
        return
    run_times(models)
    wait_times(models)
    if len(models) == MAX_MODELS:
        st.caption(f"The {MAX_MODELS} most used models; the export below has all.")
    one = None if model in (None, ALL) else models["model_id"].iloc[0]
    details(one, model or ALL)


def period(row: pd.Series, prefix: str, p50: str) -> Period:
    p50_seconds = None if pd.isna(row[p50]) else float(row[p50])
    return Period(int(row[f"{prefix}completed"]), int(row[f"{prefix}failed"]), p50_seconds)


def periods(row: pd.Series) -> tuple[Period, Period]:
    return period(row, "", "run_p50"), period(row, "before_", "before_p50")


def show_regressions(models: pd.DataFrame) -> None:
    """Show which models regressed, and by how much."""
    found = []
    for _, row in models.iterrows():
        now, before = periods(row)
        if slower(now, before):
            run = f"p50 {duration(before.run_p50)} → {duration(now.run_p50)}"
            found.append(f"{escaped(row['model'])}: {run}")
        if fails_more(now, before):
            rise = f"{share(before.failed, before.ended)} → {share(now.failed, now.ended)}"
            found.append(f"{escaped(row['model'])}: failed {rise}")
    if found:
        st.warning(
            "**Clearly worse than before.**\n\n" + "\n".join(f"- {words}" for words in found[:20]),
            icon=":material/trending_down:",
        )
    elif not models.empty:
        st.success("**No model got clearly worse than before.**", icon=":material/check_circle:")


def show_periods() -> None:
    at = read("models", "compared", **times)
    form = "%-d %b %H:%M" if times["bucket"] == "hour" else "%-d %b %H:%M %Z"
    before, since, until = (
        f"{at[name].astimezone(time_zone()):{form}}" for name in ("before", "since", "until")
    )
    st.caption(
        f"Jobs that ended from {since} to {until}, compared with those from {before} to {since}."
        " Clearly worse: p50 at least a quarter longer, or a failure share at least 2 points and"
        " three standard deviations higher, of 50 jobs or more. Percentiles are at most 5 % off."
    )


def run_times(models: pd.DataFrame) -> None:
    st.header("How long do completed jobs run, and how many fail?")
    table = models.assign(
        compared=[comparison(*periods(row)) for _, row in models.iterrows()],
        usage=models["usage"] * 100,
        failed=100 * models["failed"] / (models["completed"] + models["failed"]),
        failed_before=100
        * models["before_failed"]
        / (models["before_completed"] + models["before_failed"]),
    )
    st.dataframe(
        table,
        key="run times",
        hide_index=True,
        placeholder="–",
        column_order=RUN_ORDER,
        column_config={
            "model": st.column_config.TextColumn("Model", pinned=True, width=250),
            "compared": "Compared",
            "jobs": count_column("Jobs"),
            "usage": percent_column("Usage"),
            "failed": percent_column("Failed"),
            "failed_before": percent_column("Before"),
            "run_p50": seconds_column("p50"),
            "before_p50": seconds_column("Before"),
            "trend": st.column_config.LineChartColumn("p50 over time", y_min=0),
            "run_p95": seconds_column("p95"),
            "run_p99": seconds_column("p99"),
            "run_mean": seconds_column("Mean"),
            "run_min": seconds_column("Shortest"),
            "run_max": seconds_column("Longest"),
            "run_total": seconds_column("Total"),
        },
    )


def wait_times(models: pd.DataFrame) -> None:
    st.header("How long do due jobs wait before they run?")
    st.dataframe(
        models,
        key="waits",
        hide_index=True,
        placeholder="–",
        column_order=["model", "wait_p50", "wait_p95", "wait_p99", "wait_mean", "wait_max"],
        column_config={
            "model": st.column_config.TextColumn("Model", pinned=True, width=250),
            "wait_p50": seconds_column("p50"),
            "wait_p95": seconds_column("p95"),
            "wait_p99": seconds_column("p99"),
            "wait_mean": seconds_column("Mean"),
            "wait_max": seconds_column("Longest"),
        },
    )


def details(model_id: str | None, name: str) -> None:
    st.header("All models together" if model_id is None else "This model")
    if model_id is not None:
        st.text(name)
    shown = st.segmented_control(
        "Charts of",
        ["times", "spread", "failures"],
        default="times",
        required=True,
        key="shown",
        bind="query-params",
        help="Times and failures as they change; spread: how many jobs took how long.",
    )
    if shown == "spread":
        spread(model_id)
        return
    trend = pd.DataFrame(
        read("models", "trend", model=model_id, step=step, **times), columns=TREND_COLUMNS
    )
    if shown == "failures":
        failures(trend)
        return
    left, right = st.columns(2)
    with left:
        percentiles(trend, "run", "Does the run time change?")
    with right:
        percentiles(trend, "wait", "Does the wait change?")


def spread(model_id: str | None) -> None:
    bins = pd.DataFrame(
        read("models", "distribution", model=model_id, **times), columns=BIN_COLUMNS
    )
    left, right = st.columns(2)
    with left:
        distribution(bins[bins["what"] == "run"], "run", "How are run times spread?")
    with right:
        distribution(bins[bins["what"] == "wait"], "wait", "How are waits spread?")


def percentiles(trend: pd.DataFrame, what: str, title: str) -> None:
    names = {f"{what}_{part}": part for part in charts.PERCENTILES}
    figures = trend[["at", *names]].rename(columns=names)
    if figures["p50"].isna().all():
        figures = figures.head(0)
    charts.show(
        title,
        charts.lines(figures, charts.PERCENTILES, step, "seconds", title="percentile"),
        figures,
        key=f"{what} trend",
        description=f"Three lines, percentiles per {step}, {span.description}. "
        + charts.describe_lines(figures, list(charts.PERCENTILES), step, "seconds"),
        columns={"at": charts.step_column(step)}
        | {part: seconds_column(part) for part in charts.PERCENTILES},
        empty="No job that ended in this time had been started.",
    )


def failures(trend: pd.DataFrame) -> None:
    figures = trend[["at", "jobs", "failed"]].assign(failed=trend["failed"] * 100)
    if figures["failed"].isna().all():
        figures = figures.head(0)
    charts.show(
        "Does the failure share change?",
        charts.lines(figures, {"failed": "red"}, step, "% of the jobs", title="share"),
        figures,
        key="failure trend",
        description=f"A line, {span.description}."
        f" {charts.describe_lines(figures, ['failed'], step, '% of the jobs')}",
        columns={
            "at": charts.step_column(step),
            "jobs": count_column("Jobs ended"),
            "failed": percent_column("Failed"),
        },
        empty="No job completed or failed in this time.",
    )


def distribution(bins: pd.DataFrame, what: str, title: str) -> None:
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
        description=f"Bars now, {span.description}, and outlines before."
        f" {describe_distribution(figures)}",
        columns={
            "period": "Time",
            "from_seconds": st.column_config.NumberColumn("From", format="%.3f s"),
            "to_seconds": st.column_config.NumberColumn("To", format="%.3f s"),
            "jobs": count_column(),
            "share": percent_column("Of the jobs"),
        },
        empty="No job that ended in this time had been started.",
    )


def describe_distribution(figures: pd.DataFrame) -> str:
    """Text alternative for a distribution: each period's job count and most common range."""
    found = []
    for period, bins in figures.groupby("period", sort=False):
        most = bins.loc[bins["jobs"].idxmax()]
        found.append(
            f"{str(period).capitalize()}: {plural(int(bins['jobs'].sum()))}, most often"
            f" {most['range']} ({most['percent']:.1f} %)."
        )
    return " ".join(found)


live(panel, seconds=5 * REFRESH_SECONDS)
csv_export(
    "models",
    COLUMNS,
    MAX_MODELS,
    lambda: [read("models", "models", step=step, most=1_000_000, **times)],
)
