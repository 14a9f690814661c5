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
        "Faults can only be injected into the simulated provider. To use it, start the app without"
        " REPLICATE_API_TOKEN."
    )
    st.stop()
st.caption(
    "Makes the simulated provider fail so that you can see how the queue, workers and pages cope."
    " Faults apply to new predictions from every process that uses this data folder. They survive"
    " restarts and last until you clear them."
)
confirmations()


def active_faults(file: FaultFile) -> Faults:
    """The active faults. An unreadable file is reported; clearing repairs it."""
    try:
        return file.read()
    except FaultsError as error:
        st.error("The active faults cannot be read. Clear all faults.")
        st.text(str(error))
        return Faults()


def panel(file: FaultFile) -> None:
    faults = active_faults(file)
    if file.exists():
        show_faults(faults)
        if st.button("Clear all faults", type="primary", icon=":material/healing:"):
            clear_faults(file)
    else:
        st.success("**No active faults.**", icon=":material/check_circle:")
    queue_reaction()


def show_faults(faults: Faults) -> None:
    lines = "\n".join(f"- {escaped(words)}" for words in faults.summary)
    since = format_time(faults.since, seconds=True) if faults.since else "?"
    st.warning(
        f"**Faults active since {since}**, set by {escaped(faults.by)}.\n\n{lines}",
        icon=":material/bug_report:",
    )


def clear_faults(file: FaultFile) -> None:
    """Clear all faults, without confirmation: it only undoes what this page did."""
    with database_errors_shown():
        try:
            inject(pool(), actor(), file, Faults())
            report("All faults cleared.")
        except AccessDenied as refusal:
            report(str(refusal), icon=":material/block:")
        st.rerun()


def queue_reaction() -> None:
    """Draw how the queue is coping right now."""
    now = read("fault_injection", "now")
    with st.grid("auto", min_column_width=165, border=True):
        st.metric("Circuit breaker", *breaker(now), delta_color="gray", delta_arrow="off")
        tile("Pending", now["pending"], f"{now['retrying']:,} retrying")
        stuck = now["stuck"]
        tile("Running", now["processing"] - stuck, f"{stuck:,} stuck" if stuck else None)
        tile("Completed", now["completed"], "last 5 min")
        tile("Failed", now["failed"], "last 5 min")
    if now["breaker_reason"]:
        st.text(f"Last provider failure: {now['breaker_reason']}")
    if now["held_models"]:
        rest = duration(now["held_seconds"])
        st.text(f"Rate-limited for up to {rest}: {', '.join(now['held_models'])}")
    errors = read("fault_injection", "errors")
    if errors:
        st.dataframe(
            errors,
            key="errors",
            hide_index=True,
            column_config={
                "code": "Error",
                "waiting": count_column("Retrying"),
                "failed": count_column("Failed, last 5 min"),
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
        return "Half-open", "testing with one job"
    if now["open_seconds"] == 0:
        return "Open", "next job is a test"
    return "Open", f"next test in {duration(now['open_seconds'])}"


def presets(file: FaultFile) -> None:
    st.header("Presets")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scope = st.selectbox("Model", [ALL, *MODELS], key="preset model", width=360)
        model = None if scope == ALL else scope
        for name, values in PRESETS.items():
            if st.button(name, key=f"preset {name}"):
                ask(set_faults_action(file, with_model(active_faults(file), model, values)))
        if st.button("Provider down"):
            ask(set_faults_action(file, Faults("cut")))


def form(file: FaultFile) -> None:
    st.header("Custom faults")
    scope = st.selectbox("Model", [ALL, *MODELS], key="model", bind="query-params", width=360)
    model = None if scope in (None, ALL) else scope
    faults = active_faults(file)
    st.caption(
        "Replaces the faults for all models. Models with their own faults keep them."
        if model is None
        else "Faults set here override the faults for all models. Leave every field empty to use"
        " the faults for all models."
    )
    with st.form(f"faults of {scope}"):
        outage, values = inputs(faults, model)
        if not st.form_submit_button("Apply faults", type="primary"):
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
            "Provider outage",
            OUTAGES,
            None if faults.outage is None else list(OUTAGES).index(faults.outage),
            format_func=lambda outage: OUTAGES[outage],
            placeholder="None",
            width=420,
        )
    with st.grid("auto", min_column_width=220):
        slower = st.number_input(
            "Latency multiplier", 1.0, float(MAX_SLOWDOWN), float(before.slower)
        )
        extra = st.number_input(
            "Added latency (s)",
            0.0,
            float(MAX_EXTRA_SECONDS),
            float(before.extra_seconds),
            step=1.0,
        )
        creates = st.number_input(
            "Maximum predictions per minute", 1, MAX_CREATES, before.creates_per_minute,
            placeholder="Replicate: 600",
        )  # fmt: skip
    st.text("Error mix (% of predictions, up to 100 in total)")
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
            "Retry-After when rate-limited (s)", 1, MAX_RETRY_AFTER, before.retry_after
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
        return "Faults applied." if faults.summary else "All faults cleared."

    lines = "\n".join(f"- {escaped(words)}" for words in faults.summary)
    return Action(
        title="Apply faults",
        effect=f"Applies until cleared:\n\n{lines}\n\nAlso affects real jobs in this database:"
        " they are retried, and some may fail permanently.\n\n"
        if lines
        else "Clears all faults.",
        button="Apply faults",
        run=run,
    )


def change_history() -> None:
    st.header("Changes")
    rows = read("fault_injection", "changes")
    if not rows:
        st.caption("No changes.")
        return
    st.dataframe(
        [row | {"faults": "; ".join(row["faults"]) or "All cleared"} for row in rows],
        key="changes",
        hide_index=True,
        column_config={
            "at": time_column("Time", seconds=True, width=130),
            "actor": st.column_config.TextColumn("User", width=170),
            "faults": st.column_config.TextColumn("Faults", width=600),
        },
    )


reachable = live(lambda: panel(file))
presets(file)
form(file)
if reachable:
    with database_errors_shown():
        change_history()
