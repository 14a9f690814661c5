"""Keyboard shortcuts: of pages, and a sheet of all."""

from functools import partial

import streamlit as st

from lib.roles import Role
from lib.ui.pages import PAGES, sidebar_pages

SEARCH = "Ctrl+K"
SHEET = "Shift+H"
OTHERS = {
    SEARCH: "Search",
    SHEET: "Keyboard shortcuts",
    "Esc": "Close a dialog",
}
"""Shortcuts besides those of pages, with what each does."""


def shortcuts(viewer: Role) -> None:
    """Draw a collapsed list of buttons with the shortcuts of pages, and the sheet of all.

    Only buttons can have shortcuts; those of a collapsed list work too.
    """
    with st.expander("Shortcuts", icon=":material/keyboard:"), st.container(gap=None):
        for file in sidebar_pages(viewer):
            if (entry := PAGES[file]).key:
                st.button(
                    entry.title,
                    key=f"go to {file}",
                    type="tertiary",
                    shortcut=f"Shift+{entry.key}",
                    on_click=partial(st.session_state.__setitem__, "go to", file),
                )
        opened = st.button("All shortcuts", type="tertiary", shortcut=SHEET)
    if file := st.session_state.pop("go to", None):
        st.switch_page(f"pages/{file}.py")
    if opened:
        st.session_state.pop("action to confirm", None)
        st.dialog("Keyboard shortcuts", width="small")(_sheet)(viewer)


def _sheet(viewer: Role) -> None:
    pages = {
        f"Shift+{PAGES[file].key}": PAGES[file].title
        for file in sidebar_pages(viewer)
        if PAGES[file].key
    }
    st.table([{"Keys": keys, "Action": action} for keys, action in (OTHERS | pages).items()])
