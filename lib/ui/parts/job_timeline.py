"""The attempts of a job: as bars, and as a table."""

from collections.abc import Sequence
from functools import lru_cache

import altair as alt
import pandas as pd
import streamlit as st

from lib.checks.attempts import PHASES, Attempt
from lib.formats import duration
from lib.ui.charts import colors
from lib.ui.columns import time_column

HUES = ("gray", "amber", "blue", "violet")
"""Of the phases, in their order."""
ROW_HEIGHT, AROUND = 34, 110
"""Of an attempt, and of the legend and the axis together."""
BARS = "bars"
MAX_ATTEMPTS = 30
"""The query reads no more."""


def show_timeline(attempts: Sequence[Attempt]) -> None:
    """Draw one bar per attempt, with its phases; zero is when a worker claimed it."""
    bars = _bars(attempts)
    if bars.empty:
        st.caption("No attempts yet.")
        return
    ran = float(bars["end"].max())
    waited = float(-bars["begin"].min())
    # A long wait would flatten the rest.
    before = waited if ran <= 0 else min(waited, max(ran, 1.0))
    spec = _spec(tuple(bars["attempt"].unique()), colors(HUES))
    bars["begin"] = bars["begin"].clip(lower=-before)
    st.vega_lite_chart(spec=spec | {"datasets": {BARS: bars}}, key="timeline", alt=_alt(attempts))
    if before < waited:
        st.caption("Longer pending times are cut off on the left; see the Attempts tab.")


def _bars(attempts: Sequence[Attempt]) -> pd.DataFrame:
    rows = []
    for attempt in attempts:
        if not attempt.phases:
            continue
        zero = attempt.started_at or attempt.phases[-1].ends
        for phase in attempt.phases:
            rows.append(
                {
                    "attempt": f"{attempt.number[:9]}: {attempt.outcome[:40]}",
                    "phase": phase.name,
                    "begin": (phase.begins - zero).total_seconds(),
                    "end": (phase.ends - zero).total_seconds(),
                    "words": duration(phase.seconds),
                    "worker": attempt.worker or "–",
                    "prediction": attempt.prediction or "–",
                }
            )
    return pd.DataFrame(rows)


@lru_cache(32)
def _spec(attempts: tuple[str, ...], palette: tuple[str, ...]) -> dict[str, object]:
    spec: dict[str, object] = (
        alt.Chart(alt.NamedData(BARS), height=ROW_HEIGHT * len(attempts) + AROUND)
        .mark_bar(height=18)
        .encode(
            x=alt.X("begin:Q", title="seconds since the start").scale(nice=False).axis(tickCount=8),
            x2="end:Q",
            y=alt.Y("attempt:N", title=None, sort=attempts).axis(labelLimit=260),
            color=alt.Color("phase:N", title=None)
            .scale(domain=PHASES, range=palette)
            .legend(orient="top"),
            tooltip=[
                alt.Tooltip("attempt:N", title="Attempt"),
                alt.Tooltip("phase:N", title="Phase"),
                alt.Tooltip("words:N", title="Duration"),
                alt.Tooltip("worker:N", title="Worker"),
                alt.Tooltip("prediction:N", title="Prediction"),
            ],
        )
        .to_dict()
    )
    return spec


def _alt(attempts: Sequence[Attempt]) -> str:
    told = [
        f"attempt {attempt.number}: "
        + ", ".join(f"{each.name.lower()} {duration(each.seconds)}" for each in attempt.phases)
        + f", {attempt.outcome}"
        for attempt in attempts
        if attempt.phases
    ]
    return f"Timeline of attempts. {'; '.join(told)}."


def show_attempts(attempts: Sequence[Attempt], shown_error: str | None) -> None:
    """Draw the attempts as a table; `shown_error` is on the page already and left out."""
    rows = [
        {
            "number": attempt.number,
            "started": attempt.started_at,
            **{each.name: each.seconds for each in attempt.phases},
            "outcome": attempt.outcome,
            "worker": attempt.worker,
            "prediction": attempt.prediction,
            "error": "" if attempt.error == shown_error else attempt.error,
        }
        for attempt in attempts
    ]
    table = pd.DataFrame(
        rows,
        columns=["number", "started", *PHASES, "outcome", "worker", "prediction", "error"],
    )
    table["started"] = pd.to_datetime(table["started"], utc=True)
    for phase in PHASES:
        table[phase] = [None if pd.isna(value) else duration(value) for value in table[phase]]
    text = st.column_config.TextColumn
    st.dataframe(
        table,
        key="attempts",
        alt="Attempts",
        hide_index=True,
        placeholder="",
        column_order=[name for name in table.columns if name != "error" or table["error"].any()],
        column_config={
            "number": text("Attempt", width=60),
            "started": time_column("Started", seconds=True),
            **{phase: text(phase, width=70) for phase in PHASES},
            "outcome": text("Outcome", width=160),
            "worker": text("Worker", width=120),
            "prediction": text("Prediction", width=110),
            "error": text("Error", width="medium", help="The last error is at the top."),
        },
    )
    last = attempts[-1].number if attempts else ""
    if last.isdecimal() and len(attempts) < int(last) <= MAX_ATTEMPTS:
        st.caption(
            "Attempts that were cancelled, or returned to the queue by a worker, are not recorded."
        )
