"""The sidebar: the pages by section, limited to those the viewer's role may open."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from lib.database import embedded, redact, route
from lib.ops.fault_injection import fault_file
from lib.roles import Role
from lib.settings import settings
from lib.ui.access import role, sign_in_configured
from lib.ui.access.gate import gate
from lib.ui.dashboard import current_user, database_errors_shown, read, time_zone
from lib.ui.search import search
from lib.ui.tab import name_tab

ICON = Path(__file__).parents[2] / ".streamlit" / "icon.svg"
CONNECTION_HELP = {
    "direct": "Connections of its own: every feature works.",
    "session pooler": "Each connection of ours is one of the database while it is open: every"
    " feature works, and the pooler's size limits how many workers there may be.",
    "transaction pooler": "Notifications do not pass: workers and subscribers look once a second"
    " instead of being woken. A statement's time limit is that of the role.",
}
"""Help text for each way of connecting to Supabase's database."""
SECTIONS: dict[str, dict[str, str]] = {
    "Monitor": {
        "overview": "Overview",
        "throughput": "Throughput",
        "models": "Models",
        "failures": "Failures",
        "stuck_jobs": "Stuck jobs",
        "duplicates": "Duplicates",
        "jobs": "Jobs",
        "job": "Job",
        "users": "Users",
        "troubleshooting": "Troubleshooting",
    },
    "Test": {
        "generate": "Generate",
        "self_test": "Self-test",
        "fault_injection": "Fault injection",
    },
    "Operate": {
        "workers": "Workers & cron",
        "alerts": "Alerts",
        "deployment": "Deployment",
        "migration_path": "Migration path",
        "rollback": "Rollback",
        "maintenance": "Maintenance",
        "audit": "Audit",
    },
}
"""Files of pages/ and their titles, by section. A page's URL is its file name with dashes."""
SECTION_ROLES = {"Monitor": Role.VIEWER, "Test": Role.OPERATOR, "Operate": Role.OPERATOR}
"""The role required for each section."""
HOME = "overview"
HIDDEN = {"job"}
"""Not in the sidebar; reached by links only."""


def navigation() -> StreamlitPage:
    """Draw the sidebar and the page header, and return the page to run.

    Without a role, every URL leads to the sign-in gate.
    """
    st.set_page_config(layout="wide")
    viewer_role = st.session_state["role"] = role()
    if viewer_role is None:
        st.set_page_config(page_title="Darkroom", page_icon=ICON)
        files = [file for files in SECTIONS.values() for file in files]
        gates = [_page(gate, file, "Darkroom") for file in files]
        return st.navigation(gates, position="hidden")
    page = st.navigation(
        {
            section: [
                _page(f"pages/{file}.py", file, title) for file, title in SECTIONS[section].items()
            ]
            for section in _visible_sections(viewer_role)
        },
        expanded=True,
    )
    if st.session_state.get("page") != page.url_path:
        # Leaving a page closes its confirmation dialog.
        st.session_state["page"] = page.url_path
        st.session_state.pop("asked", None)
        st.session_state.pop("missed", None)
    name_tab(page.title)
    with st.sidebar:
        if sign_in_configured():
            _signed_in(viewer_role)
        _data_sources()
    with st.container(horizontal=True):
        st.title(page.title)
        with st.container(width=340):
            search()
    return page


def link(
    page: str,
    label: str | None = None,
    icon: str | None = ":material/arrow_forward:",
    **filters: str,
) -> None:
    """Link to a page by its file name, with filters in its URL.

    Renders nothing if the viewer may not open the page.
    """
    viewer_role = role()
    if viewer_role and any(page in SECTIONS[section] for section in _visible_sections(viewer_role)):
        st.page_link(f"pages/{page}.py", label=label, icon=icon, query_params=filters)


def page_path(file: str) -> str:
    """URL path of a page, such as "/stuck-jobs"."""
    return "/" if file == HOME else f"/{file.replace('_', '-')}"


def _visible_sections(viewer_role: Role) -> list[str]:
    return [section for section in SECTIONS if viewer_role >= SECTION_ROLES[section]]


def _page(content: str | Callable[[], None], file: str, title: str) -> StreamlitPage:
    return st.Page(
        content,
        title=title,
        url_path=None if file == HOME else page_path(file)[1:],
        default=file == HOME,
        visibility="hidden" if file in HIDDEN else "visible",
    )


def _signed_in(viewer_role: Role) -> None:
    with st.container(gap="xsmall"):
        st.caption(f"Signed in, with the role {viewer_role.name.lower()}:")
        st.text(current_user())
        st.button("Sign out", on_click=st.logout, type="tertiary")


def _data_sources() -> None:
    """Show which database, functions and provider are in use."""
    chosen = settings()
    database = (
        redact(chosen.database_url)
        if chosen.database_url
        else embedded.EmbeddedPostgres.description
    )
    with st.container(gap="xsmall"):
        if chosen.database_url and (way := route(chosen.database_url)) in CONNECTION_HELP:
            st.caption(f"Database: {database}, {way}", help=CONNECTION_HELP[way])
        else:
            st.caption(f"Database: {database}")
        if chosen.database_read_url:
            st.caption(f"Pages read: {redact(chosen.database_read_url)}")
        st.caption(f"Functions: {chosen.functions_elsewhere or 'this app'}")
        st.caption(f"Provider: {'Replicate' if chosen.replicate_token else 'simulated Replicate'}")
        if (reported := st.context.timezone) and reported != time_zone().key:
            st.caption("Times: UTC, because your browser's time zone is unknown here")
        faults = fault_file(chosen)
        if faults and faults.exists():
            link("fault_injection", "Faults are in force", ":material/bug_report:")
    with database_errors_shown():
        if not chosen.database_url and read("overview", "has_sample_data"):
            st.warning(
                "Sample history: thirty days of invented jobs. An empty data folder started with"
                " DARKROOM_SAMPLE_DATA=0 begins without it."
            )
