"""The button that removes the sample data of a new installation."""

from typing import Literal

import streamlit as st

from lib.formats import plural
from lib.ops.maintenance.sample_data import remove_sample_data
from lib.resources import database_url, image_storage
from lib.settings import settings
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, read, read_once

REMOVE = "Remove sample data"


def has_sample_data() -> bool:
    """Whether sample data is loaded, which only the embedded database ever has."""
    return not settings().database_url and bool(read("overview", "has_sample_data"))


def remove_button(type: Literal["secondary", "tertiary"] = "secondary") -> None:
    """Draw the button, which asks first and says how much will be deleted."""
    if st.button(REMOVE, key="remove sample data", type=type, icon=":material/delete_sweep:"):
        found = read_once("maintenance", "sample_data")
        ask(
            Action(
                REMOVE,
                f"Permanently deletes {plural(found['generations'], 'sample generation')} and"
                f" {plural(found['users'], 'sample user')}, with all their jobs, images and"
                " statistics. Everything else is kept.",
                REMOVE,
                _remove,
            )
        )


def _remove() -> str:
    jobs = remove_sample_data(database_url(settings()), actor(), image_storage(settings()))
    return f"Sample data removed: {plural(jobs)}."
