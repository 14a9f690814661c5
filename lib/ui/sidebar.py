"""The sidebar: environment, pages with live counts, what is in use, and the signed-in user."""

from collections.abc import Iterator
from functools import partial
from itertools import count
from time import monotonic

import streamlit as st

from lib.database import DatabaseUnavailable, embedded, project_ref, redact, route
from lib.formats import escaped
from lib.ops.alerts.watch import EVALUATE_SECONDS
from lib.ops.fault_injection import fault_file
from lib.roles import Role
from lib.settings import settings
from lib.ui.access import role, sign_in_configured
from lib.ui.dashboard import current_user, time_zone
from lib.ui.pages import PAGES, may_open, sidebar_entry, sidebar_pages
from lib.ui.parts.sample_data import has_sample_data
from lib.ui.shortcuts import shortcuts
from lib.ui.tab import FrameState, TabState, frame_state, name_tab

REFRESH_SECONDS = 5.0
"""How often an open page updates its counts and its tab."""
STARTED = monotonic()
WITHOUT_FILTERS = {"jobs": {"view": "all"}}
"""Filters in the links of the sidebar. Without any, Jobs would restore those of the last visit."""
CONNECTION_HELP = {
    "direct": "Direct connections: every feature works.",
    "session pooler": "Session pooler: every feature works. Each connection of the app and of every"
    " worker occupies a database connection, so the pool size limits the number of workers.",
    "transaction pooler": "Transaction pooler: it does not pass notifications, so workers and"
    " subscribers poll instead. The role's statement timeout applies.",
}
"""Help text for each way of connecting to Supabase's database."""


def sidebar(viewer: Role, file: str) -> None:
    """Draw the sidebar of a page, name the browser tab, and keep both up to date."""
    name_tab(PAGES[file].title, st.session_state.get("tab", TabState()))
    with st.sidebar:
        # Parallel, so that the page does not wait for this query.
        draw = partial(_navigation, viewer, file, count())
        st.fragment(draw, run_every=REFRESH_SECONDS, parallel=True)()
        st.divider()
        _in_use(viewer)
        if sign_in_configured():
            _signed_in(viewer)
        shortcuts(viewer)


def _navigation(viewer: Role, file: str, draws: Iterator[int]) -> None:
    if role() != viewer:
        # The role was revoked while the page is open: reveal nothing more.
        return
    state: FrameState | None = st.session_state.get("counts")
    # The first draw is that of the page, which shows what is known: links must not wait. All draws
    # put the same elements in the same places, or the focus would be lost.
    first = not next(draws)
    if state is None and not first:
        # Before asking the database: while that waits, what is not drawn again fades.
        _links(viewer, file, None)
        if _refresh(file) is not None:
            st.rerun(scope="fragment")
        return
    if state is None or not first:
        state = _refresh(file)
    _links(viewer, file, state)


def _refresh(file: str) -> FrameState | None:
    state, tab = frame_state()
    st.session_state["counts"] = state
    if tab != st.session_state.get("tab", TabState()):
        st.session_state["tab"] = tab
        name_tab(PAGES[file].title, tab)
    return state


def _links(viewer: Role, file: str, state: FrameState | None) -> None:
    current = sidebar_entry(viewer, file)
    with st.container(gap="xsmall"):
        for page in sidebar_pages(viewer):
            entry = PAGES[page]
            # Streamlit itself highlights the entry of the open page, but not that of its parent.
            parent = page == current != file
            label = f":primary-background[**{entry.title}**]" if parent else entry.title
            number = badge(page, state) if state else ""
            label = f"{label} {number}".strip()
            st.page_link(
                f"pages/{page}.py",
                label=label,
                icon=entry.icon,
                width="stretch",
                query_params=WITHOUT_FILTERS.get(page),
            )


def badge(page: str, state: FrameState) -> str:
    """What stands behind a page's entry, as Markdown; empty for nothing."""
    match page:
        case "jobs" if state["pending"]:
            more = "+" if state["pending_at_least"] else ""
            return f":gray-badge[{state['pending']:,}{more}]"
        case "failures" if state["failure_groups"]:
            more = "+" if state["failure_groups_at_least"] else ""
            return f":gray-badge[{state['failure_groups']}{more}]"
        case "workers" if state["workers_expected"]:
            alive, expected = state["workers_alive"], state["workers_expected"]
            color = "gray" if alive == expected else "orange" if alive else "red"
            return f":{color}-badge[{alive}/{expected}]"
        case "alerts" if not state["alerts_known"]:
            # After a start, the worker needs a moment to evaluate them.
            starting = monotonic() - STARTED < 2 * EVALUATE_SECONDS
            return "" if starting else ":orange-badge[stale]"
        case "alerts" if firing := state["critical"] + state["warnings"]:
            return f":{'red' if state['critical'] else 'orange'}-badge[{firing}]"
    return ""


def environment() -> None:
    """Show which environment this is, so that nobody mistakes one for another."""
    chosen = settings()
    if name := chosen.environment or (
        chosen.database_url and (project_ref(chosen.database_url) or "PROD")
    ):
        st.badge(f"**{escaped(name)}**", icon=":material/public:", color="violet")
    elif _has_sample_data():
        st.badge(
            "DEMO",
            color="gray",
            help="30 days of sample jobs in the embedded database. Remove them on Overview"
            " or Maintenance.",
        )
    else:
        st.badge("LOCAL", color="gray", help="The embedded database, without sample jobs.")


def _has_sample_data() -> bool:
    if st.session_state.get("database_unreachable"):
        return settings().sample_data
    try:
        return has_sample_data()
    except DatabaseUnavailable:
        return settings().sample_data


def _in_use(viewer: Role) -> None:
    """Show which database, functions and provider are in use."""
    chosen = settings()
    with st.container(gap="xxsmall"):
        if chosen.database_url:
            way = route(chosen.database_url)
            named = f", {way}" if way in CONNECTION_HELP else ""
            st.caption(
                f"Database: {redact(chosen.database_url)}{named}", help=CONNECTION_HELP.get(way)
            )
        else:
            st.caption(f"Database: {embedded.EmbeddedPostgres.description}")
        if chosen.database_read_url:
            st.caption(f"Read replica: {redact(chosen.database_read_url)}")
        st.caption(f"Functions: {chosen.functions_elsewhere or 'this app'}")
        st.caption(f"Provider: {'Replicate' if chosen.replicate_token else 'simulated Replicate'}")
        if (reported := st.context.timezone) and reported != time_zone().key:
            st.caption("Times in UTC: your browser's time zone is unknown")
        faults = fault_file(chosen)
        if faults and faults.exists() and may_open(viewer, "fault_injection"):
            st.page_link(
                "pages/fault_injection.py", label="Faults active", icon=":material/bug_report:"
            )


def _signed_in(viewer: Role) -> None:
    with st.container(gap="xxsmall"):
        st.caption(f"Signed in as {viewer.name.lower()}")
        st.text(current_user())
        st.button("Sign out", on_click=st.logout, type="tertiary", icon=":material/logout:")
