"""Is this deployment complete and correct, and what is left to do?"""

from datetime import datetime
from itertools import groupby

import streamlit as st

from lib.checks.check import Repair, abbreviated
from lib.checks.deployment.apply_migrations import PendingFile, apply_pending
from lib.checks.deployment.catalogue import CHECKS, MANUAL
from lib.checks.deployment.facts import Manual
from lib.checks.deployment.progress import Checklist, Point, tick
from lib.checks.deployment.report import report
from lib.checks.selftest.target import target
from lib.formats import escaped, plural
from lib.resources import database_url, project_keys
from lib.roles import Role
from lib.settings import settings
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import (
    actor,
    app_url,
    current_user,
    format_time,
    functions_url,
    pool,
    time_zone,
)
from lib.ui.live import live, rerun_when_reachable
from lib.ui.navigation import link
from lib.ui.parts.deployment_checks import (
    REFRESH_SECONDS,
    need_attention,
    repair_command,
    run_checks,
)

BADGES = {
    "ok": ":green-badge[OK]",
    "not_applicable": ":gray-badge[Not needed]",
    "warning": ":orange-badge[Warning]",
    "critical": ":red-badge[Critical]",
}
MANUAL_BADGES = {True: ":green-badge[Done]", False: ":orange-badge[To do]"}

st.caption(
    "Live checks of everything a deployment needs before launch. Checks that need attention show"
    " what to do. Mark the manual checks as done yourself."
)
st.markdown(
    "Keys and commands for your application: [Calling the functions](#calling-the-functions)"
)


def panel() -> None:
    state, pending, _ = run_checks()
    verdict(state)
    if pending:
        pending_migrations(pending)
    if command := repair_command():
        st.info(
            "The Supabase CLI would reapply migrations that it did not apply itself. Copy the files"
            " in Darkroom's supabase/migrations to the same folder of your project. Before the"
            " next `supabase db push`, run:"
        )
        st.code(command, language="sh", wrap_lines=True)
    for check in state.open_checks():
        open_point(check, state)
    passed_points(state)
    manual_points(state)


def verdict(state: Checklist) -> None:
    left = state.open_checks()
    if not left:
        ticked = sum(state.ticked(point.name) for point in MANUAL)
        st.success(
            f"All {len(CHECKS)} automatic checks passed, {ticked} of {len(MANUAL)} manual checks"
            " done.",
            icon=":material/check_circle:",
        )
        return
    names = ", ".join(check.title for check in left)
    text = f"{need_attention(len(left))}: {names}."
    if state.critical:
        st.error(text, icon=":material/error:")
    else:
        st.warning(text, icon=":material/warning:")


def pending_migrations(pending: list[PendingFile]) -> None:
    st.header(f"{plural(len(pending), 'migration')} to apply")
    if st.button(
        f"Apply {plural(len(pending), 'migration')}", key="apply migrations", type="primary"
    ):
        ask(apply_action(pending))
    for file in pending:
        with st.expander(escaped(file.name)):
            st.code(file.sql, language="sql", height=400)


def apply_action(pending: list[PendingFile]) -> Action:
    def run() -> str:
        applied = apply_pending(database_url(settings()), actor(), pending)
        run_checks.clear()
        repair_command.clear()
        return f"{plural(len(applied), 'migration')} applied."

    return Action(
        title=f"Apply {plural(len(pending), 'migration')}",
        effect=f"Applies {plural(len(pending), 'migration')} to the database in this order:"
        f" {escaped(abbreviated(file.name for file in pending))}. All run in one"
        " transaction: if one fails, nothing is applied.",
        button=f"Apply {plural(len(pending), 'migration')}",
        run=run,
        needs=Role.ADMIN,
    )


def open_point(check: Point, state: Checklist) -> None:
    found = state.findings[check.name]
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"{BADGES[found.status]} **{check.title}**{status_times(check.name, state)}")
        st.text(found.evidence)
        text, _, sql = found.todo.partition("\n\n")
        if not found.repair:
            st.caption("How to fix it")
            st.text(text)
        if sql and not found.repair:
            st.code(sql, language="sql", wrap_lines=True)
        with st.container(horizontal=True, vertical_alignment="center"):
            if found.repair and st.button(escaped(found.repair.label), key=f"repair {check.name}"):
                ask(repair_action(found.repair))
            if found.page:
                link(found.page)


