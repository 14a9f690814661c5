"""Tables whose selection survives data updates, and tables whose rows open on a click."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NoReturn

import pandas as pd
import streamlit as st

from lib.ui.columns import fitting


def selectable(
    rows: pd.DataFrame,
    ids: Sequence[Hashable],
    *,
    name: str,
    columns: Mapping[str, Any],
    multiple: bool = True,
    selected: Sequence[Hashable] = (),
    more: Mapping[str, Any] | None = None,
    opens: Callable[[Any], NoReturn] | None = None,
    **options: Any,
) -> list[Any]:
    """Draw a table and return the ids of the selected rows, in the table's order.

    Without `multiple`, a click on any cell selects its row.

    `ids` holds one id per row; `name` is unique on the page; `columns` are the visible columns in
    order, as column_config; those of `more` are hidden until the viewer picks them in the table's
    menu; `phone` names those that come first on a phone. `selected` is the initial selection. A
    click on a cell calls `opens` with the row's id; rows are then selected by their boxes. Other
    options go to `st.dataframe`.
    """
    # Streamlit tracks selected rows by index, so different rows need a new key; the new table
    # starts with the selection of the previous one.
    before = st.session_state.get(f"{name} drawn")
    key = f"{name} {_clicks(name)} {hash(tuple(ids))}"
    if before is not None and before[0] in st.session_state:
        drawn, its_ids = before
        selected = [its_ids[row] for row in _rows(st.session_state[drawn].selection)]
    chosen = set(selected)
    places = [place for place, row in enumerate(ids) if row in chosen]
    mode = ["multi-row", "single-cell"] if opens else "multi-row" if multiple else "single-cell"
    state = _table(
        rows,
        columns,
        more,
        key=key,
        selection_mode=mode,
        selection_default={
            "selection": {
                "rows": places if multiple else [],
                "columns": [],
                "cells": [] if multiple else [(place, next(iter(columns))) for place in places[:1]],
            }
        },
        **options,
    )
    if opens and (clicked := _clicked(name, ids, state)) is not None:
        opens(clicked)
    st.session_state[f"{name} drawn"] = (key, list(ids))
    return [ids[row] for row in _rows(state.selection)]


def opened(
    rows: pd.DataFrame,
    ids: Sequence[Hashable],
    *,
    name: str,
    columns: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any | None:
    """Draw a table and return the id of the row that was just clicked, or None.

    Parameters as of `selectable`.
    """
    state = _table(
        rows, columns, more, key=f"{name} {_clicks(name)}", selection_mode="single-cell", **options
    )
    return _clicked(name, ids, state)


def _table(
    rows: pd.DataFrame,
    columns: Mapping[str, Any],
    more: Mapping[str, Any] | None,
    phone: Sequence[str] = (),
    **options: Any,
) -> Any:
    hidden, shown = more or {}, fitting(columns, phone)
    return st.dataframe(
        rows[[*columns, *hidden]],
        on_select="rerun",
        hide_index=True,
        column_order=shown["column_order"],
        column_config={**shown["column_config"], **hidden},
        **options,
    )


def _clicks(name: str) -> int:
    clicks: int = st.session_state.get(f"{name} clicks", 0)
    return clicks


def _clicked(name: str, ids: Sequence[Hashable], state: Any) -> Any | None:
    """The id of the row whose cell was just clicked."""
    if not state.selection.cells:
        return None
    # A new table, so that the click is not there any more when the viewer comes back.
    st.session_state[f"{name} clicks"] = _clicks(name) + 1
    return ids[state.selection.cells[0][0]]


def _rows(selection: Any) -> list[int]:
    """Positions of the selected rows; a selected cell stands for its row."""
    return [*selection.rows, *(row for row, _ in selection.cells)]
