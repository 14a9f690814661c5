"""What a model takes, as a table, and how a refresh changes it."""

from collections.abc import Collection

import pandas as pd
import streamlit as st

from lib.formats import escaped
from lib.ops.models.schemas import Changes, Inputs, allowed_of, default_of, type_of


def inputs_table(inputs: Inputs, operator_only: Collection[str]) -> None:
    """Draw the inputs of a model and who may set them."""
    st.dataframe(
        pd.DataFrame(
            {
                "name": name,
                "type": type_of(field),
                "allowed": allowed_of(field),
                "default": default_of(field),
                "set_by": _set_by(name, type_of(field), operator_only),
                "description": field.get("description", ""),
            }
            for name, field in inputs.items()
        ),
        hide_index=True,
        alt="Inputs of the model",
        column_order=["name", "type", "allowed", "default", "set_by"],
        column_config={
            "name": st.column_config.TextColumn("Input", width=160),
            "type": st.column_config.TextColumn("Type", width=110),
            "allowed": st.column_config.TextColumn("Allowed values", width=400),
            "default": st.column_config.TextColumn("Default", width=130),
            "set_by": st.column_config.TextColumn("Set by", width=80),
            "description": "Description",
        },
    )


def _set_by(name: str, type: str, operator_only: Collection[str]) -> str:
    if type == "secret":
        return "nobody"
    return "operators" if name in operator_only else "users"


def changes_list(changes: Changes) -> None:
    """Draw what a refresh changes."""
    lines = [
        *(escaped(sentence) for sentence in changes.model),
        *(f"Added: {escaped(name)}." for name in changes.added),
        *(f"Removed: {escaped(name)}." for name in changes.removed),
        *(
            f"Changed: {escaped(name)}, from {escaped(before)} to {escaped(after)}."
            for name, (before, after) in changes.changed.items()
        ),
    ]
    if lines:
        st.markdown("\n".join(f"- {line}" for line in lines))
    if changes.unfit:
        st.warning(
            "These default parameters are no longer valid and will be removed:\n\n"
            + "\n".join(f"- {escaped(sentence)}" for sentence in changes.unfit),
            icon=":material/warning:",
        )
    if changes.lost:
        st.caption(
            f"Operator-only inputs that no longer exist: {escaped(', '.join(changes.lost))}."
        )
