"""How do the queue, alerts and pages cope when the provider misbehaves?"""

from typing import Any

import streamlit as st

from lib.formats import duration, escaped
from lib.ops.fault_injection import PRESETS, fault_file, inject, with_model
from lib.provider.simulator.faults import (
    FAILURES,
    MAX_CREATES,
    MAX_EXTRA_SECONDS,
    MAX_RETRY_AFTER,
    MAX_SLOWDOWN,
    OUTAGES,
    FaultFile,
    Faults,
    FaultsError,
    ModelFaults,
)
from lib.provider.simulator.models import MODELS
from lib.roles import AccessDenied
from lib.settings import settings
from lib.ui.columns import count_column, time_column
from lib.ui.confirm import Action, ask, confirmations, report
from lib.ui.dashboard import actor, database_errors_shown, format_time, pool, read
from lib.ui.live import live
from lib.ui.navigation import link

ALL = "All models"

file = fault_file(settings())
if file is None:
    st.info(
        "Not available: this app works with the real Replicate, and faults can be injected into the"
        " simulated one only. Start the app without REPLICATE_API_TOKEN to use it."
    )
    st.stop()
st.caption(
    "What the simulated Replicate does wrong, to see how the queue, its workers and these pages"
    " react. Predictions meet the faults that are in force when they are created. Faults stay until"
    " they are cleared, also when the app is started anew, and hold for every process that"
    " uses this data folder."
)
confirmations()


def active_faults(file: FaultFile) -> Faults:
    """The active faults. An unreadable file is reported; clearing repairs it."""
    try:
        return file.read()
    except FaultsError as error:
        st.error("Nobody knows what is in force: clear all faults.")
        st.text(str(error))
        return Faults()


def panel(file: FaultFile) -> None:
    faults = active_faults(file)
    if file.exists():
        show_faults(faults)
        if st.button("Clear all faults", type="primary", icon=":material/healing:"):
            clear_faults(file)
    else:
        st.success(
            "**Everything is normal.** No fault is in force.", icon=":material/check_circle:"
        )
    queue_reaction()


def show_faults(faults: Faults) -> None:
    lines = "\n".join(f"- {escaped(words)}" for words in faults.summary)
    since = format_time(faults.since, seconds=True) if faults.since else "?"
    st.warning(
        f"**Faults in force since {since}**, set by {escaped(faults.by)}.\n\n{lines}",
        icon=":material/bug_report:",
    )


def clear_faults(file: FaultFile) -> None:
    """Clear all faults, without confirmation: it only undoes what this page did."""
    with database_errors_shown():
        try:
            inject(pool(), actor(), file, Faults())
            report("All faults are cleared: the provider is normal again.")
        except AccessDenied as refusal:
            report(str(refusal), icon=":material/block:")
        st.rerun()


def queue_reaction() -> None:
    """Draw how the queue is coping right now."""
    now = read("fault_injection", "now")
    with st.grid("auto", min_column_width=165, border=True):
        st.metric("Breaker", *breaker(now), delta_color="gray", delta_arrow="off")
        tile("Waiting", now["pending"], f"{now['retrying']:,} after a failure")
        tile("Running", now["processing"])
        tile("Completed", now["completed"], "in 5 min")
        tile("Failed for good", now["failed"], "in 5 min")
    if now["breaker_reason"]:
        st.text(f"Last failure of the provider: {now['breaker_reason']}")
    if now["held_models"]:
        rest = duration(now["held_seconds"])
        st.text(f"Resting for up to {rest}, as asked: {', '.join(now['held_models'])}")
    errors = read("fault_injection", "errors")
    if errors:
        st.dataframe(
            errors,
            key="errors",
            hide_index=True,
            column_config={
                "code": "What goes wrong now",
                "waiting": count_column("Waiting to be tried again"),
                "failed": count_column("Failed for good in 5 min"),
            },
            width=620,
        )
    with st.container(horizontal=True):
        for page in ("overview", "failures", "generate"):
            link(page)


def tile(label: str, count: int, note: str | None = None) -> None:
    st.metric(label, f"{count:,}", note, delta_color="gray", delta_arrow="off")


def breaker(now: dict[str, Any]) -> tuple[str, str]:
    """The circuit breaker's state, and what happens next."""
    if now["open_seconds"] is None:
        return "Closed", f"{now['breaker_failures']} of 5 failures"
    if now["probing"]:
        return "Probing", "one job tries"
    if now["open_seconds"] == 0:
        return "Open", "next job tries"
    return "Open", f"next try in {duration(now['open_seconds'])}"


