"""What an empty queue is for, and how to get the first job into it."""

import streamlit as st

from lib.ui.dashboard import read
from lib.ui.navigation import link


def empty_queue(shows: str) -> bool:
    """Say that no job has run yet, what the page will show then, and how to start the first job.

    False without drawing anything if a job has run. `shows` is a sentence.
    """
    if not read("overview", "is_empty"):
        return False
    st.info(
        f"**The queue is empty.** {shows} Generate an image here, or call start-generation from"
        " your application.",
        icon=":material/inbox:",
    )
    with st.container(horizontal=True):
        next_steps()
    return True


def next_steps() -> None:
    """Links to what starts the first job."""
    link("generate", "Generate the first image", ":material/add_photo_alternate:")
    link("deployment", "Call it from an application", ":material/code:")
