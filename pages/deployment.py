"""Is this deployment complete and right, and what is left to do?"""

from datetime import UTC, datetime
from itertools import groupby

import streamlit as st

from lib.checks.deployment.apply_migrations import PendingFile, apply_pending, preview
from lib.checks.deployment.catalogue import CHECKS, MANUAL
from lib.checks.deployment.check import Check, Manual, abbreviated
from lib.checks.deployment.progress import Checklist, checklist, tick
from lib.checks.deployment.report import report
from lib.checks.selftest.target import target
from lib.formats import escaped, plural
from lib.resources import database_url, project_keys
from lib.roles import Role
from lib.settings import settings
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import actor, functions_url, moment, own_url, pool, time_zone, who
from lib.ui.live import drawn_once_back, live
from lib.ui.navigation import link

LOOK_SECONDS = 10.0
BADGES = {
    True: ":green-badge[Done]",
    False: ":red-badge[Open]",
    None: ":gray-badge[Not needed]",
}
TICKED = {True: BADGES[True], False: ":orange-badge[To tick]"}

st.caption(
    "What must be there and work before users come, each point looked at now. What is open says"
    " how to repair it; what only people can judge, they tick."
)


# Shared by all viewers, and younger than a panel's refresh.
@st.cache_data(ttl=LOOK_SECONDS - 2, show_spinner=False)
def look() -> tuple[Checklist, list[PendingFile], datetime]:
    return checklist(pool(), target(settings(), own_url())), preview(pool()), datetime.now(UTC)


def panel() -> None:
    seen, waiting, _ = look()
    verdict(seen)
    if waiting:
        pending_migrations(waiting)
    for check in seen.open_checks():
        to_repair(check, seen)
    everything(seen)
    people(seen)


def verdict(seen: Checklist) -> None:
    left = seen.open_checks()
    if not left:
        ticked = sum(seen.ticked(point.name) for point in MANUAL)
        st.success(
            f"All {len(CHECKS)} points are done, and {ticked} of the {len(MANUAL)} that people"
            " tick.",
            icon=":material/check_circle:",
        )
        return
    names = ", ".join(check.title for check in left)
    st.error(f"{len(left)} of {len(CHECKS)} points are open: {names}.", icon=":material/error:")


def pending_migrations(waiting: list[PendingFile]) -> None:
    st.header(f"{plural(len(waiting), 'migration')} to apply")
    if st.button(f"Apply {plural(len(waiting), 'migration')}", type="primary"):
        ask(applying(waiting))
    for file in waiting:
        with st.expander(escaped(file.name)):
            st.code(file.sql, language="sql", height=400)


def applying(waiting: list[PendingFile]) -> Action:
    def run() -> str:
        applied = apply_pending(database_url(settings()), actor(), waiting)
        look.clear()
        return f"{plural(len(applied), 'migration')} applied."

    return Action(
        title="Apply migrations",
        effect=f"Applies {plural(len(waiting), 'migration')} to the database in this order:"
        f" {escaped(abbreviated(file.name for file in waiting))}. Each is a transaction of its own; after"
        " an error those before it stay."
        " Whoever else applies at the same moment waits.",
        button=f"Apply {plural(len(waiting), 'migration')}",
        run=run,
        needs=Role.ADMIN,
    )


def to_repair(check: Check, seen: Checklist) -> None:
    found = seen.findings[check.name]
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"{BADGES[False]} **{check.title}**{times(check.name, seen)}")
        st.text(found.evidence)
        words, _, sql = found.repair.partition("\n\n")
        st.caption("How to repair it")
        st.text(words)
        if sql:
            st.code(sql, language="sql", wrap_lines=True)
        if found.page:
            link(found.page)


def everything(seen: Checklist) -> None:
    for section, checks in groupby(CHECKS, key=lambda check: check.section):
        st.header(section)
        for check in checks:
            found = seen.findings[check.name]
            with st.container(gap=None):
                st.markdown(f"{BADGES[found.done]} **{check.title}**{times(check.name, seen)}")
                st.text(found.evidence)


def times(name: str, seen: Checklist) -> str:
    kept = seen.records.get(name)
    if kept is None or seen.findings[name].done is None:
        return ""
    if kept.done:
        return f" · since {moment(kept.since)}"
    last = f"last done {moment(kept.last_done_at)}" if kept.last_done_at else "never done yet"
    return f" · since {moment(kept.since)}, {last}"


def people(seen: Checklist) -> None:
    st.header("People")
    for point in MANUAL:
        done, kept = seen.ticked(point.name), seen.records.get(point.name)
        with st.container(horizontal=True, vertical_alignment="center"):
            with st.container(gap=None):
                st.markdown(f"{TICKED[done]} **{point.title}**")
                st.text(point.meaning)
                if kept:
                    what = "Ticked" if done else "Unticked"
                    st.text(f"{what} by {kept.ticked_by}, {moment(kept.since)}")
            if st.button("Untick" if done else "Tick", key=f"tick {point.name}"):
                ask(ticking(point, not done))


def ticking(point: Manual, done: bool) -> Action:
    def run() -> str:
        tick(pool(), actor(), point.name, done)
        look.clear()
        return f"{point.title}: {'done' if done else 'open again'}."

    return Action(
        title=point.title,
        effect=f"Notes that this is {'so' if done else 'not so (any more)'}: {point.meaning}",
        button="Tick" if done else "Untick",
        run=run,
    )


def as_file(seen: Checklist, at: datetime) -> None:
    deployment, by, zone = target(settings(), own_url()), who(), time_zone()
    st.download_button(
        "Report",
        lambda: report(seen, deployment, at, by, zone).encode(),
        f"deployment-{at:%Y-%m-%d}.html",
        "text/html",
        on_click="ignore",
        icon=":material/print:",
        help="The checklist as a page to print or to keep.",
    )


def how_to_call() -> None:
    url, publishable = functions_url(), project_keys(settings()).publishable
    st.header("How are the functions called?")
    st.text(f"{url}/functions/v1")
    st.caption(
        "Callers send a key in the apikey header or as Bearer token. The publishable key names an"
        " application and may start generations:"
    )
    st.code(publishable, language=None, wrap_lines=True)
    st.code(
        f"""curl {url}/functions/v1/start-generation \\
  -H 'apikey: {publishable}' -H 'Content-Type: application/json' \\
  -d '{{"prompt": "A lighthouse at dusk", "model_id": "black-forest-labs/flux-schnell"}}'""",
        language="bash",
        wrap_lines=True,
    )
    st.caption(
        "The secret key may do everything and is never shown: it is the setting"
        " SUPABASE_SECRET_KEY, or without it in keys.json of the data folder, on the server. With"
        " it, the jobs that are due are run as cron does:"
    )
    st.code(
        f'curl -X POST {url}/functions/v1/process-jobs -H "apikey: $SECRET_KEY"',
        language="bash",
        wrap_lines=True,
    )


confirmations()
with drawn_once_back():
    seen, _, at = look()
    live(panel, seconds=LOOK_SECONDS)
    as_file(seen, at)
how_to_call()
