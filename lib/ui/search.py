"""Search in a dialog: jobs by id or prompt, users, models and errors."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import streamlit as st

from lib.database import DatabaseUnavailable
from lib.formats import escaped, plural
from lib.queue.job_filters import pattern
from lib.queue.job_list import by_id
from lib.ui.columns import model_name
from lib.ui.dashboard import format_time, read_once
from lib.ui.pages import PAGES, may_open, page_path
from lib.ui.shortcuts import SEARCH
from lib.ui.time_range import ALL_TIME

MAX_LENGTH = 190
"""Characters. The Jobs page adds two wildcards and allows 200."""
MIN_LENGTH = 2
MAX_HITS = 5
"""Hits per kind of id; queries/search.sql limits the others likewise."""
_ID = re.compile(r"(-?[0-9a-f]){4,32}-?", re.IGNORECASE)
_UUID_DIGITS = 32
FIELDS: dict[str, dict[str, Any]] = {
    "jobs": {
        "job": "",
        "view": "all",
        "time": ALL_TIME,
        "type": None,
        "model": None,
        **dict.fromkeys(("created_by", "error", "field", "value"), ""),
    },
    "users": {"user": ""},
}
"""Filters of the pages that bind them to fields, with their defaults."""
FOCUS = """<script>
    (function focus(attempts) {
        const field = document.querySelector('[role=dialog] input[type=search]');
        field?.focus();
        if (attempts && document.activeElement !== field) setTimeout(focus, 50, attempts - 1);
    })(20);
</script>"""
"""Moves the focus to the search field, once it is there; Streamlit leaves it on the dialog."""

RunQuery = Callable[..., Any]
"""Runs a named query: run_query(page, name, **parameters)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A page to open (its file name), with filters for its URL. `label` may quote anything."""

    label: str
    page: str
    filters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: groups of hits by title, none of them empty.

    `exact` is the only job with the id that was searched for.
    """

    groups: dict[str, list[Hit]] = field(default_factory=dict)
    exact: Hit | None = None


def find(run_query: RunQuery, text: str) -> Found:
    """Search for an id or its first digits, part of an e-mail address, a prompt, model or error."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    text = " ".join(words)
    if len(text) < MIN_LENGTH:
        return Found()
    digits = text.replace("-", "").lower()
    by_digits = _jobs_by_id(run_query, digits) if _ID.fullmatch(text) else []
    if len(digits) == _UUID_DIGITS and len(by_digits) == 1:
        return Found({"Jobs": by_digits}, by_digits[0])
    groups = {
        "Jobs": [*by_digits, *_jobs_by_prompt(run_query, words)],
        "Users": _users(run_query, text),
        "Models": [
            Hit(f"{row['name']} ({row['id']})", "models", {"model": row["id"]})
            for row in run_query("search", "models", text=text)
        ],
        "Failures": [
            Hit(
                f"{row['error_group'] or row['error_code'] or 'No message'}, {plural(row['jobs'])}",
                "failures",
                {"kind": row["key"], "time": "24 h"},
            )
            for row in run_query("search", "failures", text=text)
        ],
    }
    return Found({title: hits for title, hits in groups.items() if hits})


def more(text: str) -> list[Hit]:
    """Lists of all jobs whose prompt or error contains a text."""
    filters = {"field": "prompt", "value": f"*{'*'.join(text.split())}*"}
    return [
        Hit(f"Jobs with “{text}” in the prompt", "jobs", filters),
        Hit(f"Failed jobs with “{text}” in the error", "jobs", {"view": "failed", "error": text}),
    ]


def _jobs_by_id(run_query: RunQuery, digits: str) -> list[Hit]:
    return [
        Hit(
            f"{_status(row['status'])}: {row['id']}",
            "job",
            {"id": str(row["id"])},
        )
        for row in by_id(partial(run_query, "jobs"), digits)[:MAX_HITS]
    ]


def _status(status: str) -> str:
    """The status of a job or a generation as the pages name it."""
    return {"queued": "Pending", "processing": "Running"}.get(status, status.capitalize())


def _jobs_by_prompt(run_query: RunQuery, words: list[str]) -> list[Hit]:
    like = pattern(f"*{'*'.join(words)}*")
    return [
        Hit(_job_label(row), "job", {"id": str(row["id"])})
        for row in run_query("search", "prompts", pattern=like)
    ]


def _job_label(row: Mapping[str, Any]) -> str:
    at, model = format_time(row["created_at"]), model_name(row["model_id"])
    return f"{_status(row['status'])}: {row['prompt']} ({model}, {at})"


def _users(run_query: RunQuery, text: str) -> list[Hit]:
    digits = text.replace("-", "").lower()
    if _ID.fullmatch(text) and len(digits) == _UUID_DIGITS:
        id = UUID(digits)
        if run_query("users", "has_asked", user_id=id):
            return [Hit(f"User {id}", "users", {"user": str(id)})]
    if not run_query("users", "may_read_users"):
        return []
    return [
        Hit(row["email"], "users", {"user": row["email"]})
        for row in run_query("search", "users", text=text)
    ]


def search() -> None:
    """Draw the search button, which opens the dialog."""
    if hit := st.session_state.pop("found", None):
        if hit.page in FIELDS:
            st.session_state.update(FIELDS[hit.page] | hit.filters)
        else:
            st.query_params.update(hit.filters)
    if st.button("Search", icon=":material/search:", shortcut=SEARCH, on_click=_begin):
        _dialog()


def _begin() -> None:
    st.session_state["searched"] = ""
    # There is room for one dialog only.
    st.session_state.pop("action to confirm", None)


@st.dialog("Search", icon=":material/search:", width="medium")
def _dialog() -> None:
    text = st.text_input(
        "Search",
        key="searched",
        type="search",
        placeholder="Id, e-mail, prompt, error or model",
        label_visibility="collapsed",
        live="300ms",
    )
    st.html(FOCUS, unsafe_allow_javascript=True)
    text = (text or "").strip()[:MAX_LENGTH]
    if len(text) < MIN_LENGTH:
        st.caption(
            "Enter four or more digits of an id, or part of an e-mail, prompt, error or model."
        )
        return
    try:
        found = find(read_once, text)
    except DatabaseUnavailable:
        st.error("The database did not respond in time. Search again once it is reachable.")
        return
    if found.exact:
        st.switch_page(f"pages/{found.exact.page}.py", query_params=found.exact.filters)
    _results(found, text)


def _results(found: Found, text: str) -> None:
    viewer = st.session_state["role"]
    if not found.groups:
        st.write("No matches.")
    for title, hits in found.groups.items():
        st.subheader(title, anchor=False)
        for hit in hits:
            if may_open(viewer, hit.page):
                _link(hit)
    st.divider()
    for hit in more(text):
        _link(hit)


def _link(hit: Hit) -> None:
    label, icon = escaped(hit.label), PAGES[hit.page].icon
    if hit.page in (*FIELDS, "job") and page_path(hit.page)[1:] == st.session_state["page"]:
        # A link from a page to itself would leave its other fields, and its URL, as they were.
        if st.button(label, f"hit {hit.filters}", type="tertiary", icon=icon):
            st.session_state["found"] = hit
            st.rerun()
    else:
        file = f"pages/{hit.page}.py"
        st.page_link(file, label=label, icon=icon, query_params=hit.filters, width="stretch")
