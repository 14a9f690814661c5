"""Tables whose rows stay selected while the data under them changes."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st


def selectable(
    rows: pd.DataFrame,
    ids: Sequence[Hashable],
    *,
    name: str,
    columns: Mapping[str, Any],
    several: bool = True,
    selected: Sequence[Hashable] = (),
    **options: Any,
) -> list[Any]:
    """Draws a table and returns the ids of the selected rows, in the table's order.

    `ids` holds one per row; `name` is the table's on its page; `columns` are those shown, in this
    order, as the column_config of `st.dataframe`; `selected` are selected when the table was not
    drawn just before. Other options are those of `st.dataframe`.
    """
    # Streamlit knows rows by their place, so a table of other rows is another table, which begins
    # with what was selected in the last one.
    before, key = st.session_state.get(f"{name} drawn"), f"{name} {hash(tuple(ids))}"
    if before is not None and before[0] in st.session_state:
        drawn, its_ids = before
        selected = [its_ids[row] for row in st.session_state[drawn].selection.rows]
    chosen = set(selected)
    places = [place for place, row in enumerate(ids) if row in chosen]
    state = st.dataframe(
        rows,
        key=key,
        on_select="rerun",
        selection_mode="multi-row" if several else "single-row",
        selection_default={"selection": {"rows": places, "columns": [], "cells": []}},
        hide_index=True,
        column_order=list(columns),
        column_config=columns,
        **options,
    )
    st.session_state[f"{name} drawn"] = (key, list(ids))
    return [ids[row] for row in state.selection.rows]
