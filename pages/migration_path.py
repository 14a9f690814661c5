"""Which users are on the queue, and does it do better than the synchronous path?"""

from datetime import timedelta
from typing import Any

import pandas as pd
import streamlit as st

from lib.formats import duration, plural, share
from lib.queue.operator_actions import set_async_rollout
from lib.ui import charts
from lib.ui.columns import count_column, percent_column, seconds_column, time_column
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import REFRESH_SECONDS, actor, format_time, pool, read
from lib.ui.live import live
from lib.ui.time_range import time_range

ALL = "all models"
NAMES = {"async": "Queue", "sync": "Synchronous"}
LINES = {
    "queue p50": "teal", "queue p95": "teal",
    "synchronous p50": "gray", "synchronous p95": "gray",
}  # fmt: skip
HOW_RECORDED = {
    "Queue": "Generations on the queue appear automatically.",
    "Synchronous": "Synchronous ones appear if the application runs them with"
    " generate_synchronously.",
}
SHARES = {"queue": "teal", "synchronous": "gray"}
COLUMNS = [
    "path", "model_id", "completed", "failed", "cancelled", "failure_share", "mean_seconds",
    "p50_seconds", "p95_seconds",
]  # fmt: skip
STEP_COLUMNS = [
    "at", "async_p50", "async_p95", "sync_p50", "sync_p95", "async_failed", "sync_failed",
]  # fmt: skip

st.caption(
    "Moves an application from synchronous model calls to the queue step by step. The application"
    " calls use_async_for_user, which puts a percentage of users on the queue. Raising the"
    " percentage only adds users; it never moves anyone back. Requests without a user use the"
    " queue only at 100%."
)
confirmations()
span = time_range(("1 h", "6 h", "24 h", "7 d", "30 d"))
step = "hour" if span.length <= timedelta(days=2) else "day"
times = {"bucket": step, **span.parameters}


def panel() -> None:
    state = read("migration_path", "state")
    users = {row["percent"]: row["users"] for row in read("migration_path", "users")}
    rows = pd.DataFrame(read("migration_path", "compared", **times), columns=COLUMNS)
    current_state(state, users)
    rollout_controls(state["percentage"], users)
    comparison(rows[rows["model_id"].isna()], state["unended"])
    over_time(rows)
    by_model(rows[rows["model_id"].notna()])
    failures()
    changes()


def users_below(users: dict[int, int], percentage: int) -> int:
    """Number of users on the queue at a percentage."""
    return sum(count for percent, count in users.items() if percent < percentage)


def current_state(state: dict[str, Any], users: dict[int, int]) -> None:
    percentage, active = state["percentage"], sum(users.values())
    with st.grid("auto", min_column_width=210, border=True):
        st.metric("On the queue", f"{percentage}%", help="Percentage of all users.")
        st.metric(
            "Users on the queue",
            f"{users_below(users, percentage):,}",
            f"of {active:,} active",
            delta_color="gray",
            delta_arrow="off",
            help="Of the users who requested an image in the last 7 days (newest 10,000"
            " generations).",
        )
        changed = state["changed_at"]
        st.metric(
            "Last change",
            format_time(changed) if changed else "Never",
            help="The table at the end of the page shows who changed it.",
        )