def repair_action(repair: Repair) -> Action:
    def run() -> str:
        done = repair.run(pool(), actor())
        run_checks.clear()
        return done

    label = escaped(repair.label)
    return Action(label, escaped(repair.effect), label, run, needs=repair.needs)


def passed_points(state: Checklist) -> None:
    passed = [check for check in CHECKS if not state.findings[check.name].open]
    for section, checks in groupby(passed, key=lambda check: check.section):
        st.header(section)
        for check in checks:
            found = state.findings[check.name]
            with st.container(gap=None):
                st.markdown(f"{BADGES[found.status]} **{check.title}**")
                st.text(found.evidence)


def status_times(name: str, state: Checklist) -> str:
    kept = state.records.get(name)
    # A check that was never OK is as old as the app's first look, which tells nothing.
    if kept is None or kept.last_done_at is None:
        return ""
    return f" · since {format_time(kept.since)}, last OK {format_time(kept.last_done_at)}"


def manual_points(state: Checklist) -> None:
    st.header("Manual checks")
    for point in MANUAL:
        done, kept = state.ticked(point.name), state.records.get(point.name)
        with st.container(horizontal=True, vertical_alignment="center"):
            with st.container(gap=None):
                st.markdown(f"{MANUAL_BADGES[done]} **{point.title}**")
                st.text(point.meaning)
                if kept:
                    what = "Marked as done" if done else "Reopened"
                    st.text(f"{what} by {kept.ticked_by}, {format_time(kept.since)}")
            if st.button("Reopen check" if done else "Mark as done", key=f"tick {point.name}"):
                ask(tick_action(point, not done))


def tick_action(point: Manual, done: bool) -> Action:
    def run() -> str:
        tick(pool(), actor(), point.name, done)
        run_checks.clear()
        return f"{point.title}: {'done' if done else 'reopened'}."

    return Action(
        title="Mark as done" if done else "Reopen check",
        effect=f"Records “{point.title}” as done. You confirm: {point.meaning}"
        if done
        else f"Records “{point.title}” as not done.",
        button="Mark as done" if done else "Reopen check",
        run=run,
    )


def download_report(state: Checklist, at: datetime) -> None:
    deployment, by, zone = target(settings(), app_url()), current_user(), time_zone()
    st.download_button(
        "Download report",
        lambda: report(state, deployment, at, by, zone).encode(),
        f"deployment-{at:%Y-%m-%d}.html",
        "text/html",
        on_click="ignore",
        icon=":material/print:",
        help="The checklist as a printable page.",
    )


def call_instructions() -> None:
    url, publishable = functions_url(), project_keys(settings()).publishable
    st.header("Calling the functions", anchor="calling-the-functions")
    st.text(f"{url}/functions/v1")
    st.caption("Callers send a key in the apikey header or as a Bearer token. The publishable key:")
    st.code(publishable, language=None, wrap_lines=True)
    if settings().anonymous_starts:
        key, who = publishable, "It identifies an application and can start generations:"
    else:
        key, who = (
            "$SUPABASE_SECRET_KEY",
            "It identifies an application and starts generations only with a signed-in user's token"
            " as the Bearer token. On its own it is rejected with 401 unless"
            " DARKROOM_ANONYMOUS_STARTS=1"
            " is set. Servers use the secret key:",
        )
    st.caption(who)
    st.code(
        f"""curl {url}/functions/v1/start-generation \\
  -H "apikey: {key}" -H 'Content-Type: application/json' \\
  -d '{{"prompt": "A lighthouse at dusk", "model_id": "black-forest-labs/flux-schnell"}}'""",
        language="bash",
        wrap_lines=True,
    )
    st.caption(
        "The secret key has full access and is never shown. It is in the setting"
        " SUPABASE_SECRET_KEY or, if that is not set, in keys.json in the server's data folder."
        " To run pending jobs as pg_cron does:"
    )
    st.code(
        f'curl -X POST {url}/functions/v1/process-jobs -H "apikey: $SUPABASE_SECRET_KEY"',
        language="bash",
        wrap_lines=True,
    )


confirmations()
with rerun_when_reachable():
    state, _, at = run_checks()
    live(panel, seconds=REFRESH_SECONDS)
    download_report(state, at)
call_instructions()
