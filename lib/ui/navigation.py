"""The frame of every page: sidebar, title line and browser tab; and links between pages."""

from collections.abc import Callable
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from lib.roles import Role
from lib.ui.access import role
from lib.ui.access.gate import gate
from lib.ui.pages import HOME, PAGES, VIEWS, may_open, page_path, sidebar_entry
from lib.ui.search import search
from lib.ui.sidebar import environment, sidebar
from lib.ui.tab import ICONS

SIDEBAR_PIXELS = 220
KEPT_PARAMETERS = ("model", "type", "live")
"""URL parameters of former pages that are kept when their old address redirects."""


def navigation() -> StreamlitPage:
    """Draw the sidebar and the title line, and return the page to run.

    Without a role, every URL leads to the sign-in gate.
    """
    st.set_page_config(layout="wide", initial_sidebar_state=SIDEBAR_PIXELS)
    viewer = st.session_state["role"] = role()
    if viewer is None:
        st.set_page_config(page_title="Darkroom", page_icon=ICONS / "icon.svg")
        gates = [_page(gate, file, "Darkroom") for file in (*PAGES, *VIEWS)]
        return st.navigation(gates, position="hidden")
    pages = {
        file: _page(f"pages/{file}.py", file, entry.title)
        for file, entry in PAGES.items()
        if may_open(viewer, file)
    }
    redirects = [
        _page(partial(_redirect, file), file, PAGES[VIEWS[file][0]].title) for file in VIEWS
    ]
    page = st.navigation([*pages.values(), *redirects], position="hidden")
    if page in redirects:
        return page
    file = next(file for file, candidate in pages.items() if candidate is page)
    if st.session_state.get("page") != page.url_path:
        # Leaving a page closes its confirmation dialog.
        st.session_state["page"] = page.url_path
        st.session_state.pop("action to confirm", None)
        # Left before it was drawn, the page before must not pass for the one on which one arrives.
        st.session_state.pop("drawn", None)
    st.logo(ICONS / "wordmark.svg", size="large", icon_image=ICONS / "icon.svg")
    sidebar(viewer, file)
    _title_line(viewer, file)
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
    if page in VIEWS:
        label = label or page.replace("_", " ").capitalize()
    page, view = VIEWS.get(page, (page, {}))
    viewer = role()
    if viewer and may_open(viewer, page):
        st.page_link(f"pages/{page}.py", label=label, icon=icon, query_params=view | filters)


def title_actions() -> DeltaGenerator:
    """The container at the right end of the title line, for the page's one primary button."""
    return _place("title actions")


def live_controls() -> DeltaGenerator:
    """The container on the title line for the Live switch and what belongs to it."""
    return _place("live controls")


def _place(name: str) -> DeltaGenerator:
    place: DeltaGenerator = st.session_state[name]
    return place


def _title_line(viewer: Role, file: str) -> None:
    parent = sidebar_entry(viewer, file)
    if parent != file:
        link(parent, PAGES[parent].title, ":material/chevron_left:")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(PAGES[file].title, width="content")
        # Here rather than in the sidebar, which a phone hides.
        environment()
        st.space("stretch")
        search()
        for name in ("live controls", "title actions"):
            st.session_state[name] = st.container(
                horizontal=True, vertical_alignment="center", width="content"
            )


def _redirect(file: str) -> None:
    page, view = VIEWS[file]
    kept = {name: st.query_params[name] for name in KEPT_PARAMETERS if name in st.query_params}
    st.switch_page(f"pages/{page}.py", query_params=view | kept)


def _page(content: str | Callable[[], None], file: str, title: str) -> StreamlitPage:
    return st.Page(
        content,
        title=title,
        url_path=None if file == HOME else page_path(file)[1:],
        default=file == HOME,
    )