def rollout_controls(percentage: int, users: dict[int, int]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        new_percentage = int(st.slider("Users on the queue (%)", 0, 100, percentage, width=420))
        if st.button(
            f"Set {new_percentage}%",
            key="set rollout",
            type="primary",
            disabled=new_percentage == percentage,
        ):
            ask(set_rollout_action(percentage, new_percentage, users))
        if st.button("Move all users back", disabled=percentage == 0):
            ask(set_rollout_action(percentage, 0, users))
    if new_percentage != percentage:
        st.caption(f"{effect(percentage, new_percentage, users)}.")


def effect(before: int, after: int, users: dict[int, int]) -> str:
    moved = abs(users_below(users, after) - users_below(users, before))
    where = "to the queue" if after > before else "back to the synchronous path"
    return f"Moves about {moved:,} of the {plural(sum(users.values()), 'active user')} {where}"


def set_rollout_action(before: int, after: int, users: dict[int, int]) -> Action:
    def run() -> str:
        set_async_rollout(pool(), actor(), after)
        return f"{after}% of users will use the queue, starting with their next request."

    label = f"Set {after}%" if after else "Move all users back"
    return Action(
        title=label,
        effect=f"{effect(before, after, users)}: from {before}% to {after}%. Applies to new"
        " requests; pending and running jobs are not affected.",
        button=label,
        run=run,
    )


def comparison(rows: pd.DataFrame, unended: int) -> None:
    st.header("Comparison")
    st.caption(
        f"Generations that ended in {span.description}, including tests. Times are measured from"
        " request to image, including all waits and attempts. On the queue, a generation fails"
        " after its last attempt."
    )
    if rows.empty:
        st.info(f"No generations ended in this time range. {' '.join(HOW_RECORDED.values())}")
        return
    show_summary(rows.set_index("path"))
    st.dataframe(
        rows.assign(path=rows["path"].map(NAMES), failure_share=rows["failure_share"] * 100),
        key="comparison",
        hide_index=True,
        placeholder="–",
        column_order=[name for name in COLUMNS if name != "model_id"],
        column_config={"path": "Path"} | FIGURES,
    )
    if unended:
        st.warning(
            f"{'At least ' if unended == 1000 else ''}{plural(unended, 'synchronous generation')}"
            " started more than 1 h ago and never ended: the process was lost and the user got no"
            " response. Not counted above.",
            icon=":material/warning:",
        )


def show_summary(rows: pd.DataFrame) -> None:
    """Compare both paths in words, or show which one has no data."""
    if len(rows) < 2 or rows["p50_seconds"].isna().any():
        missing = [name for path, name in NAMES.items() if path not in rows.index]
        if missing:
            missing_text = f"{missing[0]}: no generations ended on this path in this time range."
            st.info(f"{missing_text} {HOW_RECORDED[missing[0]]}")
        return
    words = [
        f"**{NAMES[path]}**: p50 {duration(rows.at[path, 'p50_seconds'])}, p95"
        f" {duration(rows.at[path, 'p95_seconds'])}, failure rate {failure_rate(rows.loc[path])}"
        for path in NAMES
    ]
    st.write("\n".join(f"- {word}" for word in words))


def failure_rate(row: pd.Series) -> str:
    return share(int(row["failed"]), int(row["completed"] + row["failed"]))


FIGURES = {
    "completed": count_column("Completed"),
    "failed": count_column("Failed"),
    "cancelled": count_column("Cancelled"),
    "failure_share": percent_column("Failure rate"),
    "mean_seconds": seconds_column("Mean"),
    "p50_seconds": seconds_column("p50"),
    "p95_seconds": seconds_column("p95"),
}


def over_time(rows: pd.DataFrame) -> None:
    model = st.selectbox(
        "Model",
        [ALL, *rows["model_id"].dropna().unique()],
        accept_new_options=True,
        key="model",
        bind="query-params",
        width=420,
    )
    chosen = None if model in (None, ALL) else model
    steps = pd.DataFrame(
        read("migration_path", "steps", model=chosen, **times), columns=STEP_COLUMNS
    )
    left, right = st.columns(2)
    with left:
        show_lines(
            "Time to image",
            steps[STEP_COLUMNS[:5]].set_axis(["at", *LINES], axis=1),
            LINES,
            "seconds",
        )
    with right:
        shares = steps[["at", *STEP_COLUMNS[5:]]].set_axis(["at", *SHARES], axis=1)
        shares[list(SHARES)] *= 100
        show_lines("Failure rate", shares, SHARES, "% of generations")


def show_lines(title: str, figures: pd.DataFrame, lines: dict[str, str], unit: str) -> None:
    if figures[list(lines)].isna().all(axis=None):
        figures = figures.head(0)
    charts.show(
        title,
        charts.lines(figures, lines, step, unit, title="path"),
        figures,
        key=title,
        description=f"Line chart per {step}, {span.description}."
        f" {charts.describe_lines(figures, list(lines), step, unit)}",
        columns={"at": charts.step_column(step)}
        | {
            name: seconds_column(name) if unit == "seconds" else percent_column(name)
            for name in lines
        },
        empty="No generations of this model ended in this time range.",
    )


def by_model(rows: pd.DataFrame) -> None:
    st.header("By model")
    if rows.empty:
        st.caption("No generations ended in this time range.")
        return
    st.dataframe(
        rows.assign(path=rows["path"].map(NAMES), failure_share=rows["failure_share"] * 100),
        key="by model",
        hide_index=True,
        placeholder="–",
        column_order=["model_id", *(name for name in COLUMNS if name != "model_id")],
        column_config={
            "model_id": st.column_config.TextColumn("Model", pinned=True, width=250),
            "path": "Path",
        }
        | FIGURES,
    )


def failures() -> None:
    rows = read("migration_path", "sync_errors", **times)
    if rows:
        st.header("Errors on the synchronous path")
        st.dataframe(
            rows,
            key="errors",
            hide_index=True,
            column_config={
                "error_code": "Error",
                "generations": count_column("Generations"),
            },
            width=420,
        )


def changes() -> None:
    st.header("Changes to the percentage")
    rows = read("migration_path", "changes")
    if not rows:
        st.caption("No changes. All users are on the synchronous path.")
        return
    st.dataframe(
        rows,
        key="changes",
        hide_index=True,
        column_config={
            "at": time_column("Time", seconds=True),
            "actor": "User",
            "before": percent_column("From"),
            "after": percent_column("To"),
        },
    )


live(panel, seconds=5 * REFRESH_SECONDS)
