"""The pages of the control room, in the sections of the sidebar."""

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from lib.dashboard import read, say_when_away
from lib.database import embedded, redact, route
from lib.fault_injection import fault_file
from lib.settings import settings

ICON = Path(__file__).parent.parent / ".streamlit" / "icon.svg"
ROUTES = {
    "direct": "Connections of its own: every feature works.",
    "session pooler": "Each connection of ours is one of the database while it is open: every"
    " feature works, and the pooler's size limits how many workers there may be.",
    "transaction pooler": "Notifications do not pass: workers and subscribers look once a second"
    " instead of being woken. A statement's time limit is that of the role.",
}
"""What a way to Supabase's database means for us."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def navigation() -> StreamlitPage:
    """Draws the sidebar and returns the page to run.

    Without sign-in everyone who reaches the app is its operator, so beyond loopback it shows
    only how to close it.
    """
    st.set_page_config(page_title="Darkroom", page_icon=str(ICON), layout="wide")
    if st.get_option("server.address") not in LOOPBACK:
        return st.navigation([st.Page(_only_loopback, title="Closed")], position="hidden")
    page = st.navigation(
        {
            "Monitor": [
                st.Page("pages/overview.py", title="Overview", default=True),
                st.Page("pages/throughput.py", title="Throughput", url_path="throughput"),
                st.Page("pages/models.py", title="Models", url_path="models"),
                st.Page("pages/failures.py", title="Failures", url_path="failures"),
                st.Page("pages/stuck_jobs.py", title="Stuck jobs", url_path="stuck-jobs"),
                st.Page("pages/duplicates.py", title="Duplicates", url_path="duplicates"),
                st.Page("pages/jobs.py", title="Jobs", url_path="jobs"),
                st.Page("pages/job.py", title="Job", url_path="job", visibility="hidden"),
                st.Page("pages/users.py", title="Users", url_path="users"),
            ],
            "Test": [
                st.Page("pages/generate.py", title="Generate", url_path="generate"),
                st.Page("pages/self_test.py", title="Self-test", url_path="self-test"),
                st.Page("pages/faults.py", title="Fault injection", url_path="faults"),
            ],
            "Operate": [
                st.Page("pages/workers.py", title="Workers & cron", url_path="workers"),
                st.Page("pages/deployment.py", title="Deployment", url_path="deployment"),
                st.Page("pages/rollout.py", title="Migration path", url_path="rollout"),
                st.Page("pages/rollback.py", title="Rollback", url_path="rollback"),
                st.Page("pages/maintenance.py", title="Maintenance", url_path="maintenance"),
                st.Page("pages/audit.py", title="Audit", url_path="audit"),
            ],
        },
        expanded=True,
    )
    if st.session_state.get("page") != page.url_path:
        # A question that was open when its page was left is not asked again.
        st.session_state["page"] = page.url_path
        st.session_state.pop("asked", None)
    with st.sidebar:
        _sources()
    return page


def link(page: str, **filters: str) -> None:
    """Links to a page by its file's name, with filters in its URL."""
    st.page_link(f"pages/{page}.py", icon=":material/arrow_forward:", query_params=filters)


def _only_loopback() -> None:
    st.title("Darkroom is closed")
    st.write(
        "There is no sign-in, so this app serves only the computer that it runs on. Start it"
        ' with `server.address = "127.0.0.1"`, as in .streamlit/config.toml, and reach it from'
        " elsewhere through an SSH tunnel."
    )


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
        st.caption(f"Functions: {chosen.supabase_url or 'this app'}")
        st.caption(f"Provider: {'Replicate' if chosen.replicate_token else 'simulated Replicate'}")
        faults = fault_file(chosen)
        if faults and faults.exists():
            st.page_link(
                "pages/faults.py", label="Faults are in force", icon=":material/bug_report:"
            )
    with say_when_away():
        if not chosen.database_url and read("overview", "has_sample_data"):
            st.warning(
                "Sample history: thirty days of invented jobs. An empty data folder started with"
                " DARKROOM_SAMPLE_DATA=0 begins without it."
            )
