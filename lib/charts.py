"""How every chart looks: its question above, its figures as a table below."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

STATUSES = ["completed", "failed", "cancelled", "pending", "processing"]
_COLORS = ["#2f9e6e", "#d64545", "#8a8f98", "#c58a1b", "#2f6fe4"]
HEIGHT = 220


def status_color() -> alt.Color:
    """Statuses in their colours, the same on every page."""
    return alt.Color("status:N", title=None).scale(domain=STATUSES[:3], range=_COLORS[:3])


def show(
    question: str,
    chart: Any,
    figures: pd.DataFrame,
    *,
    key: str,
    alt_text: str,
    columns: dict[str, Any] | None = None,
    empty: str = "No job ended in this time.",
) -> None:
    """A chart under the question that it answers, and its figures behind it.

    `alt_text` says in words what is drawn; `columns` as `column_config` of a dataframe; `empty`
    stands in for a chart without figures.
    """
    st.subheader(question)
    if figures.empty:
        st.info(empty)
        return
    st.altair_chart(chart, key=key, alt=alt_text)
    with st.expander("As a table"):
        st.dataframe(figures, hide_index=True, column_config=columns, placeholder="–")
