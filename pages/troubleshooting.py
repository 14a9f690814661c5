"""What is wrong, what is the likely cause, and how is it fixed?"""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from lib.checks.check import Finding, Repair
from lib.checks.troubleshooting.catalogue import SYMPTOMS, CheckFindings, ranked, run_checks
from lib.checks.troubleshooting.symptom import Symptom
from lib.formats import escaped, plural
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import actor, pool, read
from lib.ui.live import live
from lib.ui.navigation import link

REFRESH_SECONDS = 4.0
BADGES = {"critical": ":red-badge[Critical]", "warning": ":orange-badge[Warning]"}

st.caption(
    "Looks for the usual causes of what operators notice, the likeliest first, and offers what"
    " repairs them."
)
confirmations()
symptom = st.selectbox(
    "What do you notice?",
    [symptom.name for symptom in SYMPTOMS],
    index=None,
    placeholder="Anything: look for everything",
    format_func={symptom.name: symptom.title for symptom in SYMPTOMS}.get,
    key="symptom",
    bind="query-params",
    width=420,
)


def panel() -> None:
    chosen = [one for one in SYMPTOMS if symptom in (None, one.name)]
    results = [(one, run_checks(one, read)) for one in chosen]
    problems = [(one, ranked(checks), checks) for one, checks in results if ranked(checks)]
    problems.sort(key=lambda found: (found[1][0].status != "critical", -found[1][0].jobs))
    show_summary(problems, sum(len(checks) for _, checks in results))
    for one, found, checks in problems:
        st.header(one.title)
        for place, finding in enumerate(found):
            show_cause(one, place, finding)
        show_checks(f"The {len(checks)} checks that were run", checks)
    if len(problems) < len(chosen):
        st.header("Where no cause was found")
    for one, checks in results:
        if not ranked(checks):
            show_checks(f"{one.title}: {plural(len(checks), 'check')}, no cause found", checks)


def show_summary(
    problems: Sequence[tuple[Symptom, list[Finding], list[CheckFindings]]], checks: int
) -> None:
    if not problems:
        st.success(
            f"**Nothing is wrong.** {plural(checks, 'check')} found no cause.",
            icon=":material/check_circle:",
        )
        return
    lines = [f"- **{one.title}**: {escaped(found[0].cause)}" for one, found, _ in problems]
    text = "What is wrong now:\n\n" + "\n".join(lines)
    if problems[0][1][0].status == "critical":
        st.error(text, icon=":material/error:")
    else:
        st.warning(text, icon=":material/visibility:")


def show_checks(label: str, results: Sequence[CheckFindings]) -> None:
    with st.expander(label):
        for check, findings in results:
            badge = ":orange-badge[Found]" if findings else ":green-badge[Fine]"
            st.markdown(f"{badge} **{check.title}**")
            st.caption(check.about)


def show_cause(one: Symptom, place: int, finding: Finding) -> None:
    with st.container(border=True, gap="xsmall"):
        likeliest = " Most likely:" if place == 0 else ""
        st.markdown(f"{BADGES[finding.status]}{likeliest} **{escaped(finding.cause)}**")
        st.text(finding.evidence)
        if finding.todo:
            st.caption(escaped(finding.todo))
        with st.container(horizontal=True, vertical_alignment="center"):
            if (repair := finding.repair) and st.button(
                escaped(repair.label),
                # Two findings may share a repair.
                key=f"{one.name} {place} {repair.label}",
                type="primary" if place == 0 else "secondary",
            ):
                ask(repair_action(repair))
            if finding.page:
                link(finding.page, **finding.filters)


def repair_action(repair: Repair) -> Action:
    return Action(
        title=escaped(repair.label),
        effect=escaped(repair.effect),
        button=escaped(repair.label),
        run=partial(run_repair, repair),
        decline="Not now",
        needs=repair.needs,
    )


def run_repair(repair: Repair) -> str:
    return escaped(repair.run(pool(), actor()))


live(panel, seconds=REFRESH_SECONDS)
