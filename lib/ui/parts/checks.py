"""The checks of troubleshooting: problems found, their causes, and buttons that fix them."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from lib.checks.check import Finding, Repair
from lib.checks.troubleshooting.catalogue import CheckFindings, ranked, run_checks
from lib.checks.troubleshooting.symptom import Symptom
from lib.formats import escaped, plural
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, pool, read
from lib.ui.navigation import link

BADGES = {"critical": ":red-badge[Critical]", "warning": ":orange-badge[Warning]"}


def show_checks(symptoms: Sequence[Symptom]) -> None:
    """Run the checks of symptoms and draw what they found, the most severe first."""
    results = [(one, run_checks(one, read)) for one in symptoms]
    problems = [(one, ranked(checks), checks) for one, checks in results if ranked(checks)]
    problems.sort(key=lambda found: (found[1][0].status != "critical", -found[1][0].jobs))
    _show_summary(problems, sum(len(checks) for _, checks in results))
    for one, found, checks in problems:
        st.header(one.title)
        for place, finding in enumerate(found):
            _show_cause(one, place, finding)
        _show_list(f"All {plural(len(checks), 'check')}", checks)
    if len(problems) < len(symptoms):
        st.header("No problems found")
    for one, checks in results:
        if not ranked(checks):
            _show_list(f"{one.title}: {plural(len(checks), 'check')}", checks)


def _show_summary(
    problems: Sequence[tuple[Symptom, list[Finding], list[CheckFindings]]], checks: int
) -> None:
    if not problems:
        st.success(
            f"**All good.** {plural(checks, 'check')} found no problems.",
            icon=":material/check_circle:",
        )
        return
    lines = [f"- **{one.title}**: {escaped(found[0].cause)}" for one, found, _ in problems]
    text = f"**{plural(len(problems), 'problem')} found**\n\n" + "\n".join(lines)
    if problems[0][1][0].status == "critical":
        st.error(text, icon=":material/error:")
    else:
        st.warning(text, icon=":material/warning:")


def _show_list(label: str, results: Sequence[CheckFindings]) -> None:
    with st.expander(label):
        for check, findings in results:
            badge = ":orange-badge[Problem]" if findings else ":green-badge[OK]"
            st.markdown(f"{badge} **{check.title}**")
            st.caption(check.about)


def _show_cause(one: Symptom, place: int, finding: Finding) -> None:
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
                ask(_repair_action(repair))
            if finding.page:
                link(finding.page, **finding.filters)


def _repair_action(repair: Repair) -> Action:
    return Action(
        title=escaped(repair.label),
        effect=escaped(repair.effect),
        button=escaped(repair.label),
        run=partial(_run_repair, repair),
        decline="Cancel",
        needs=repair.needs,
    )


def _run_repair(repair: Repair) -> str:
    return escaped(repair.run(pool(), actor()))
