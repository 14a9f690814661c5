"""Settings of the models: table, edit form, recent changes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from lib.formats import escaped, listed
from lib.ops.models.schemas import by_order, server_of
from lib.queue.operator_actions import set_model
from lib.roles import Role
from lib.settings import settings
from lib.ui.columns import age_column, count_column, time_column
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, format_time, pool, read
from lib.ui.parts.model_dialogs import add_button, model_dialog, refresh_button
from lib.ui.parts.model_inputs import inputs_table


def models() -> None:
    """Draw all models, the edit form and the last changes."""
    model_dialog()
    add_button()
    rows = read("maintenance", "models")
    shown = pd.DataFrame(rows).assign(
        default_parameters=[json.dumps(row["default_parameters"]) for row in rows],
        state=["enabled" if row["enabled"] else "disabled" for row in rows],
    )
    st.dataframe(
        shown.drop(columns=["user_inputs", "operator_fields"]),
        hide_index=True,
        alt="Models and their settings",
        placeholder="–",
        column_order=[
            "id",
            "display_name",
            "state",
            "jobs",
            "price_per_image",
            "default_parameters",
            "updated_at",
        ],
        column_config={
            "id": st.column_config.TextColumn("Model", width=230),
            "display_name": st.column_config.TextColumn("Name", width=160),
            "state": st.column_config.TextColumn("State", width=75),
            "jobs": count_column("Jobs, 7 d", width=75),
            "price_per_image": st.column_config.NumberColumn("Price", format="$%.4f", width=75),
            "default_parameters": st.column_config.TextColumn("Default parameters", width=190),
            "version": "Version",
            "updated_at": age_column("Updated"),
            "refreshed_at": age_column("Schema refreshed"),
            "deadline_seconds": "Deadline (s)",
            "provider": "Provider",
            "provider_url": "Server",
        },
    )
    model_form(rows)
    show_changes()


def show_changes() -> None:
    """Draw the last changes of models, with the old and new settings."""
    changes = read("maintenance", "model_changes")
    st.header("Recent changes")
    if not changes:
        st.caption("None yet.")
        return
    st.dataframe(
        pd.DataFrame(changes).assign(
            before=[json.dumps(row["before"]) for row in changes],
            after=[json.dumps(row["after"]) for row in changes],
        ),
        hide_index=True,
        column_config={
            "at": time_column("Time", seconds=True, width=125),
            "actor": st.column_config.TextColumn("User", width=130),
            "model_id": st.column_config.TextColumn("Model", width=210),
            "before": st.column_config.JsonColumn("Before", width=230),
            "after": st.column_config.JsonColumn("After", width=230),
        },
    )


def model_form(models: Sequence[Mapping[str, Any]]) -> None:
    """Draw a choice of models, and the form of the chosen one."""
    ids = [model["id"] for model in models]
    chosen = st.selectbox("Model", ids, key="model", bind="query-params", width=420)
    if chosen:
        settings_form(chosen, models)


def show_inputs(model_id: str) -> None:
    """Draw what the model takes, as its provider publishes it."""
    model = read("model_schemas", "stored", id=model_id)
    if model is None:
        return
    st.header("Inputs")
    inputs = by_order(model["input_schema"] or {})
    if inputs:
        reserved = {row["name"] for row in read("model_schemas", "reserved", names=list(inputs))}
        inputs_table(inputs, reserved | set(model["operator_fields"]))
    if server := server_of(model):
        st.text(f"Runs on {' at '.join(server)}. To change the address, add the model again.")
    at = model["refreshed_at"]
    known = "Shipped with Darkroom" if inputs else "No schema: inputs are passed on unchecked"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Refreshed {format_time(at)}." if at else f"{known}.", width="stretch")
        refresh_button(model_id)


def settings_form(chosen: str, models: Sequence[Mapping[str, Any]]) -> None:
    """Draw the form of one model, and ask for confirmation when it is submitted."""
    model = next((one for one in models if one["id"] == chosen), None)
    if model is None:
        st.caption("Not in the models table: applications cannot request this model.")
        return
    entered = fields(model)
    if entered is None:
        return
    defaults, after = entered
    try:
        after["default_parameters"] = json.loads(defaults)
    except ValueError as error:
        st.error(f"The default parameters are not valid JSON: {escaped(str(error))}.")
        return
    confirm_save(model, after)


def fields(model: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The submitted default parameters as text, and other settings; None until submitted."""
    choices = list(model["user_inputs"])
    with st.form(f"model {model['id']}", width=720):
        name = st.text_input("Display name", model["display_name"])
        version = st.text_input(
            "Version",
            model["version"] or "",
            help="Empty for official models.",
        )
        defaults = st.text_area(
            "Default parameters (JSON)",
            json.dumps(model["default_parameters"], indent=2, ensure_ascii=False),
            height=140,
            help="Used for every parameter that a request omits.",
        )
        price = st.number_input(
            "Price per image (USD)",
            min_value=0.0,
            value=model["price_per_image"],
            format="%.5f",
            help="For cost estimates. Leave empty if unknown.",
        )
        operator_only = st.multiselect(
            "Operator-only inputs",
            choices,
            [name for name in model["operator_fields"] if name in choices],
            wrap=True,
            placeholder="None",
            help="User requests that set any of these are rejected. Safety switches are always"
            " operator-only, and secrets are never accepted.",
        )
        deadline = st.number_input(
            "Deadline (s)",
            min_value=1,
            max_value=86_400,
            value=model["deadline_seconds"],
            placeholder=f"{settings().generation_seconds:g} (default)",
            help="A prediction that takes longer is cancelled.",
        )
        enabled = st.checkbox("Enabled: users may request it", model["enabled"])
        submitted = st.form_submit_button("Save model", type="primary")
    if not submitted:
        return None
    # Safety switches, which are not among the choices.
    kept = [name for name in model["operator_fields"] if name not in choices]
    return (
        str(defaults),
        {
            "display_name": name,
            "version": str(version).strip() or None,
            "price": price,
            "enabled": enabled,
            "operator_fields": [*kept, *operator_only],
            "deadline_seconds": deadline,
        },
    )


def confirm_save(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Ask for confirmation to save a model, listing what changes."""
    model_id, changes = before["id"], changed_fields(before, after)
    if not changes:
        st.info("No changes to save.")
        return
    stops = before["enabled"] and not after["enabled"]
    effect = f"Changes {listed(changes)} of {escaped(model_id)}. " + (
        "New requests for it are rejected; its pending jobs still run."
        if stops
        else "Pending jobs run with the new settings."
    )

    def run() -> str:
        set_model(pool(), actor(), model_id, **after)
        return f"{escaped(model_id)} saved."

    ask(Action("Save model", effect, "Save model", run, needs=Role.ADMIN))


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names of the changed fields, for use in a sentence."""
    named = {
        "display_name": "the name",
        "version": "the version",
        "default_parameters": "the default parameters",
        "price": "the price",
        "enabled": "the state",
        "deadline_seconds": "the deadline",
    }
    columns = {"price": "price_per_image"}
    changed = [word for key, word in named.items() if before[columns.get(key, key)] != after[key]]
    if set(before["operator_fields"]) != set(after["operator_fields"]):
        changed.append("the operator-only inputs")
    return changed
