"""The part of the page Maintenance about space: sizes, vacuum, indexes, and work on them."""

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
from lib.ui.dashboard import actor, read, read_anew


def space() -> None:
    """Sizes of tables and indexes, what vacuum has left, and what can be done about it."""
    tables, indexes = read("maintenance", "tables"), read("maintenance", "indexes")
    late = [table for table in tables if vacuum_due(table)]
    swollen = [index for index in indexes if bloated(index)]
    broken = [index for index in indexes if not index["valid"] and not index["building"]]
    judge(late, swollen, broken)
    show_tables(tables)
    choose("vacuum", "Table", [table["name"] for table in tables], late)
    show_indexes(indexes)
    choose("reindex", "Index", [index["name"] for index in indexes], swollen + broken)


def show_tables(tables: Sequence[dict[str, Any]]) -> None:
    """Sizes of the tables and the state of vacuum."""
    st.header("How large are the tables, and does vacuum keep up?")
    st.dataframe(
        pd.DataFrame(
            {
                "Table": table["name"],
                "Size": size(table["bytes"]),
                "Rows": size(table["heap_bytes"]),
                "Indexes": size(table["index_bytes"]),
                "Live rows": table["live"],
                "Dead": table["dead"],
                "Dead share": share(table["dead"], table["live"] + table["dead"]),
                "Vacuum at": table["due_at"],
                "Vacuumed": table["vacuumed_at"],
                "Analyzed": table["analyzed_at"],
                "Frozen": share(table["age"], table["freeze_at"]),
                "State": state(table),
            }
            for table in tables
        ),
        hide_index=True,
        alt="Tables with their sizes and the state of vacuum",
        placeholder="never",
        column_config={
            "Live rows": count_column(),
            "Dead": count_column(),
            "Vacuum at": count_column(help="Dead rows at which autovacuum comes."),
            "Vacuumed": time_column(),
            "Analyzed": time_column(),
            "Frozen": st.column_config.TextColumn(
                help="How near the oldest row is to being frozen by force, in transactions."
            ),
        },
    )


def show_indexes(indexes: Sequence[dict[str, Any]]) -> None:
    """Sizes of the indexes beside what they need."""
    st.header("Which indexes have swollen?")
    st.dataframe(
        pd.DataFrame(
            {
                "Index": index["name"],
                "Table": index["table_name"],
                "Size": size(index["bytes"]),
                "Needs about": size(index["expected_bytes"]) if index["expected_bytes"] else None,
                "Scans": index["scans"],
                "State": index["building"]
                or ("bloated" if bloated(index) else "fine" if index["valid"] else "invalid"),
            }
            for index in indexes
        ),
        hide_index=True,
        alt="Indexes with their sizes",
        placeholder="not analyzed yet",
        column_config={"Scans": count_column()},
    )


def judge(
    late: Sequence[dict[str, Any]],
    swollen: Sequence[dict[str, Any]],
    broken: Sequence[dict[str, Any]],
) -> None:
    """What is wrong, in words."""
    for table in late:
        st.warning(
            f"Vacuum does not keep up with {table['name']}: {table['dead']:,} dead rows, it should"
            f" come at {table['due_at']:,}. Vacuum it; if the number stays, a long transaction"
            " holds it back (see Troubleshooting).",
            icon=":material/visibility:",
        )
    for index in swollen:
        st.warning(
            f"{index['name']} takes {size(index['bytes'])} and needs about"
            f" {size(index['expected_bytes'])}: rebuild it.",
            icon=":material/visibility:",
        )
    for index in broken:
        st.error(
            f"{index['name']} is invalid: a build of it failed, so that it costs and serves"
            " nothing. Rebuild it.",
            icon=":material/error:",
        )
    if not (late or swollen or broken):
        st.success(
            "Vacuum keeps up, and no index has swollen or is invalid.",
            icon=":material/check_circle:",
        )


def state(table: dict[str, Any]) -> str:
    """Of vacuum, in a word or two."""
    return table["vacuuming"] or ("late" if vacuum_due(table) else "fine")


def choose(kind: Any, what: str, names: list[str], wanted: Sequence[dict[str, Any]]) -> None:
    """Picks a table or an index and asks before it is worked on."""
    first = names.index(wanted[0]["name"]) if wanted else 0
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(what, names, index=first, key=f"{kind} name", width=360)
        verb = "Vacuum and analyze" if kind == "vacuum" else "Rebuild"
        if name and st.button(verb, type="primary" if wanted else "secondary"):
            ask(WORK[kind](name))


def vacuum(name: str) -> Action:
    """A table vacuumed by hand."""
    return Action(
        f"Vacuum {name}",
        f"Frees the space of deleted rows of {name} and counts it anew. The queue goes on"
        " meanwhile; on a large table it takes minutes and reads the disk.",
        "Vacuum and analyze",
        lambda: begin("vacuum", "space", name),
    )


def reindex(name: str) -> Action:
    """An index built anew beside the old one."""
    return Action(
        f"Rebuild {name}",
        f"Builds {name} anew beside the old one (REINDEX CONCURRENTLY). The queue goes on"
        " meanwhile. It needs the space of the index once more, waits for transactions that are"
        " open, and takes minutes for millions of rows.",
        "Rebuild",
        lambda: begin("reindex", "indexes", name),
        needs=Role.ADMIN,
    )


WORK: dict[str, Callable[[str], Action]] = {"vacuum": vacuum, "reindex": reindex}


def begin(kind: Any, task: str, name: str) -> str:
    """Begins the work and says so."""
    try:
        run_in_background(database_url(settings()), actor(), task, kind, name, read_anew)
    except LookupError as error:
        return str(error)
    return f"Under way: {kind} of {name}. The table says when it is done."
