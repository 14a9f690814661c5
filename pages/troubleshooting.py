"""What is wrong now, why most likely, and what repairs it?"""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from lib.checks.finding import Finding, Repair, Symptom
from lib.checks.troubleshooting.catalogue import SYMPTOMS, CheckFindings, ranked, run_checks
from lib.formats import escaped, plural
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import actor, pool, read
from lib.ui.live import live
from lib.ui.navigation import link

SECONDS = 4.0
LEVELS = {"act": ":red-badge[Act now]", "look": ":orange-badge[Look soon]"}

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
    looked = [(one, run_checks(one, read)) for one in chosen]
    wrong = [(one, ranked(checks), checks) for one, checks in looked if ranked(checks)]
    wrong.sort(key=lambda found: (found[1][0].level != "act", -found[1][0].jobs))
    say(wrong, sum(len(checks) for _, checks in looked))
    for one, found, checks in wrong:
        st.header(one.title)
        for place, finding in enumerate(found):
            cause(one, place, finding)
        checked(f"The {len(checks)} checks that were run", checks)
    if len(wrong) < len(chosen):
        st.header("Where no cause was found")
    for one, checks in looked:
        if not ranked(checks):
            checked(f"{one.title}: {plural(len(checks), 'check')}, no cause found", checks)


def say(wrong: Sequence[tuple[Symptom, list[Finding], list[CheckFindings]]], checks: int) -> None:
    if not wrong:
        st.success(
            f"**Nothing is wrong.** {plural(checks, 'check')} found no cause.",
            icon=":material/check_circle:",
        )
        return
    lines = [f"- **{one.title}**: {escaped(found[0].cause)}" for one, found, _ in wrong]
    text = "What is wrong now:\n\n" + "\n".join(lines)
    if wrong[0][1][0].level == "act":
        st.error(text, icon=":material/error:")
    else:
        st.warning(text, icon=":material/visibility:")


def checked(label: str, looked: Sequence[CheckFindings]) -> None:
    with st.expander(label):
        for check, findings in looked:
            badge = ":orange-badge[Found]" if findings else ":green-badge[Fine]"
            st.markdown(f"{badge} **{check.question}**")
            st.caption(check.about)


def cause(one: Symptom, place: int, finding: Finding) -> None:
    with st.container(border=True, gap="xsmall"):
        likeliest = " Most likely:" if place == 0 else ""
        st.markdown(f"{LEVELS[finding.level]}{likeliest} **{escaped(finding.cause)}**")
        st.text(finding.evidence)
        if finding.todo:
            st.caption(escaped(finding.todo))
        with st.container(horizontal=True, vertical_alignment="center"):
            if (repair := finding.repair) and st.button(
                escaped(repair.label),
                # Two findings may have the same repair.
                key=f"{one.name} {place} {repair.label}",
                type="primary" if place == 0 else "secondary",
            ):
                ask(asking(repair))
            if finding.page:
                link(finding.page, **finding.filters)


def asking(repair: Repair) -> Action:
    return Action(
        title=escaped(repair.label),
        effect=escaped(repair.effect),
        button=escaped(repair.label),
        run=partial(run, repair),
        decline="Not now",
        needs=repair.needs,
    )


def run(repair: Repair) -> str:
    return escaped(repair.run(pool(), actor()))


live(panel, seconds=SECONDS)
