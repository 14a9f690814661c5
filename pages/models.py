"""How does each model perform, and has it regressed?"""

from datetime import timedelta
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from lib.checks.error_guide import guide
from lib.checks.regression import Period, change, comparable, regressions
from lib.formats import duration, escaped, number, plural, share, signed_change
from lib.ui.columns import (
    change_column,
    count_column,
    model_name,
    percent_column,
    seconds_column,
)
from lib.ui.confirm import confirmations
from lib.ui.dashboard import REFRESH_SECONDS, read, read_once, time_zone
from lib.ui.export import csv_export
from lib.ui.live import live, rerun_when_reachable
from lib.ui.navigation import link, title_actions
from lib.ui.parts.empty_queue import empty_queue
from lib.ui.parts.model_charts import show_charts, since_text
from lib.ui.parts.model_dialogs import add_button, model_dialog
from lib.ui.parts.model_images import show_model_images
from lib.ui.parts.model_settings import settings_form, show_inputs
from lib.ui.selection import opened
from lib.ui.time_range import Step, time_range

MAX_MODELS = 200
MAX_DATED = 3
"""Regressions of which the list says since when."""
NO_MODEL = "(no model)"
"""Stands for jobs whose payload names no model, also in the URL."""
COLUMNS = [
    "model_id", "jobs", "completed", "failed", "refused", "usage", "run_total", "run_mean",
    "run_min", "run_p50", "run_p95", "run_p99", "run_max", "wait_mean", "wait_p50", "wait_p95",
    "wait_p99", "wait_max", "before_completed", "before_failed", "before_p50", "before_p95",
]  # fmt: skip

confirmations()
model_dialog()
chosen = st.query_params.get("model")
if chosen is not None:
    with st.container(horizontal=True, vertical_alignment="center"):
        link("models", "All models", ":material/chevron_left:")
        st.header(escaped(chosen), anchor=False)
span = time_range(default="7 d")
step: Step = "hour" if span.length <= timedelta(days=2) else "day"
times = {"bucket": "day" if span.bucket == "day" else "hour", **span.parameters}


def read_models() -> pd.DataFrame:
    rows = read("models", "models", step=step, most=MAX_MODELS, **times)
    models = pd.DataFrame(rows, columns=[*COLUMNS, "trend"])
    return models.assign(
        id=models["model_id"].replace("", NO_MODEL),
        name=[model_name(model) if model else NO_MODEL for model in models["model_id"]],
    )


def periods(row: pd.Series) -> tuple[Period, Period]:
    """A model's jobs in the range, and in the range before."""
    return period(row, "", "run_"), period(row, "before_", "before_")


def period(row: pd.Series, prefix: str, run: str) -> Period:
    p50, p95 = (known(row[f"{run}{part}"]) for part in ("p50", "p95"))
    return Period(int(row[f"{prefix}completed"]), int(row[f"{prefix}failed"]), p50, p95)


def known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def panel() -> None:
    models = read_models()
    if models.empty:
        if not empty_queue("This page compares the models' run times and failure rates."):
            st.info(f"No jobs ended in {span.description}. Choose a longer time range.")
        return
    show_verdict(models)
    model_table(models)
    if len(models) == MAX_MODELS:
        st.caption(f"Showing the {MAX_MODELS} most used models. The export contains all models.")
    show_periods()


def show_verdict(models: pd.DataFrame) -> None:
    """Show which models regressed and by how much, and which one is the slowest."""
    found, compared = [], 0
    for _, row in models.iterrows():
        now, before = periods(row)
        compared += comparable(now, before)
        # Only of the first, as each costs a query.
        since = since_of(row) if len(found) < MAX_DATED else lambda *_: ""
        found += [f"{escaped(row['name'])}: {text}" for text in regressions(now, before, since)]
    runs = models.dropna(subset="run_p95").sort_values("run_p95")
    slowest = f" Slowest: {slowest_text(runs.iloc[-1])}." if len(runs) else ""
    if len(found) == 1:
        st.warning(f"**{found[0]}**.{slowest}", icon=":material/trending_up:")
    elif found:
        lines = "\n".join(f"- {text}" for text in found[:20])
        st.warning(
            f"**{len(found)} regressions in {span.description}**\n\n{lines}\n\n{slowest}",
            icon=":material/trending_up:",
        )
    elif compared:
        st.success(
            f"**No regressions in {span.description}.**{slowest}", icon=":material/check_circle:"
        )
    else:
        st.info(f"**Too few jobs to compare with the previous period.**{slowest}")


def since_of(row: pd.Series) -> partial[str]:
    return partial(since_text, row["model_id"], step, times)


def slowest_text(row: pd.Series) -> str:
    difference = change(known(row["run_p95"]), known(row["before_p95"]))
    changed = "" if difference is None else f" ({difference:+.0f}%)"
    return f"{escaped(row['name'])}, p95 run {duration(row['run_p95'])}{changed}"


