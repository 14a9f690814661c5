"""The parts of the page Maintenance that show space and growth."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from lib import charts
from lib.access import Role
from lib.confirm import Action, ask, plural
from lib.dashboard import actor, read, read_anew, time_column
from lib.formats import share
from lib.maintenance import Growth, bloated, forecast, growth, in_background, vacuum_due
from lib.service import database_url
from lib.settings import settings

AHEAD = 90
COLORS = {"nothing is purged": "#c58a1b", "purged by age": "#2f6fe4"}


def size(count: float) -> str:
    """A number of bytes, such as "1.4 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def space() -> None:
    """Sizes of tables and indexes, what vacuum has left, and what can be done about it."""
    tables, indexes = read("maintenance", "tables"), read("maintenance", "indexes")
    late = [table for table in tables if vacuum_due(table)]
    swollen = [index for index in indexes if bloated(index)]
    broken = [index for index in indexes if not index["valid"] and not index["building"]]
    judge(late, swollen, broken)
    show_tables(tables)
    choose("vacuum", "Table", [table["name"] for table in tables], late)
    show_indexes(indexes)
    choose("reindex", "Index", [index["name"] for index in indexes], swollen + broken)


def show_tables(tables: Sequence[dict[str, Any]]) -> None:
    """Sizes of the tables and the state of vacuum."""
    st.subheader("How large are the tables, and does vacuum keep up?")
    st.dataframe(
        pd.DataFrame(
            {
                "Table": table["name"],
                "Size": size(table["bytes"]),
                "Rows": size(table["heap_bytes"]),
                "Indexes": size(table["index_bytes"]),
                "Live rows": table["live"],
                "Dead": table["dead"],
                "Dead share": share(table["dead"], table["live"] + table["dead"]),
                "Vacuum at": table["due_at"],
                "Vacuumed": table["vacuumed_at"],
                "Analyzed": table["analyzed_at"],
                "Frozen": share(table["age"], table["freeze_at"]),
                "State": state(table),
            }
            for table in tables
        ),
        hide_index=True,
        alt="Tables with their sizes and the state of vacuum",
        placeholder="never",
        column_config={
            "Live rows": st.column_config.NumberColumn(format="localized"),
            "Dead": st.column_config.NumberColumn(format="localized"),
            "Vacuum at": st.column_config.NumberColumn(
                format="localized", help="Dead rows at which autovacuum comes."
            ),
            "Vacuumed": time_column("D MMM HH:mm"),
            "Analyzed": time_column("D MMM HH:mm"),
            "Frozen": st.column_config.TextColumn(
                help="How near the oldest row is to being frozen by force, in transactions."
            ),
        },
    )


def show_indexes(indexes: Sequence[dict[str, Any]]) -> None:
    """Sizes of the indexes beside what they need."""
    st.subheader("Which indexes have swollen?")
    st.dataframe(
        pd.DataFrame(
            {
                "Index": index["name"],
                "Table": index["table_name"],
                "Size": size(index["bytes"]),
                "Needs about": size(index["expected_bytes"]) if index["expected_bytes"] else None,
                "Scans": index["scans"],
                "State": index["building"]
                or ("bloated" if bloated(index) else "fine" if index["valid"] else "invalid"),
            }
            for index in indexes
        ),
        hide_index=True,
        alt="Indexes with their sizes",
        placeholder="not analyzed yet",
        column_config={"Scans": st.column_config.NumberColumn(format="localized")},
    )


def judge(
    late: Sequence[dict[str, Any]],
    swollen: Sequence[dict[str, Any]],
    broken: Sequence[dict[str, Any]],
) -> None:
    """What is wrong, in words."""
    for table in late:
        st.warning(
            f"Vacuum does not keep up with {table['name']}: {table['dead']:,} dead rows, it should"
            f" come at {table['due_at']:,}. Vacuum it; if the number stays, a long transaction"
            " holds it back (see Troubleshooting).",
            icon=":material/visibility:",
        )
    for index in swollen:
        st.warning(
            f"{index['name']} takes {size(index['bytes'])} and needs about"
            f" {size(index['expected_bytes'])}: rebuild it.",
            icon=":material/visibility:",
        )
    for index in broken:
        st.error(
            f"{index['name']} is invalid: a build of it failed, so that it costs and serves"
            " nothing. Rebuild it.",
            icon=":material/error:",
        )
    if not (late or swollen or broken):
        st.success(
            "Vacuum keeps up, and no index has swollen or is invalid.",
            icon=":material/check_circle:",
        )


def state(table: dict[str, Any]) -> str:
    """Of vacuum, in a word or two."""
    return table["vacuuming"] or ("late" if vacuum_due(table) else "fine")


def choose(kind: Any, what: str, names: list[str], wanted: Sequence[dict[str, Any]]) -> None:
    """Picks a table or an index and asks before it is worked on."""
    first = names.index(wanted[0]["name"]) if wanted else 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(what, names, index=first, key=f"{kind} name", width=360)
        verb = "Vacuum and analyze" if kind == "vacuum" else "Rebuild"
        if name and st.button(verb, type="primary" if wanted else "secondary"):
            ask(WORK[kind](name))


