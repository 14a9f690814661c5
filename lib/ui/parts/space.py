"""Space view of the Maintenance page: table sizes, vacuum state, index bloat."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from lib.formats import share, size
from lib.ops.maintenance.space import bloated, run_in_background, vacuum_due
from lib.resources import database_url
from lib.roles import Role
from lib.settings import settings
from lib.ui.columns import count_column, time_column
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, clear_cached_answers, read


def space() -> None:
    """Draw table and index sizes, with controls to vacuum and reindex."""
    tables, indexes = read("maintenance", "tables"), read("maintenance", "indexes")
    overdue = [table for table in tables if vacuum_due(table)]
    bloated_indexes = [index for index in indexes if bloated(index)]
    invalid_indexes = [index for index in indexes if not index["valid"] and not index["building"]]
    show_problems(overdue, bloated_indexes, invalid_indexes)
    show_tables(tables)
    maintenance_controls("vacuum", "Table", [table["name"] for table in tables], overdue)
    show_indexes(indexes)
    maintenance_controls(
        "reindex", "Index", [index["name"] for index in indexes], bloated_indexes + invalid_indexes
    )


def show_tables(tables: Sequence[dict[str, Any]]) -> None:
    """Draw table sizes and vacuum state."""
    st.header("Tables")
    st.dataframe(
        pd.DataFrame(
            {
                "Table": table["name"],
                "Size": size(table["bytes"]),
                "Rows": size(table["heap_bytes"]),
                "Indexes": size(table["index_bytes"]),
                "Live rows": table["live"],
                "Dead rows": table["dead"],
                "Dead rows (%)": share(table["dead"], table["live"] + table["dead"]),
                "Vacuum at": table["due_at"],
                "Vacuumed": table["vacuumed_at"],
                "Analyzed": table["analyzed_at"],
                "Freeze age": share(table["age"], table["freeze_at"]),
                "State": vacuum_state(table),
            }
            for table in tables
        ),
        hide_index=True,
        alt="Tables with their sizes and the state of vacuum",
        placeholder="Never",
        column_order=[
            "Table",
            "Size",
            "Indexes",
            "Live rows",
            "Dead rows",
            "Dead rows (%)",
            "Vacuum at",
            "Vacuumed",
            "State",
        ],
        column_config={
            "Live rows": count_column(),
            "Dead rows": count_column(),
            "Vacuum at": count_column(help="Dead rows at which autovacuum runs."),
            "Vacuumed": time_column(),
            "Analyzed": time_column(),
            "Freeze age": st.column_config.TextColumn(
                help="Age of the oldest row as a share of the age at which a freeze is forced."
            ),
        },
    )


def show_indexes(indexes: Sequence[dict[str, Any]]) -> None:
    """Draw index sizes next to their expected sizes."""
    st.header("Indexes")
    st.dataframe(
        pd.DataFrame(
            {
                "Index": index["name"],
                "Table": index["table_name"],
                "Size": size(index["bytes"]),
                "Expected size": size(index["expected_bytes"]) if index["expected_bytes"] else None,
                "Scans": index["scans"],
                "State": index["building"]
                or ("Bloated" if bloated(index) else "OK" if index["valid"] else "Invalid"),
            }
            for index in indexes
        ),
        hide_index=True,
        alt="Indexes with their sizes",
        placeholder="Not analyzed yet",
        column_config={"Scans": count_column()},
    )


def show_problems(
    overdue: Sequence[dict[str, Any]],
    bloated_indexes: Sequence[dict[str, Any]],
    invalid_indexes: Sequence[dict[str, Any]],
) -> None:
    """Show tables that need a vacuum, and bloated or invalid indexes."""
    for table in overdue:
        st.warning(
            f"Vacuum is not keeping up with {table['name']}: {table['dead']:,} dead rows;"
            f" autovacuum should have started at {table['due_at']:,}. Vacuum it; if the number does"
            " not fall, an open transaction is holding vacuum back (see Troubleshooting).",
            icon=":material/warning:",
        )
    for index in bloated_indexes:
        st.warning(
            f"{index['name']} is bloated: {size(index['bytes'])}, expected"
            f" {size(index['expected_bytes'])}. Rebuild it.",
            icon=":material/warning:",
        )
    for index in invalid_indexes:
        st.error(
            f"{index['name']} is invalid because its build failed: it is updated but never used."
            " Rebuild it.",
            icon=":material/error:",
        )
    if not (overdue or bloated_indexes or invalid_indexes):
        st.success(
            "**All good.** Vacuum is keeping up; no index is bloated or invalid.",
            icon=":material/check_circle:",
        )


def vacuum_state(table: dict[str, Any]) -> str:
    """A table's vacuum state in a word or two."""
    return table["vacuuming"] or ("Overdue" if vacuum_due(table) else "OK")


def maintenance_controls(
    kind: Any, label: str, names: list[str], recommended: Sequence[dict[str, Any]]
) -> None:
    """Select a table or index and ask for confirmation to vacuum or rebuild it."""
    first = names.index(recommended[0]["name"]) if recommended else 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(label, names, index=first, key=f"{kind} name", width=360)
        verb = "Vacuum table" if kind == "vacuum" else "Rebuild index"
        if name and st.button(
            verb, key=f"{kind} button", type="primary" if recommended else "secondary"
        ):
            ask(ACTIONS[kind](name))


def vacuum_action(name: str) -> Action:
    """Vacuum and analyze a table."""
    return Action(
        f"Vacuum {name}",
        f"Frees the space of deleted rows of {name} and updates its statistics. The queue keeps"
        " running. On a large table this takes minutes and reads a lot from disk.",
        f"Vacuum {name}",
        lambda: start_work("vacuum", "space", name),
    )


def reindex_action(name: str) -> Action:
    """Rebuild an index concurrently."""
    return Action(
        f"Rebuild {name}",
        f"Rebuilds {name} while the queue keeps running (REINDEX CONCURRENTLY). Needs disk space"
        " for a second copy of the index, waits for open transactions and takes minutes for"
        " millions of rows.",
        f"Rebuild {name}",
        lambda: start_work("reindex", "indexes", name),
        needs=Role.ADMIN,
    )


ACTIONS: dict[str, Callable[[str], Action]] = {"vacuum": vacuum_action, "reindex": reindex_action}


def start_work(kind: Any, task: str, name: str) -> str:
    """Start a vacuum or reindex in the background; returns the report."""
    try:
        run_in_background(database_url(settings()), actor(), task, kind, name, clear_cached_answers)
    except LookupError as error:
        return str(error)
    return f"{kind.capitalize()} of {name} started. The table shows when it is done."
