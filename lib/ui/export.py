"""CSV export of whole tables, fetched in batches."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any
from uuid import UUID

import streamlit as st

from lib.formats import plural
from lib.ui.dashboard import database_errors_shown, read_once

Row = Mapping[str, Any]
MAX_ROWS = 1_000_000
"""What a spreadsheet can open. The page warns if rows were left out."""
BATCH_ROWS = 2_000
FORMULA = re.compile(
    # What may separate cells where lists are written with semicolons, or lines.
    r"(?:^|[;\t\r\n\x0b\x0c\x85\u2028\u2029])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])"
)
"""Places in text where spreadsheets see a formula or the next cell begin, full-width signs too."""
BYTE_ORDER_MARK = "\ufeff"
NEWEST = {"before": "infinity", "before_id": UUID(int=2**128 - 1)}
"""Start of a list by time, newest first."""


def csv_export(
    name: str, columns: Sequence[str], expected: int, pages: Callable[[], Iterable[Sequence[Row]]]
) -> None:
    """A button that fetches all rows with a progress bar, then two that download the file.

    One of them adds the mark by which Excel recognizes UTF-8; other programs read it as text.

    `name` is the file name without extension, `expected` the approximate number of rows. `pages`
    yields the rows in batches, each fetched by a short query. Draws nothing during an outage.
    """
    if "database_unreachable" in st.session_state:
        return
    if not st.button("Export as CSV", icon=":material/download:", key=f"export {name}"):
        return
    bar = st.progress(0.0, "Fetching rows")
    with database_errors_shown():
        file = StringIO(newline="")
        writer = csv.writer(file)
        writer.writerow(columns)
        count = 0
        for page in pages():
            writer.writerows([_cell(row[column]) for column in columns] for row in page)
            count += len(page)
            bar.progress(min(count / max(expected, count, 1), 1.0), plural(count, "row"))
            if count >= MAX_ROWS:
                st.warning(
                    f"The file is limited to {MAX_ROWS:,} rows. To export everything, narrow the"
                    " filters and export in several parts."
                )
                break
        bar.empty()
        content = file.getvalue()
        with st.container(horizontal=True):
            for label, mark, use in (
                (f"Save {plural(count, 'row')}", "", "save"),
                ("Save for Excel", BYTE_ORDER_MARK, "save for Excel"),
            ):
                st.download_button(
                    label,
                    f"{mark}{content}",
                    f"{name}.csv",
                    "text/csv",
                    on_click="ignore",
                    key=f"{use} {name}",
                )


def batches(
    page: str, query: str, start: Mapping[str, Any], keys: Sequence[str], /, **filters: Any
) -> Iterator[Sequence[Row]]:
    """All rows of a query that continues after a given row, in batches of up to BATCH_ROWS.

    `start` has the query's parameters for the first batch; those of the next one are the columns
    `keys` of the last row, in the same order.
    """
    position = dict(start)
    while rows := read_once(page, query, **filters, **position, most=BATCH_ROWS):
        yield rows
        if len(rows) < BATCH_ROWS:
            return
        position = {name: rows[-1][key] for name, key in zip(start, keys, strict=True)}


def without_formulas(value: Any) -> Any:
    """A cell in which no spreadsheet finds a formula; job data is untrusted, and they run them."""
    return FORMULA.sub(r"\g<0>'", value) if isinstance(value, str) else value


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return without_formulas(value)