def model_table(models: pd.DataFrame) -> None:
    settings = pd.DataFrame(
        read("models", "settings"), columns=["id", "enabled", "price_per_image"]
    ).set_index("id")
    table = models.assign(
        usage=models["usage"] * 100,
        failed=100 * models["failed"] / (models["completed"] + models["failed"]),
        failed_before=100
        * models["before_failed"]
        / (models["before_completed"] + models["before_failed"]),
        p50_change=changes(models, "p50"),
        p95_change=changes(models, "p95"),
        enabled=models["model_id"].map(settings["enabled"]),
        price=models["model_id"].map(settings["price_per_image"]).astype(float),
    ).sort_values("run_p95", ascending=False, na_position="last")
    model = opened(
        table,
        list(table["id"]),
        name="models",
        alt="Models",
        placeholder="–",
        columns={
            "name": st.column_config.TextColumn("Model", width=160),
            "run_p95": seconds_column("p95 run", width=75),
            "p95_change": change_column("p95 change", width=85),
            "run_p50": seconds_column("p50 run", width=75),
            "p50_change": change_column("p50 change", width=85),
            "jobs": count_column("Jobs", width=70),
            "failed": percent_column("Failure rate", "Excludes refused jobs.", width=90),
            "wait_p95": seconds_column("p95 wait", width=75),
            "trend": st.column_config.LineChartColumn(
                "p50 trend", y_min=0, width=140, help="p50 run time over the time range."
            ),
            "enabled": st.column_config.CheckboxColumn("Enabled", width=70),
        },
        more={
            "model_id": "Model id",
            "price": st.column_config.NumberColumn("Price per image", format="$%.4f"),
            "usage": percent_column("Share of all jobs"),
            "refused": count_column("Refused", "By a safety filter or the prompt check."),
            "failed_before": percent_column("Previous failure rate"),
            "before_p50": seconds_column("Previous p50 run"),
            "before_p95": seconds_column("Previous p95 run"),
            "run_p99": seconds_column("p99 run"),
            "run_mean": seconds_column("Mean run"),
            "run_min": seconds_column("Shortest run"),
            "run_max": seconds_column("Longest run"),
            "run_total": seconds_column("Total run time"),
            "wait_p50": seconds_column("p50 wait"),
            "wait_p99": seconds_column("p99 wait"),
            "wait_mean": seconds_column("Mean wait"),
            "wait_max": seconds_column("Longest wait"),
        },
    )
    st.caption("Slowest first. Click a model for its trend, errors and settings.")
    if model is not None:
        st.query_params["model"] = model
        st.rerun()


def changes(models: pd.DataFrame, part: str) -> pd.Series:
    """Relative changes of a percentile of the run time, in percent."""
    now, before = (models[f"{prefix}_{part}"].astype(float) for prefix in ("run", "before"))
    return 100 * (now / before - 1)


def show_periods() -> None:
    at = read("models", "compared", **times)
    form = "%-d %b %H:%M" if times["bucket"] == "hour" else "%-d %b %H:%M %Z"
    before, since, until = (
        f"{at[name].astimezone(time_zone()):{form}}" for name in ("before", "since", "until")
    )
    st.caption(
        f"Jobs that ended from {since} to {until}, compared with {before} to {since}. A regression"
        f" is a p50 or p95 run time at least 25% higher, or a failure rate at least 2 percentage"
        f" points and 3 standard deviations higher, with at least 50 jobs in both periods (200 for"
        f" p95)."
    )


def one_model(shown: str) -> None:
    models = read_models()
    found = models[models["id"] == shown]
    if found.empty:
        st.info(f"No jobs for this model ended in {span.description}.")
        return
    row = found.iloc[0]
    show_model_verdict(row)
    show_figures(row)
    model_links(row["model_id"])
    show_charts(row["model_id"], span, step, times)
    show_errors(row["model_id"])
    show_periods()
    show_model_images(row["model_id"])


def show_model_verdict(row: pd.Series) -> None:
    now, before = periods(row)
    if found := regressions(now, before, since_of(row)):
        st.warning(f"**Regression:** {', '.join(found)}.", icon=":material/trending_up:")
    elif comparable(now, before):
        st.success("**Stable** compared with the previous period.", icon=":material/check_circle:")
    else:
        st.info("Too few jobs to compare with the previous period.")


def show_figures(row: pd.Series) -> None:
    now, before = periods(row)
    with st.grid("auto", min_column_width=150, border=True):
        st.metric("Jobs", number(row["jobs"]))
        st.metric("Failure rate", share(now.failed, now.ended))
        for label, value, old in (
            ("p50 run", now.run_p50, before.run_p50),
            ("p95 run", now.run_p95, before.run_p95),
        ):
            difference = change(value, old)
            changed = signed_change(difference or 0, f"{abs(difference or 0):.0f}%") or None
            st.metric(label, duration(value), changed, delta_color="inverse")
        st.metric("p95 wait", duration(known(row["wait_p95"])))


def model_links(model_id: str) -> None:
    if not model_id:
        return
    with st.container(horizontal=True):
        link("jobs", "Show jobs", ":material/list:", model=model_id)
        link("jobs", "Show failed jobs", ":material/error:", view="failed", model=model_id)


def show_errors(model_id: str) -> None:
    st.header("Errors")
    rows = read("models", "errors", model=model_id, **times)
    if not rows:
        st.caption("No failed jobs in this time range.")
        return
    for row in rows:
        error_line(row)


def error_line(row: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        title = guide(row["error_code"], row["error_group"]).title
        st.markdown(f"**{plural(row['jobs'])}** {title}", width="stretch")
        link("failures", "Show group", kind=row["key"], **time_filter())


def time_filter() -> dict[str, str]:
    """The time range for a link; a range with a start keeps its default there."""
    return {"time": str(st.session_state["time"])} if span.start is None else {}


if chosen is None:
    with title_actions():
        add_button()
with rerun_when_reachable():
    if chosen is None:
        live(panel, seconds=5 * REFRESH_SECONDS)
        csv_export(
            "models",
            COLUMNS,
            MAX_MODELS,
            lambda: [read("models", "models", step=step, most=1_000_000, **times)],
        )
    elif live(partial(one_model, chosen), seconds=5 * REFRESH_SECONDS):
        show_inputs(chosen)
        st.header("Settings")
        settings_form(chosen, read_once("maintenance", "models"))
