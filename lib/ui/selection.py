"""Tables whose selection survives data updates."""

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
    multiple: bool = True,
    selected: Sequence[Hashable] = (),
    **options: Any,
) -> list[Any]:
    """Draw a table and return the ids of the selected rows, in the table's order.

    `ids` holds one id per row; `name` is unique on the page; `columns` are the visible columns in
    order, as column_config. `selected` is the initial selection. Other options go to
    `st.dataframe`.
    """
    # Streamlit tracks selected rows by index, so different rows need a new key; the new table
    # starts with the selection of the previous one.
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
        selection_mode="multi-row" if multiple else "single-row",
        selection_default={"selection": {"rows": places, "columns": [], "cells": []}},
        hide_index=True,
        column_order=list(columns),
        column_config=columns,
        **options,
    )
    st.session_state[f"{name} drawn"] = (key, list(ids))
    return [ids[row] for row in state.selection.rows]
