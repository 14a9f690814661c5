"""The search on every page: finds by id, by a user's e-mail address or by words of a prompt."""

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
from lib.ui.time_range import ALL

LONGEST = 190
"""Characters; as a filter of the page Jobs a text grows by two and must stay below 200."""
# Fewer digits are more often a word, such as "decade".
_ID = re.compile(r"-?([0-9a-f]-?){8,32}", re.IGNORECASE)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_WHOLE = 32

FIELDS: dict[str, dict[str, Any]] = {
    "job": {"id": ""},
    "jobs": {
        "job": "",
        "status": [],
        "time": ALL,
        "type": None,
        "model": None,
        **dict.fromkeys(("created_by", "error", "field", "value"), ""),
    },
}
"""The filters of the pages that it leads to, and what they hold when nothing was chosen."""

Ask = Callable[..., Any]
"""Runs a named query: ask(page, name, **parameters)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Where to go: the file of a page, and the filters in its URL."""

    page: str
    filters: dict[str, str]


class NothingFound(Exception):
    """Nothing is like that; the message says so and what can be typed."""


def find(ask: Ask, text: str) -> Hit:
    """Where what is searched for is shown.

    A whole id leads to its job, another beginning of an id to the jobs with it, a user and words
    of a prompt to the jobs of theirs. Raises NothingFound.
    """
    words = "".join(c if c.isprintable() else " " for c in text).split()
    text = " ".join(words)
    if not words:
        raise NothingFound(
            "Type an id, the e-mail address of a user, or words of a prompt. Of a job's or a"
            " generation's id the first 8 digits will do."
        )
    if _ID.fullmatch(text):
        return _by_id(ask, text.replace("-", "").lower())
    if _ADDRESS.fullmatch(text):
        return _by_address(ask, text)
    return Hit("jobs", {"field": "prompt", "value": f"*{'*'.join(words)}*"})


def _by_id(ask: Ask, digits: str) -> Hit:
    rows = by_id(partial(ask, "jobs"), digits)
    if len(digits) < _WHOLE:
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
    if ask("users", "has_asked", user_id=id):
        return Hit("jobs", {"created_by": str(id)})
    raise NothingFound(
        "No job, no generation and nobody who asked for one has this id. Jobs that ended long ago"
        " may have been purged."
    )


def _by_address(ask: Ask, address: str) -> Hit:
    if not ask("users", "may_read_users"):
        raise NothingFound(
            "This database does not let the app read e-mail addresses: type the user's id."
        )
    user_id = ask("users", "id_of_email", email=address)
    if user_id is None:
        raise NothingFound("No user has this e-mail address. Type it as a whole, or the user's id.")
    return Hit("jobs", {"created_by": str(user_id)})


def search() -> None:
    """Draws the field; what is found in it is opened."""
    if hit := st.session_state.pop("hit", None):
        _open(hit)
    # A form, because a field alone searches as soon as it is left.
    with st.form("search", border=False), st.container(horizontal=True, gap="xsmall"):
        st.text_input(
            "Search",
            key="searched",
            type="search",
            max_chars=LONGEST,
            placeholder="Job, user or prompt",
            label_visibility="collapsed",
        )
        st.form_submit_button("Search", on_click=_search)
    if missed := st.session_state.get("missed"):
        st.warning(missed, icon=":material/search_off:")


def _open(hit: Hit) -> None:
    if st.session_state["page"] != hit.page:
        st.switch_page(f"pages/{hit.page}.py", query_params=hit.filters)
    # The address of a page that is open already follows its fields.
    st.session_state.update(FIELDS[hit.page] | hit.filters)


def _search() -> None:
    st.session_state.pop("missed", None)
    try:
        st.session_state["hit"] = find(read_once, st.session_state["searched"])
        st.session_state["searched"] = ""
    except NothingFound as missed:
        st.session_state["missed"] = str(missed)
    except DatabaseUnavailable:
        st.session_state["missed"] = (
            "Nothing can be looked up: the database does not answer, or not in time. Search again"
            " once it does."
        )
