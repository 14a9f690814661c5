"""The search box on every page: by id, user e-mail address or words of a prompt."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import streamlit as st

from lib.database import DatabaseUnavailable
from lib.queue.job_list import by_id
from lib.ui.dashboard import read_once
from lib.ui.time_range import ALL_TIME

MAX_LENGTH = 190
"""Characters. The Jobs page adds two wildcards and allows 200."""
# Shorter matches are more likely words, such as "decade".
_ID = re.compile(r"-?([0-9a-f]-?){8,32}", re.IGNORECASE)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_UUID_DIGITS = 32

FIELDS: dict[str, dict[str, Any]] = {
    "job": {"id": ""},
    "jobs": {
        "job": "",
        "view": "all",
        "time": ALL_TIME,
        "type": None,
        "model": None,
        **dict.fromkeys(("created_by", "error", "field", "value"), ""),
    },
}
"""Filters of the pages that search leads to, with their defaults."""

RunQuery = Callable[..., Any]
"""Runs a named query: run_query(page, name, **parameters)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """The page to open (its file name), and the filters for its URL."""

    page: str
    filters: dict[str, str]


class NothingFound(Exception):
    """No match. The message says so and what can be searched for."""


def find(run_query: RunQuery, text: str) -> Hit:
    """The page that shows what was searched for.

    A full or unique id leads to its job; an ambiguous id prefix, a user or words of a prompt lead
    to the list of matching jobs. Raises NothingFound.
    """
    words = "".join(c if c.isprintable() else " " for c in text).split()
    text = " ".join(words)
    if not words:
        raise NothingFound(
            "Type an id, the e-mail address of a user, or words of a prompt. Of a job's or a"
            " generation's id the first 8 digits will do."
        )
    if _ID.fullmatch(text):
        return _by_id(run_query, text.replace("-", "").lower())
    if _ADDRESS.fullmatch(text):
        return _by_address(run_query, text)
    return Hit("jobs", {"field": "prompt", "value": f"*{'*'.join(words)}*", "time": "30 d"})


def _by_id(run_query: RunQuery, digits: str) -> Hit:
    rows = by_id(partial(run_query, "jobs"), digits)
    if len(digits) < _UUID_DIGITS:
        if not rows:
            raise NothingFound(
                "No job's and no generation's id begins so. A user is found by the whole id or by"
                " e-mail address, a prompt by its words."
            )
        if len(rows) > 1:
            return Hit("jobs", {"job": digits})
        return Hit("job", {"id": str(rows[0]["id"])})
    id = UUID(digits)
    if rows:
        return Hit("job", {"id": str(id)})
    if run_query("users", "has_asked", user_id=id):
        return Hit("jobs", {"created_by": str(id)})
    raise NothingFound(
        "No job, no generation and nobody who asked for one has this id. Jobs that ended long ago"
        " may have been purged."
    )


def _by_address(run_query: RunQuery, address: str) -> Hit:
    if not run_query("users", "may_read_users"):
        raise NothingFound(
            "This database does not let the app read e-mail addresses: type the user's id."
        )
    user_id = run_query("users", "id_of_email", email=address)
    if user_id is None:
        raise NothingFound("No user has this e-mail address. Type it as a whole, or the user's id.")
    return Hit("jobs", {"created_by": str(user_id)})


def search() -> None:
    """Draw the search box and open the page of a hit."""
    if hit := st.session_state.pop("hit", None):
        _open(hit)
    # In a form: a field on its own would submit when it loses focus.
    with st.form("search", border=False), st.container(horizontal=True, gap="xsmall"):
        st.text_input(
            "Search",
            key="searched",
            type="search",
            max_chars=MAX_LENGTH,
            placeholder="Job, user or prompt",
            label_visibility="collapsed",
        )
        st.form_submit_button("Search", on_click=_search)
    if not_found := st.session_state.get("missed"):
        st.warning(not_found, icon=":material/search_off:")


def _open(hit: Hit) -> None:
    if st.session_state["page"] != hit.page:
        st.switch_page(f"pages/{hit.page}.py", query_params=hit.filters)
    # The page is already open: its URL follows its fields.
    st.session_state.update(FIELDS[hit.page] | hit.filters)


def _search() -> None:
    st.session_state.pop("missed", None)
    try:
        st.session_state["hit"] = find(read_once, st.session_state["searched"])
        st.session_state["searched"] = ""
    except NothingFound as not_found:
        st.session_state["missed"] = str(not_found)
    except DatabaseUnavailable:
        st.session_state["missed"] = (
            "Nothing can be looked up: the database does not answer, or not in time. Search again"
            " once it does."
        )
