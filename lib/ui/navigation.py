"""The pages of the control room, in the sections of the sidebar, for whom they are."""

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
from lib.ui.dashboard import read, say_when_away, who
from lib.ui.search import search
from lib.ui.tab import name_tab

ICON = Path(__file__).parent.parent / ".streamlit" / "icon.svg"
ROUTES = {
    "direct": "Connections of its own: every feature works.",
    "session pooler": "Each connection of ours is one of the database while it is open: every"
    " feature works, and the pooler's size limits how many workers there may be.",
    "transaction pooler": "Notifications do not pass: workers and subscribers look once a second"
    " instead of being woken. A statement's time limit is that of the role.",
}
"""What a way to Supabase's database means for us."""
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
"""The files of pages/ and their titles. A page's address is its file with dashes."""
NEEDED = {"Monitor": Role.VIEWER, "Test": Role.OPERATOR, "Operate": Role.OPERATOR}
"""The role that opens a section."""
FIRST = "overview"
HIDDEN = {"job"}
"""Reached by links alone."""


def navigation() -> StreamlitPage:
    """Draws the sidebar and the page's head, and returns the page to run.

    It is one of those that the viewer's role opens.

    Who has no role gets at every address what there is to say about that, and nothing else.
    """
    st.set_page_config(layout="wide")
    has = st.session_state["role"] = role()
    if has is None:
        st.set_page_config(page_title="Darkroom", page_icon=ICON)
        files = [file for files in SECTIONS.values() for file in files]
        doors = [_page(gate, file, "Darkroom") for file in files]
        return st.navigation(doors, position="hidden")
    page = st.navigation(
        {
            section: [
                _page(f"pages/{file}.py", file, title) for file, title in SECTIONS[section].items()
            ]
            for section in _sections(has)
        },
        expanded=True,
    )
    if st.session_state.get("page") != page.url_path:
        # A question that was open when its page was left is not asked again.
        st.session_state["page"] = page.url_path
        st.session_state.pop("asked", None)
        st.session_state.pop("missed", None)
    name_tab(page.title)
    with st.sidebar:
        if sign_in_configured():
            _signed_in(has)
        _sources()
    with st.container(horizontal=True):
        st.title(page.title)
        with st.container(width=340):
            search()
    return page


def link(
    page: str, label: str | None = None, icon: str = ":material/arrow_forward:", **filters: str
) -> None:
    """Links to a page by its file's name, with filters in its URL.

    Draws nothing for whom that page is not.
    """
    has = role()
    if has and any(page in SECTIONS[section] for section in _sections(has)):
        st.page_link(f"pages/{page}.py", label=label, icon=icon, query_params=filters)


def address(file: str) -> str:
    """The path of a page's address, such as "/stuck-jobs"."""
    return "/" if file == FIRST else f"/{file.replace('_', '-')}"


def _sections(has: Role) -> list[str]:
    return [section for section in SECTIONS if has >= NEEDED[section]]


def _page(shown: str | Callable[[], None], file: str, title: str) -> StreamlitPage:
    return st.Page(
        shown,
        title=title,
        url_path=None if file == FIRST else address(file)[1:],
        default=file == FIRST,
        visibility="hidden" if file in HIDDEN else "visible",
    )


def _signed_in(has: Role) -> None:
    with st.container(gap="xsmall"):
        st.caption(f"Signed in, with the role {has.name.lower()}:")
        st.text(who())
        st.button("Sign out", on_click=st.logout, type="tertiary")


def _sources() -> None:
    """Which database, functions and provider are in use."""
    chosen = settings()
    database = (
        redact(chosen.database_url)
        if chosen.database_url
        else embedded.EmbeddedPostgres.description
    )
    with st.container(gap="xsmall"):
        if chosen.database_url and (way := route(chosen.database_url)) in ROUTES:
            st.caption(f"Database: {database}, {way}", help=ROUTES[way])
        else:
            st.caption(f"Database: {database}")
        if chosen.database_read_url:
            st.caption(f"Pages read: {redact(chosen.database_read_url)}")
        st.caption(f"Functions: {chosen.functions_elsewhere or 'this app'}")
        st.caption(f"Provider: {'Replicate' if chosen.replicate_token else 'simulated Replicate'}")
        faults = fault_file(chosen)
        if faults and faults.exists():
            link("fault_injection", "Faults are in force", ":material/bug_report:")
    with say_when_away():
        if not chosen.database_url and read("overview", "has_sample_data"):
            st.warning(
                "Sample history: thirty days of invented jobs. An empty data folder started with"
                " DARKROOM_SAMPLE_DATA=0 begins without it."
            )