def vacuum(name: str) -> Action:
    """A table vacuumed by hand."""
    return Action(
        f"Vacuum {name}",
        f"Frees the space of deleted rows of {name} and counts it anew. The queue goes on"
        " meanwhile; on a large table it takes minutes and reads the disk.",
        "Vacuum and analyze",
        lambda: begin("vacuum", "space", name),
    )


def reindex(name: str) -> Action:
    """An index built anew beside the old one."""
    return Action(
        f"Rebuild {name}",
        f"Builds {name} anew beside the old one (REINDEX CONCURRENTLY). The queue goes on"
        " meanwhile. It needs the space of the index once more, waits for transactions that are"
        " open, and takes minutes for millions of rows.",
        "Rebuild",
        lambda: begin("reindex", "indexes", name),
        needs=Role.ADMIN,
    )


WORK: dict[str, Callable[[str], Action]] = {"vacuum": vacuum, "reindex": reindex}


def begin(kind: Any, task: str, name: str) -> str:
    """Begins the work and says so."""
    try:
        in_background(database_url(settings()), actor(), task, kind, name, read_anew)
    except LookupError as error:
        return str(error)
    return f"Under way: {kind} of {name}. The table says when it is done."


def capacity() -> None:
    """How the tables grow, and until when the disk lasts."""
    days = [row["jobs"] for row in read("maintenance", "days")]
    trend = growth(days)
    if trend is None:
        st.info("A forecast needs a week of history: the rollups hold less so far.")
        return
    with st.container(horizontal=True):
        retention = st.number_input(
            "Jobs are purged after days", 1, 3650, 90, key="days", bind="query-params", width=220
        )
        disk = st.number_input(
            "Disk for the database, GB", 1, 100_000, 8, key="disk", bind="query-params", width=220
        )
    figures = sizes_ahead(days, trend, retention)
    say_full(figures, disk, retention)
    chart = charts.lines(figures, COLORS, "day", "GB", title="if")
    limit = alt.Chart(pd.DataFrame({"disk": [disk]})).mark_rule(strokeDash=[4, 4]).encode(y="disk")
    charts.show(
        "How large will the database be?",
        chart + limit if figures.drop(columns="at").max().max() > disk / 2 else chart,
        figures,
        key="growth",
        alt_text=f"Two lines: the size of the database over the next {AHEAD} days, with and"
        " without a purge.",
        columns={"at": charts.step_column("day")},
    )
    st.caption(
        f"From {plural(len(days), 'day')} of rollups: the straight line through the last four full"
        " weeks goes on. A purge leaves the images' entries, and the space that it frees is used"
        " again and not given back to the disk."
    )


def sizes_ahead(days: Sequence[int], trend: Growth, retention: int) -> pd.DataFrame:
    """The size of the database in GB on each day ahead (`at`), as tiles what it starts from."""
    tables = {table["name"]: table for table in read("maintenance", "tables")}
    kept = read("maintenance", "purgeable", older_than=timedelta(days=1))["kept"]
    total = read("maintenance", "database_bytes")
    job, image = (
        tables[name]["bytes"] / max(tables[name]["live"], 1)
        for name in ("job_queue", "image_generations")
    )
    tiles(trend, total, job + image, kept)
    rest = max(total - (job + image) * kept, 0)
    every = forecast(days, trend, kept, AHEAD, None)
    lines = {
        "nothing is purged": every,
        "purged by age": forecast(days, trend, kept, AHEAD, retention),
    }
    today = pd.Timestamp.now("UTC").normalize()
    return pd.DataFrame(
        {"at": [today + pd.Timedelta(days=day + 1) for day in range(AHEAD)]}
        | {
            # The entries of the images stay when their jobs are purged.
            name: [
                (rest + jobs * job + images * image) / 1e9
                for jobs, images in zip(line, every, strict=True)
            ]
            for name, line in lines.items()
        }
    )


def tiles(trend: Growth, total: int, per_job: float, kept: int) -> None:
    """What the forecast starts from."""
    with st.grid("auto", min_column_width=210, border=True):
        st.metric(
            "Jobs a day",
            f"{trend.jobs_per_day:,.0f}",
            f"{trend.growth_per_day * 7:+,.0f} a week",
            delta_color="gray",
        )
        st.metric("Database", size(total))
        st.metric("A job with its image's entry", size(per_job), help="Indexes included.")
        st.metric("Finished jobs kept", f"{kept:,}")


def say_full(figures: pd.DataFrame, disk: int, retention: int) -> None:
    """When the disk is full, in words."""
    names = {
        "nothing is purged": "without a purge",
        "purged by age": f"purging after {retention} days",
    }
    words = []
    for column, name in names.items():
        full = figures[figures[column] > disk]
        words.append(
            f"{name} {disk} GB last longer than {AHEAD} days"
            if full.empty
            else f"{name} {disk} GB are full on {full['at'].iloc[0]:%-d %b %Y}"
        )
    sentence = f"{words[0]}; {words[1]}.".capitalize().replace("gb", "GB")
    if "full on" in words[1]:
        st.error(sentence, icon=":material/error:")
    elif "full on" in words[0]:
        st.warning(sentence, icon=":material/visibility:")
    else:
        st.success(sentence, icon=":material/check_circle:")
