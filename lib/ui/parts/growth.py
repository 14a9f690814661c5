"""Growth view of the Maintenance page: forecast of the database size."""

from collections.abc import Sequence
from datetime import timedelta

import pandas as pd
import streamlit as st

from lib.formats import plural, size
from lib.ops.maintenance.growth import Growth, forecast, growth
from lib.ui import charts
from lib.ui.dashboard import read

DAYS_AHEAD = 90
HUES = {"no purge": "gray", "with purge": "teal"}


def capacity() -> None:
    """Draw the size forecast, and when the disk will be full."""
    days = [row["jobs"] for row in read("maintenance", "days")]
    trend = growth(days)
    if trend is None:
        st.info("A forecast needs a week of history.")
        return
    st.header("Assumptions")
    with st.container(horizontal=True):
        retention = st.number_input(
            "Purge jobs after (days)", 1, 3650, 90, key="days", bind="query-params", width=220
        )
        disk = st.number_input(
            "Database disk (GB)", 1, 100_000, 8, key="disk", bind="query-params", width=220
        )
    figures = forecast_sizes(days, trend, retention)
    show_disk_forecast(figures, disk, retention)
    # A limit far above the database's size would flatten the lines.
    limit = disk if figures.drop(columns="at").max().max() > disk / 2 else None
    charts.show(
        "Database size forecast",
        charts.lines(figures, HUES, "day", "GB", title="if", limit=limit),
        figures,
        key="growth",
        description=f"Line chart of the next {DAYS_AHEAD} days, with and without a purge. "
        + charts.describe_lines(figures, list(HUES), "day", "GB"),
        columns={"at": charts.step_column("day")},
    )
    st.caption(
        f"Based on {plural(len(days), 'day')} of history, assuming that the trend of the last four"
        " full weeks continues. A purge keeps image records. The space it frees is reused, not"
        " returned to the disk."
    )


def forecast_sizes(days: Sequence[int], trend: Growth, retention: int) -> pd.DataFrame:
    """Forecast database size in GB for each day ahead (`at`). Also draws the tiles."""
    tables = {table["name"]: table for table in read("maintenance", "tables")}
    kept = read("maintenance", "purgeable", older_than=timedelta(days=1))["kept"]
    total = read("maintenance", "database_bytes")
    job, image = (
        tables[name]["bytes"] / max(tables[name]["live"], 1)
        for name in ("job_queue", "image_generations")
    )
    tiles(trend, total, job + image, kept)
    rest = max(total - (job + image) * kept, 0)
    without_purge = forecast(days, trend, kept, DAYS_AHEAD, None)
    lines = {
        "no purge": without_purge,
        "with purge": forecast(days, trend, kept, DAYS_AHEAD, retention),
    }
    today = pd.Timestamp.now("UTC").normalize()
    return pd.DataFrame(
        {"at": [today + pd.Timedelta(days=day + 1) for day in range(DAYS_AHEAD)]}
        | {
            # Purging jobs keeps the rows of their images.
            name: [
                (rest + jobs * job + images * image) / 1e9
                for jobs, images in zip(line, without_purge, strict=True)
            ]
            for name, line in lines.items()
        }
    )


def tiles(trend: Growth, total: int, per_job: float, kept: int) -> None:
    """Draw the figures that the forecast is based on."""
    with st.grid("auto", min_column_width=210, border=True):
        st.metric(
            "Jobs per day",
            f"{trend.jobs_per_day:,.0f}",
            f"{trend.growth_per_day * 7:+,.0f} per week",
            delta_color="gray",
        )
        st.metric("Database", size(total))
        st.metric("Size per job and image record", size(per_job), help="Indexes included.")
        st.metric("Finished jobs kept", f"{kept:,}")


def show_disk_forecast(figures: pd.DataFrame, disk: int, retention: int) -> None:
    """Show when the disk will be full, with and without purging."""
    names = {
        "no purge": "without a purge,",
        "with purge": f"with jobs purged after {retention} days,",
    }
    parts = []
    for column, name in names.items():
        full = figures[figures[column] > disk]
        parts.append(
            f"{name} the {disk} GB disk lasts more than {DAYS_AHEAD} days"
            if full.empty
            else f"{name} the {disk} GB disk will be full on {full['at'].iloc[0]:%-d %b %Y}"
        )
    if all("lasts more" in part for part in parts):
        parts = [f"the {disk} GB disk lasts more than {DAYS_AHEAD} days, with or without a purge"]
    sentence = f"{parts[0][0].upper()}{'; '.join([parts[0][1:], *parts[1:]])}."
    if "full on" in parts[-1]:
        st.error(sentence, icon=":material/error:")
    elif "full on" in parts[0]:
        st.warning(sentence, icon=":material/warning:")
    else:
        st.success(sentence, icon=":material/check_circle:")
