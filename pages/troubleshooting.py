"""What is wrong, what is the likely cause, and how is it fixed?"""

import streamlit as st

from lib.checks.troubleshooting.catalogue import SYMPTOMS
from lib.ui.confirm import confirmations
from lib.ui.live import live
from lib.ui.parts.checks import show_checks

REFRESH_SECONDS = 4.0

confirmations()
symptom = st.selectbox(
    "Symptom",
    [symptom.name for symptom in SYMPTOMS],
    index=None,
    placeholder="All",
    format_func={symptom.name: symptom.title for symptom in SYMPTOMS}.get,
    key="symptom",
    bind="query-params",
    width=420,
)


def panel() -> None:
    show_checks([one for one in SYMPTOMS if symptom in (None, one.name)])


live(panel, seconds=REFRESH_SECONDS)
