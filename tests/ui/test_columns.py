"""Columns of tables on phones, which Streamlit tells by the browser's name for itself."""

from types import SimpleNamespace

import pandas as pd
import pytest
import streamlit as st

from lib.ui import columns
from lib.ui.columns import PHONE_PIXELS, count_column, fitting


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(headers={"User-Agent": "Mozilla/5.0 (Linux; Android 10) Mobile"})
    monkeypatch.setattr(columns.st, "context", context)


@pytest.mark.usefixtures("phone")
def test_a_column_of_buttons_is_narrowed_like_the_others() -> None:
    table = {
        "jobs": count_column("Jobs", width=65),
        "models": st.column_config.TextColumn("Models", width=295),
        "about": st.column_config.TextColumn("Error", width=295),
        "retry": st.column_config.ButtonColumn("", key="retry", on_click=print, width=130),
    }
    shown = fitting(table, phone=("jobs", "about", "retry"))
    assert shown["column_order"] == ["jobs", "about", "retry"]
    assert shown["column_config"]["retry"].config["width"] < 130
    assert sum((65, shown["column_config"]["about"]["width"], 119)) <= PHONE_PIXELS
    # As Streamlit takes it.
    st.dataframe(pd.DataFrame({name: ["1"] for name in table}), key="table", **shown)
