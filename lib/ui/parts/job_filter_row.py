"""The filters of the page Jobs: in its address, and kept for the viewer who comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

import streamlit as st

from lib.formats import escaped
from lib.queue.job_filters import ALL_TIME, VIEWS, Filters
from lib.queue.job_list import id_digits
from lib.ui.columns import model_name
from lib.ui.dashboard import read
from lib.ui.parts.bulk_dialog import close_bulk_dialog
from lib.ui.search import FIELDS
from lib.ui.time_range import ALL_TIME as ANY_TIME
from lib.ui.time_range import RANGES, TimeRange, time_menu

VIEW = "jobs view"
"""Key of the view. Not bound to the address: a bound value is written there with its count."""
TABS = (*VIEWS, "stuck", "duplicates")
PLACE = ("after", "before")
"""Parameters of the address with the position in the list."""
FILTERS = (*(name for name in FIELDS["jobs"] if name != "view"), "from", "to")


@dataclass(frozen=True, slots=True)
class _Visit:
    """What a viewer last saw of the page."""

    fields: dict[str, Any]
    address: dict[str, str]
    """The view and the position in the list."""


def arrive() -> None:
    """Take the view and the filters from the address, or from the last visit if it has none.

    A page calls it at the start of each run.
    """
    # After Back, the address still has that of the Job page.
    st.query_params.pop("id", None)
    given = st.query_params.to_dict()
    restored = st.session_state.pop("jobs restored", False)
    arrived = st.session_state.get("drawn") != st.session_state["page"] and not restored
    if arrived:
        close_bulk_dialog()
        st.session_state.pop("jobs filters", None)
        visit: _Visit | None = st.session_state.get("jobs visit")
        if visit and not given.keys() & {*FILTERS, *PLACE, "view", "status"}:
            _restore(visit)
        for name in FILTERS:
            if name not in given:
                st.session_state.pop(name, None)
    # A search on this page, the address, or an older address with a status.
    wanted = (
        st.session_state.pop("view", None),
        given.get("view"),
        given.get("status", "").replace("processing", "running"),
        # A rerun may come with an address to which the browser has not added the view again.
        None if arrived else st.session_state.get(VIEW),
    )
    st.session_state[VIEW] = next((view for view in wanted if view in TABS), "all")
    st.query_params.pop("status", None)


def _restore(visit: _Visit) -> NoReturn:
    st.session_state.update(visit.fields)
    st.query_params.update(visit.address)
    st.session_state["jobs restored"] = True
    # The browser's Back resets fields to the address, which has lost them, in this run only.
    st.rerun()


def remember() -> None:
    """Put the view into the address, and keep it with the filters and the position."""
    view = st.session_state[VIEW]
    if view == "all":
        st.query_params.pop("view", None)
    elif st.query_params.get("view") != view:
        st.query_params["view"] = view
    address = {name: st.query_params[name] for name in ("view", *PLACE) if name in st.query_params}
    fields = {name: st.session_state[name] for name in FILTERS if name in st.session_state}
    st.session_state["jobs visit"] = _Visit(fields, address)


def go_to(**place: str) -> None:
    """Change the position in the list; without one, to its beginning."""
    for name in PLACE:
        st.query_params.pop(name, None)
    st.query_params.update(place)


def filters(view: str) -> Filters | None:
    """Draw the filters, and return them with the statuses of the view; None if one is invalid."""
    kinds = read("jobs", "kinds")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model_id = _whole_name(_choice("Model", "model", kinds["models"], 250), kinds["models"])
        if view == "stuck":
            job_type = _choice("Type", "type", kinds["job_types"], 180)
            _clear_button(bool(model_id or job_type))
            return Filters(job_type=job_type, model_id=model_id)
        user = st.text_input(
            "User",
            key="created_by",
            bind="query-params",
            max_chars=200,
            placeholder="E-mail or id",
            width=200,
        )
        time = time_menu((*RANGES,), ANY_TIME)
        job_type = _further_filters(kinds["job_types"])
        error, path, digits = (st.session_state[name] for name in ("error", "field", "job"))
        _clear_button(
            any((model_id, user, job_type, error, path, digits))
            or st.session_state["time"] != ANY_TIME
        )
    _show_further_filters(job_type, error, path, digits)
    if digits and not _is_id_prefix(digits):
        return None
    user_id = _user_id(user) if user else None
    if time is None or (user and user_id is None):
        return None
    if path and time.start is None and time.length == ALL_TIME:
        # Payloads are read one by one.
        time = TimeRange(RANGES["30 d"])
        st.caption(
            "Searching payloads from the last 30 days. Choose a time range to search further back."
        )
    return Filters(
        statuses=VIEWS[view],
        job_type=job_type,
        model_id=model_id,
        user_id=user_id,
        id_prefix=digits or None,
        error=error or None,
        path=path or None,
        value=st.session_state["value"],
        start=time.start,
        length=time.length,
    )


def clear() -> None:
    """Clear all filters; the view stays."""
    st.session_state.update({name: FIELDS["jobs"].get(name) for name in FILTERS[:-2]})


def _further_filters(job_types: Sequence[str]) -> str | None:
    with st.popover("Filter", icon=":material/add:", key="further filters"):
        job_type = _choice("Type", "type", job_types, 300)
        st.text_input("Error contains", key="error", bind="query-params", max_chars=200, width=300)
        st.text_input(
            "Payload field",
            key="field",
            bind="query-params",
            max_chars=200,
            placeholder="prompt or input.seed",
            help="Searches the last 30 days or the chosen time range.",
            width=300,
        )
        st.text_input(
            "Value of the field",
            key="value",
            bind="query-params",
            max_chars=200,
            help="Not case-sensitive. `*` matches any text, as in `*fox*`.",
            width=300,
        )
        st.text_input(
            "Job or generation id",
            # Not "id", which is bound by the Job page.
            key="job",
            bind="query-params",
            max_chars=60,
            placeholder="or its first digits",
            help="Overrides the other filters.",
            width=300,
        )
    return job_type


def _show_further_filters(
    job_type: str | None, error: str | None, path: str | None, digits: str | None
) -> None:
    # The popover hides them.
    active = [f"type {job_type}"] if job_type else []
    active += [f"error contains {error}"] if error else []
    active += [f"{path} is {st.session_state['value'] or 'empty'}"] if path else []
    active = [f"id begins with {digits}"] if digits else active
    if active:
        st.caption(f"Also filtered by: {' · '.join(map(escaped, active))}")


def _clear_button(shown: bool) -> None:
    if shown:
        st.button("Clear", type="tertiary", on_click=clear, icon=":material/filter_alt_off:")


def _choice(label: str, key: str, options: Sequence[str], width: int) -> str | None:
    return st.selectbox(
        label,
        options,
        index=None,
        key=key,
        bind="query-params",
        accept_new_options=True,
        placeholder="Any",
        width=width,
    )


def _whole_name(typed: str | None, models: Sequence[str]) -> str | None:
    """The model that a short name means; anything else as it is."""
    if typed in models:
        return typed
    return next((model for model in models if model_name(model) == typed), typed)


def _is_id_prefix(text: str) -> bool:
    try:
        id_digits(text)
    except ValueError as mistake:
        st.error(str(mistake))
        return False
    return True


def _user_id(text: str) -> UUID | None:
    """The id of a user who is given by id or e-mail address; None and an error if there is none."""
    try:
        return UUID(text.strip())
    except ValueError:
        pass
    if "@" not in text:
        st.error("Enter the user's e-mail address or id.")
        return None
    if not read("users", "may_read_users"):
        st.error("This database does not let the app read e-mail addresses. Enter the user's id.")
        return None
    found: UUID | None = read("users", "id_of_email", email=text.strip())
    if found is None:
        st.error("No user has this e-mail address.")
    return found
