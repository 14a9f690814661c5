"""Whole tables as CSV files, fetched page by page."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO
from typing import Any

import streamlit as st

from lib.ui.dashboard import say_when_away

Row = Mapping[str, Any]
MOST_ROWS = 1_000_000
"""What a spreadsheet can open; the file says nothing of the rest, so the page does."""


def csv_export(
    name: str, columns: Sequence[str], expected: int, pages: Callable[[], Iterable[Sequence[Row]]]
) -> None:
    """A button that fetches all rows with a progress bar, and then one that saves the file.

    `name` without ending, in the page's own words; `expected` is about how many rows there are;
    `pages` gives them in pieces, each fetched by a short query of its own.
    """
    if not st.button("Export as CSV", icon=":material/download:", key=f"export {name}"):
        return
    bar = st.progress(0.0, "Fetching")
    with say_when_away():
        file = StringIO(newline="")
        writer = csv.writer(file)
        writer.writerow(columns)
        count = 0
        for page in pages():
            writer.writerows([_cell(row[column]) for column in columns] for row in page)
            count += len(page)
            bar.progress(min(count / max(expected, count, 1), 1.0), f"{count:,} rows")
            if count >= MOST_ROWS:
                st.warning(f"The file ends after {MOST_ROWS:,} rows: choose a narrower filter.")
                break
        bar.empty()
        st.download_button(
            f"Save {count:,} rows",
            file.getvalue(),
            f"{name}.csv",
            "text/csv",
            on_click="ignore",
            key=f"save {name}",
        )


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    # A spreadsheet would run what looks like a formula, and job data is anyone's.
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
