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

HUES = ("gray", "amber", "blue", "teal")
"""Of the phases, in their order."""
ROW_HEIGHT, AROUND = 34, 130
"""Of an attempt, and of the legend and the axis together."""
BARS = "bars"
MAX_ATTEMPTS = 30
"""The query reads no more."""
MAX_GAPS = 10
"""The times between attempts, on a common axis, may be this many times as long as the attempts."""
UNITS = (("hours", 7_200, 3_600), ("minutes", 120, 60), ("seconds", 0, 1))
"""Of the time axis: from how many seconds on, and their length in seconds."""


def show_timeline(attempts: Sequence[Attempt]) -> None:
    """Draw one bar per attempt, with its phases.

    Zero is when a worker claimed the first one, or each if the times between them are far longer.
    """
    bars, common = _bars(attempts)
    if bars.empty:
        st.caption("No attempts yet.")
        return
    ran = float(bars["end"].max())
    waited = float(-bars["begin"].min())
    # A long wait would flatten the rest.
    before = waited if ran <= 0 else min(waited, max(ran, 1.0))
    bars["begin"] = bars["begin"].clip(lower=-before)
    unit, _, length = next(unit for unit in UNITS if max(ran, before) >= unit[1])
    bars[["begin", "end"]] /= length
    start = "the first start" if common else "the start"
    spec = _spec(tuple(bars["attempt"].unique()), colors(HUES), f"{unit} since {start}")
    st.vega_lite_chart(spec=spec | {"datasets": {BARS: bars}}, key="timeline", alt=_alt(attempts))
    if before < waited:
        st.caption("Longer pending times are cut off on the left; see the Attempts tab.")


def _bars(attempts: Sequence[Attempt]) -> tuple[pd.DataFrame, bool]:
    """The phases in seconds, and whether they have a common zero."""
    rows: list[dict[str, object]] = []
    shown = [attempt for attempt in attempts if attempt.phases]
    zeros = [attempt.started_at or attempt.phases[-1].ends for attempt in shown]
    busy = sum(phase.seconds for attempt in shown for phase in attempt.phases)
    common = len(zeros) > 1 and (
        (zeros[-1] - zeros[0]).total_seconds() <= MAX_GAPS * max(busy, 1.0)
    )
    for attempt, own in zip(shown, zeros, strict=True):
        zero = zeros[0] if common else own
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
    return pd.DataFrame(rows), common


@lru_cache(32)
def _spec(attempts: tuple[str, ...], palette: tuple[str, ...], axis: str) -> dict[str, object]:
    spec: dict[str, object] = (
        alt.Chart(alt.NamedData(BARS), height=ROW_HEIGHT * len(attempts) + AROUND)
        .mark_bar(height=18)
        .encode(
            x=alt.X("begin:Q", title=axis).scale(nice=False).axis(tickCount=8),
            x2="end:Q",
            y=alt.Y("attempt:N", title=None, sort=attempts).axis(labelLimit=260),
            color=alt.Color("phase:N", title=None)
            .scale(domain=PHASES, range=palette)
            .legend(orient="top", columns=2),
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
            "error": text(
                "Error", width="medium", help="The latest error is shown at the top of this page."
            ),
        },
    )
    last = attempts[-1].number if attempts else ""
    if last.isdecimal() and len(attempts) < int(last) <= MAX_ATTEMPTS:
        st.caption(
            "Attempts that were cancelled, or returned to the queue by a worker, are not recorded."
        )
