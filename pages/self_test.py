"""Does this deployment work end to end?"""

from collections.abc import Sequence
from itertools import groupby

import streamlit as st

from lib.checks.selftest.background import BackgroundRun
from lib.checks.selftest.report import Outcome, Report, as_json, summary
from lib.checks.selftest.target import target
from lib.database import DatabaseError
from lib.formats import duration, plural
from lib.roles import AccessDenied
from lib.settings import SettingsError, settings
from lib.ui.dashboard import actor, app_url, clear_cached_answers, format_time, read
from lib.ui.live import rerun_when_reachable
from lib.ui.navigation import link

REFRESH_SECONDS = 0.5
BADGES = {
    "waiting": ":gray-badge[Pending]",
    "running": ":blue-badge[Running]",
    "passed": ":green-badge[Passed]",
    "failed": ":red-badge[Failed]",
    "skipped": ":orange-badge[Skipped]",
}

st.caption("Tests every step of the deployment end to end and shows how to fix each failure.")


def start() -> None:
    try:
        deployment, by = target(settings(), app_url()), actor()
    except (AccessDenied, SettingsError, DatabaseError) as error:
        st.session_state["self_test_refused"] = str(error)
        return
    st.session_state.pop("self_test_refused", None)
    st.session_state["self_test"] = BackgroundRun(deployment, by, clear_cached_answers)


def introduction() -> None:
    if settings().replicate_token:
        costs = "**Replicate charges for all three.**"
    elif settings().database_url or settings().functions_elsewhere:
        costs = "**If workers or functions elsewhere use Replicate, it charges for all three.**"
    else:
        costs = "The provider is simulated, so they are free."
    st.markdown(
        f"Runs three real generations with a fast model. {costs} They are marked as tests and"
        " removed at the end. Other jobs are not affected, except that process-jobs is called"
        f" once and runs up to {settings().max_parallel_jobs} pending jobs. Takes a few seconds,"
        " at most 15 min."
    )


@st.fragment(run_every=REFRESH_SECONDS)
def progress(run: BackgroundRun) -> None:
    if not run.running:
        st.rerun()
    checks = run.checks
    ended = sum(check["seconds"] is not None or check["status"] == "skipped" for check in checks)
    now = next((check["title"] for check in checks if check["status"] == "running"), "Starting")
    st.progress(ended / len(checks), f"{ended} of {len(checks)} · {now}")
    failed_checks(checks)
    checks_by_area(checks)


def show_report(report: Report) -> None:
    verdict = f"{summary(report['checks'])} in {duration(report['seconds'])}."
    if report["outcome"] == "passed":
        st.success(f"Self-test passed: {verdict}", icon=":material/check_circle:")
    else:
        failed = sum(check["status"] == "failed" for check in report["checks"])
        st.error(f"{plural(failed, 'check')} failed: {verdict}", icon=":material/error:")
    link("deployment")
    failed_checks(report["checks"])
    checks_by_area(report["checks"])
    st.header("Report")
    st.text(
        f"Database: {report['database']}\nFunctions: {report['functions']}\n"
        f"Provider: {report['provider']}"
    )
    text = as_json(report)
    st.download_button(
        "Download as JSON",
        text,
        f"self-test-{report['run']}.json",
        "application/json",
        on_click="ignore",
    )
    with st.expander("Copy as JSON"):
        st.code(text, language="json", height=400)


def failed_checks(checks: Sequence[Outcome]) -> None:
    for check in checks:
        if check["status"] == "failed":
            with st.container(border=True, gap="xsmall"):
                st.markdown(f"{BADGES['failed']} **{check['title']}**")
                st.caption("Expected")
                st.text(check["expected"])
                st.caption("Actual")
                st.text(check["came_back"])
                st.caption("How to fix it")
                instructions, _, sql = check["repair"].partition("\n\n")
                st.text(instructions)
                if sql:
                    st.code(sql, language="sql", wrap_lines=True)


def checks_by_area(checks: Sequence[Outcome]) -> None:
    for area, members in groupby(checks, key=lambda check: check["area"]):
        st.header(area)
        for check in members:
            took = "" if check["seconds"] is None else f" · {format_length(check['seconds'])}"
            with st.expander(f"{BADGES[check['status']]} {check['title']}{took}"):
                st.caption("Expected")
                st.text(check["expected"])
                if check["came_back"]:
                    st.caption("Reason" if check["status"] == "skipped" else "Actual")
                    st.text(check["came_back"])


def format_length(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else duration(seconds)


def last_run() -> None:
    last = read("self_test", "last_run")
    if last is None:
        st.info("No runs yet. The checks appear here as they run.")
        return
    st.text(f"Last run {format_time(last['at'], seconds=True)}, by {last['actor']}:")
    show_report(last["report"])


run: BackgroundRun | None = st.session_state.get("self_test")
introduction()
st.button(
    "Run self-test",
    type="primary",
    on_click=start,
    disabled=run is not None and run.running,
)
if refusal := st.session_state.get("self_test_refused") or (run is not None and run.refusal):
    st.error("The self-test cannot run:")
    st.text(refusal)
if run is not None and run.running:
    progress(run)
elif run is not None and run.error:
    st.error("The self-test did not finish:")
    st.text(run.error)
elif run is not None and run.report is not None:
    show_report(run.report)
else:
    with rerun_when_reachable():
        last_run()
