"""Who did what, and when?"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from lib.ui.columns import count_column, time_column
from lib.ui.dashboard import read
from lib.ui.export import batches, csv_export
from lib.ui.live import live, rerun_when_reachable
from lib.ui.parts.audit_entries import PAGE_ROWS, action_label, describe_entry
from lib.ui.selection import selectable
from lib.ui.time_range import ALL_TIME, RANGES, time_range

REFRESH_SECONDS = 5.0
MAX_ID_DIGITS = 18
COLUMNS = ["id", "at", "actor", "action", "affected", "details"]

st.caption("All actions by operators, newest first. Entries cannot be changed or deleted here.")


def filters() -> dict[str, Any]:
    time = time_range(tuple(RANGES)[1:], ALL_TIME)
    with st.container(horizontal=True):
        actor = choice("User", "who", [row["actor"] for row in read("audit", "actors")])
        action = choice("Action", "what", [row["action"] for row in read("audit", "actions")])
    return {"actor": actor, "action": action, **time.parameters}


def choice(label: str, key: str, options: Sequence[str]) -> str | None:
    chosen: str | None = st.selectbox(
        label,
        options,
        index=None,
        placeholder="All",
        accept_new_options=True,
        key=key,
        bind="query-params",
        width=320,
    )
    return chosen or None


def reset_position_on_filter_change(chosen: Mapping[str, Any]) -> None:
    if st.session_state.get("audit filters", chosen) != chosen:
        go_to()
    st.session_state["audit filters"] = chosen


def go_to(**position: int) -> None:
    for name in ("before", "after"):
        st.query_params.pop(name, None)
    st.query_params.update({name: str(entry) for name, entry in position.items()})


def url_position(name: str) -> int | None:
    """Entry id in the URL parameter `before` or `after`; None if missing or invalid."""
    value = st.query_params.get(name, "")
    digits = value.isascii() and value.isdigit() and len(value) <= MAX_ID_DIGITS
    return int(value) if digits else None


def panel(chosen: Mapping[str, Any]) -> None:
    before, after = url_position("before"), url_position("after")
    rows = read("audit", "entries", **chosen, before=before, after=after, most=PAGE_ROWS + 1)
    more = len(rows) > PAGE_ROWS
    paging_newer = before is None and after is not None
    rows = rows[-PAGE_ROWS:] if paging_newer else rows[:PAGE_ROWS]
    if not rows:
        st.info("No entries match these filters. Every action that changes something is recorded.")
    else:
        table(rows)
    page_buttons(
        rows, newer=more if paging_newer else before is not None, older=more or paging_newer
    )


def table(rows: Sequence[Any]) -> None:
    shown = [
        row
        | {
            "what": action_label(row["action"], row["after"]),
            "change": describe_entry(row["before"], row["after"], row["rest"]),
            "affected": row["affected"] or None,
        }
        for row in rows
    ]
    selected = selectable(
        pd.DataFrame(shown, columns=["at", "actor", "what", "affected", "change", "rest"]),
        [row["id"] for row in rows],
        name="audit",
        multiple=False,
        alt="Audit log entries",
        phone=("what", "actor", "at"),
        placeholder="",
        height=560 if len(shown) > 15 else "content",
        columns={
            "at": time_column("Time", seconds=True, year=True, width=165),
            "actor": st.column_config.TextColumn("User", width=170),
            "what": st.column_config.TextColumn("Action", width=160),
            "affected": count_column("Count", width=65),
            "change": st.column_config.TextColumn("What changed", width=410),
        },
        more={"rest": "Details"},
    )
    if not selected:
        st.caption("Click an entry to see its details, including the jobs affected.")
        return
    row = next(row for row in shown if row["id"] == selected[0])
    st.header("Entry")
    count = f", {row['affected']:,} changed" if row["affected"] else ""
    st.text(f"{row['what']}{count}, by {row['actor']}")
    if row["change"]:
        st.text(row["change"])
    st.code(read("audit", "details", id=row["id"]), language="json", wrap_lines=True, height=400)


def page_buttons(rows: Sequence[Any], *, newer: bool, older: bool) -> None:
    with st.container(horizontal=True):
        button = partial(st.button, on_click=go_to)
        button("Newest", icon=":material/first_page:", disabled=not newer)
        first = rows[0]["id"] if rows else None
        last = rows[-1]["id"] if rows else None
        button(
            "Newer",
            icon=":material/chevron_left:",
            disabled=not newer or first is None,
            kwargs={"after": first},
        )
        button(
            "Older",
            icon=":material/chevron_right:",
            disabled=not older or last is None,
            kwargs={"before": last},
        )


with rerun_when_reachable():
    chosen = filters()
    reset_position_on_filter_change(chosen)
    live(partial(panel, chosen), seconds=REFRESH_SECONDS)
    csv_export(
        "audit log",
        COLUMNS,
        PAGE_ROWS,
        lambda: batches("audit", "export", {"before": None}, ["id"], **chosen),
    )
