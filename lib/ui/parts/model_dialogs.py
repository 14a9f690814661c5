"""The dialogs that add a model and refresh its schema, both shown before they are saved."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from lib.database import Connection, DatabaseError, DatabaseUnavailable, QueryError, translated
from lib.formats import escaped, plural
from lib.ops.models import schemas
from lib.ops.models.published import ModelRefused, fetch, parse_address
from lib.provider.contract import ProviderError, PublishedModel
from lib.resources import provider
from lib.roles import AccessDenied, Role
from lib.settings import settings
from lib.ui.access import require, role
from lib.ui.confirm import UNREACHABLE, report
from lib.ui.dashboard import actor, clear_cached_answers, current_user, pool
from lib.ui.parts.model_inputs import changes_list, inputs_table

STATE = "model dialog"
ADD, REFRESH = "Add model", "Refresh schema"
COG = "cog"
"""The provider of a model with the address of a server."""


def add_button() -> None:
    """Draw the button that opens the dialog, for admins."""
    if _is_admin() and st.button(ADD, key="add model", type="primary", icon=":material/add:"):
        _open(ADD)


def refresh_button(model_id: str) -> None:
    """Draw the button that fetches the model and opens the dialog, for admins."""
    if _is_admin() and st.button(REFRESH, key="refresh model", icon=":material/refresh:"):
        with st.spinner("Loading from the provider"):
            _open(REFRESH, _fetched(model_id))


def _is_admin() -> bool:
    return (role() or Role.VIEWER) >= Role.ADMIN


def model_dialog() -> None:
    """Draw the dialog if it is open. Called outside the live panel, which would close it."""
    if opened := st.session_state.get(STATE):
        st.dialog(opened["title"], width="large", on_dismiss=_close)(_draw)(opened)


Found = tuple[PublishedModel | None, str]
"""What the provider has, and why it cannot be used, if so; one of them is empty."""


def _open(title: str, found: Found = (None, "")) -> None:
    st.session_state[STATE] = {"title": title, "found": found}
    st.rerun()


def _close() -> None:
    st.session_state.pop(STATE, None)


def _fetched(text: str, url: str = "") -> Found:
    try:
        require(Role.ADMIN)
        model, _ = parse_address(text)
        with translated(), pool().connection() as connection:
            server = schemas.server_of(schemas.stored_model(connection, model))
            if url.strip():
                server = (COG, url.strip())
                schemas.check_server(connection, *server)
        return fetch(provider(settings(), server), text), ""
    except QueryError as refusal:
        return None, refusal.message
    except (AccessDenied, DatabaseError, ModelRefused, ProviderError) as refusal:
        return None, str(refusal)


def _draw(opened: dict[str, Any]) -> None:
    if opened["title"] == ADD:
        with st.form("find model", border=False):
            text = st.text_input(
                "Model",
                placeholder="owner/name or web address",
                help="A model on Replicate. For a community model, the latest version is used"
                " unless the address names one. For a model on your own server, enter any"
                " name in the form owner/name.",
            )
            url = st.text_input(
                "Your Cog server (optional)",
                placeholder="http://192.168.1.20:5000",
                help="The address of a Cog server that runs the model on your own machine."
                " Workers must be able to reach it. Leave empty for Replicate.",
            )
            if st.form_submit_button("Show model"):
                with st.spinner("Loading from the provider"):
                    opened["found"] = _fetched(text, url)
    published, refusal = opened["found"]
    if refusal:
        st.error(escaped(refusal))
    if published:
        _with_database(lambda connection: _preview(connection, published))


def _with_database(draw: Callable[[Connection], None]) -> None:
    try:
        with translated(), pool().connection() as connection:
            draw(connection)
    except DatabaseUnavailable:
        st.error(UNREACHABLE)
    except QueryError as refusal:
        st.error("Nothing was saved:")
        st.text(refusal.message)
    except DatabaseError as error:
        st.error("Nothing was saved:")
        st.text(str(error))


def _preview(connection: Connection, model: PublishedModel) -> None:
    stored = schemas.stored_model(connection, model.id)
    kind = schemas.kind_of(model)
    st.markdown(f"**{escaped(model.id)}**")
    if stored:
        _refresh(connection, stored, model)
        return
    seconds = settings().generation_seconds
    st.caption(
        f"{escaped(kind[0].upper() + kind[1:])}. Output: {schemas.output_of(model.output_shape)}."
        f" Price: unknown. Deadline: {seconds:g} s (default)."
        f" {plural(len(model.inputs), 'input')}:"
    )
    inputs_table(model.inputs, schemas.reserved(connection, model.inputs))
    name = st.text_input("Display name", model.id.partition("/")[2], max_chars=100)
    st.text(f"Logged as {current_user()}")
    if _confirmed(ADD):
        _save(connection, None, model, str(name))


def _refresh(connection: Connection, stored: dict[str, Any], model: PublishedModel) -> None:
    changes = schemas.compare(connection, stored, model)
    if st.session_state[STATE]["title"] == ADD:
        st.info("This model has already been added. A refresh updates its schema and address.")
    if changes.any:
        changes_list(changes)
    else:
        st.text("No changes: the schema is up to date.")
    st.text(f"Logged as {current_user()}")
    if _confirmed(REFRESH):
        _save(connection, stored, model, stored["display_name"])


def _confirmed(button: str) -> bool:
    with st.container(horizontal=True):
        confirmed = st.button(button, key="save model", type="primary")
        declined = st.button("Cancel", key="decline model")
    if declined:
        _close()
        st.rerun()
    return confirmed


def _save(
    connection: Connection, stored: dict[str, Any] | None, model: PublishedModel, name: str
) -> None:
    try:
        require(Role.ADMIN)
    except AccessDenied as refusal:
        st.error(escaped(str(refusal)))
        return
    schemas.save(connection, actor(), stored, model, display_name=name)
    _close()
    clear_cached_answers()
    report(f"{escaped(model.id)} {'refreshed' if stored else 'added'}.")
    st.switch_page("pages/models.py", query_params={"model": model.id})
