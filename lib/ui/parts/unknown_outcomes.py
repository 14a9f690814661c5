"""How many generations may have been paid for twice."""

import streamlit as st

from lib.formats import plural
from lib.ui.dashboard import read

HELP = (
    "Predictions whose start could not be confirmed within an hour. You may be charged for each"
    " in addition to its replacement. Compare them with the provider's list of predictions, and"
    " check the workers' network."
)


def unknown_outcomes() -> None:
    """Draw the rate of generations with an unknown outcome, if any ended in the last day."""
    row = read("failures", "unknown")
    rate = f"Unknown outcome: {row['unknown']:,} of {plural(row['ended'], 'generation')}, last 24 h"
    if row["unknown"]:
        st.warning(f"**{rate}.** {HELP}", icon=":material/help:")
    elif row["ended"]:
        st.caption(rate, help=HELP)