def presets(file: FaultFile) -> None:
    st.header("Set a usual fault")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scope = st.selectbox("Of", [ALL, *MODELS], key="preset model", width=360)
        model = None if scope == ALL else scope
        for name, values in PRESETS.items():
            if st.button(name, key=f"preset {name}"):
                ask(set_faults_action(file, with_model(active_faults(file), model, values)))
        if st.button("Provider down"):
            ask(set_faults_action(file, Faults("cut")))
        if st.button("Everything normal"):
            clear_faults(file)


def form(file: FaultFile) -> None:
    st.header("Set faults in detail")
    scope = st.selectbox("Model", [ALL, *MODELS], key="model", bind="query-params", width=360)
    model = None if scope in (None, ALL) else scope
    faults = active_faults(file)
    st.caption(
        "In place of what is in force for all models; what single models have of their own stays."
        if model is None
        else "In place of what is in force for all models, for this model alone. With nothing set"
        " it is as all others."
    )
    with st.form(f"faults of {scope}"):
        outage, values = inputs(faults, model)
        if not st.form_submit_button("Put in force", type="primary"):
            return
    try:
        changed = with_model(faults, model, ModelFaults(**values))
    except FaultsError as error:
        st.error(str(error))
        return
    if model is None:
        changed = Faults(outage, changed.all_models, changed.models)
    ask(set_faults_action(file, changed))


def inputs(faults: Faults, model: str | None) -> tuple[str | None, dict[str, Any]]:
    """Draw the fields with the active faults; returns the outage and the ModelFaults fields."""
    before, outage = faults.for_model(model) if model else faults.all_models, None
    if model is None:
        outage = st.selectbox(
            "Outage of the whole provider",
            OUTAGES,
            None if faults.outage is None else list(OUTAGES).index(faults.outage),
            format_func=lambda outage: OUTAGES[outage],
            placeholder="None",
            width=420,
        )
    with st.grid("auto", min_column_width=220):
        slower = st.number_input(
            "Runs take so many times as long", 1.0, float(MAX_SLOWDOWN), float(before.slower)
        )
        extra = st.number_input(
            "Seconds that runs take longer",
            0.0,
            float(MAX_EXTRA_SECONDS),
            float(before.extra_seconds),
            step=1.0,
        )
        creates = st.number_input(
            "Most creations a minute", 1, MAX_CREATES, before.creates_per_minute,
            placeholder="As Replicate: 600",
        )  # fmt: skip
    st.text("What so many of a hundred predictions meet, at most 100 together:")
    with st.grid("auto", min_column_width=220):
        failures = {
            kind: st.number_input(
                words[0].upper() + words[1:],
                0,
                100,
                int(before.failures.get(kind, 0)),
            )
            for kind, words in FAILURES.items()
        }
        retry_after = st.number_input(
            "Throttled ones wait, seconds", 1, MAX_RETRY_AFTER, before.retry_after
        )
    return outage, {
        "slower": slower,
        "extra_seconds": extra,
        "failures": {kind: percent for kind, percent in failures.items() if percent},
        "retry_after": retry_after,
        "creates_per_minute": creates,
    }


def set_faults_action(file: FaultFile, faults: Faults) -> Action:
    def run() -> str:
        inject(pool(), actor(), file, faults)
        return "The faults are in force." if faults.summary else "Everything is normal."

    lines = "\n".join(f"- {escaped(words)}" for words in faults.summary) or "- Nothing goes wrong."
    return Action(
        title="Put faults in force",
        effect=f"From now on, and until they are cleared:\n\n{lines}\n\nReal jobs of this database"
        " meet them too: they are retried, and some may fail for good.\n\n",
        button="Put in force",
        run=run,
    )


def change_history() -> None:
    st.header("Who set faults?")
    rows = read("fault_injection", "changes")
    if not rows:
        st.caption("Nobody yet.")
        return
    st.dataframe(
        [row | {"faults": "; ".join(row["faults"]) or "all cleared"} for row in rows],
        key="changes",
        hide_index=True,
        column_config={
            "at": time_column("At", seconds=True),
            "actor": "By",
            "faults": st.column_config.TextColumn("Put in force", width="large"),
        },
    )


reachable = live(lambda: panel(file))
presets(file)
form(file)
if reachable:
    with database_errors_shown():
        change_history()
