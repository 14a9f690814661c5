"""Settings of the models: table, edit form, recent changes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from lib.formats import escaped
from lib.queue.operator_actions import set_model
from lib.roles import Role
from lib.ui.columns import age_column, count_column, time_column
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, pool, read

NEW = "Add a model"


def models() -> None:
    """Draw all models, the edit form and the last changes."""
    rows = read("maintenance", "models")
    shown = pd.DataFrame(rows).assign(
        default_parameters=[json.dumps(row["default_parameters"]) for row in rows],
        state=["enabled" if row["enabled"] else "disabled" for row in rows],
    )
    st.dataframe(
        shown.drop(columns="parameter_schema"),
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
    chosen = st.selectbox(
        "Model",
        [NEW, *ids],
        index=1 if ids else 0,
        key="model",
        bind="query-params",
        width=420,
    )
    settings_form(chosen, models)


def settings_form(chosen: str, models: Sequence[Mapping[str, Any]]) -> None:
    """Draw the form of one model, and ask for confirmation when it is submitted.

    With NEW, the form adds a model.
    """
    model: Mapping[str, Any] = next((one for one in models if one["id"] == chosen), {})
    if not model and chosen != NEW:
        st.caption("Not in the models table: applications cannot request this model.")
        return
    entered = fields(chosen, model)
    if entered is None:
        return
    model_id, defaults, after = entered
    try:
        after["default_parameters"] = json.loads(defaults)
    except ValueError as error:
        st.error(f"The default parameters are not valid JSON: {escaped(str(error))}.")
        return
    confirm_save(model_id, model, after)


def fields(chosen: str, model: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]] | None:
    """The submitted id, default parameters as text, and other settings; None until submitted."""
    with st.form(f"model {chosen}", width=720):
        model_id = (
            chosen if model else st.text_input("Replicate model id", placeholder="owner/name")
        )
        name = st.text_input("Display name", model.get("display_name", ""))
        version = st.text_input(
            "Version",
            model.get("version") or "",
            help="Empty for official models.",
        )
        defaults = st.text_area(
            "Default parameters (JSON)",
            json.dumps(model.get("default_parameters", {}), indent=2, ensure_ascii=False),
            height=140,
            help="Used for every parameter that a request leaves out.",
        )
        price = st.number_input(
            "Price per image (USD)",
            min_value=0.0,
            value=model.get("price_per_image"),
            format="%.5f",
            help="For cost estimates. Leave empty if unknown.",
        )
        enabled = st.checkbox("Enabled: users may request it", model.get("enabled", True))
        submitted = st.form_submit_button("Save model", type="primary")
    if not submitted:
        return None
    return (
        str(model_id).strip(),
        str(defaults),
        {
            "display_name": name,
            "version": str(version).strip() or None,
            "price": price,
            "enabled": enabled,
        },
    )


def confirm_save(model_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Ask for confirmation to save a model, listing what changes."""
    changes = changed_fields(before, after)
    if before and not changes:
        st.info("No changes to save.")
        return
    what = f"Changes {', '.join(changes)} of" if before else "Adds"
    stops = before.get("enabled") and not after["enabled"]
    effect = f"{what} {escaped(model_id)}. " + (
        "New requests for it are refused; its pending jobs still run."
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
        "enabled": "whether it is enabled",
    }
    columns = {"price": "price_per_image"}
    return [word for key, word in named.items() if before.get(columns.get(key, key)) != after[key]]
