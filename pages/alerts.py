"""Which alerts are firing, since when, and who gets notified?"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from lib.checks.health import LEVEL_LABELS
from lib.formats import duration, escaped, plural
from lib.ops.alerts.actions import end_silence
from lib.ops.alerts.rules import RULES, format_measure, subject_name
from lib.ops.conditions import START_WORKER
from lib.ui.columns import time_column
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import actor, format_time, format_time_of_day, pool, read
from lib.ui.export import NEWEST, batches, csv_export
from lib.ui.live import live
from lib.ui.navigation import link
from lib.ui.parts import alerts as parts

REFRESH_SECONDS = 5.0
MAX_SHOWN = 100
COLUMNS = [
    "fired_at", "resolved_at", "seconds", "severity", "rule", "subject", "worst", "told", "id",
]  # fmt: skip


def panel() -> None:
    watch, found = read("alerts", "watch"), read("alerts", "open")
    firing = [alert for alert in found if alert["fired_at"]]
    show_watch_state(watch, firing)
    for alert in firing:
        show_alert(alert)
    show_pending_alerts([alert for alert in found if not alert["fired_at"]])
    show_delivery_problems(watch, read("alerts", "channels"))
    view = st.segmented_control(
        "What", list(VIEWS), default="Rules", required=True, key="view", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    VIEWS[view]()


def show_watch_state(watch: Mapping[str, Any], firing: list[dict[str, Any]]) -> None:
    if not watch["known"]:
        at = watch["evaluated_at"]
        since = f"since {format_time(at, seconds=True)}" if at else "yet"
        st.error(
            f"**Alerts not evaluated** {since}: this page is as old. Workers, process-jobs and this"
            f" app evaluate them. {START_WORKER}",
            icon=":material/error:",
        )
    elif not firing:
        st.success(
            f"**Nothing is wrong.** {plural(watch['rules'], 'rule')} watched, last at"
            f" {format_time_of_day(watch['evaluated_at'])}.",
            icon=":material/check_circle:",
        )


def show_alert(alert: Mapping[str, Any]) -> None:
    rule = RULES[alert["rule"]]
    since = f"Since {format_time(alert['fired_at'], seconds=True)}"
    silent = alert["silenced_until"]
    quiet = f", silenced until {format_time(silent)}" if silent else ""
    calming = ", about to be over" if alert["calming"] else ""
    critical = alert["severity"] == "critical"
    words = f"**{LEVEL_LABELS[alert['severity']]}.** {escaped(rule.describe(alert))}"
    # The text may be long, so the actions go below it.
    with st.container(border=True, gap="xsmall"):
        (st.error if critical else st.warning)(
            words, icon=":material/error:" if critical else ":material/visibility:"
        )
        st.markdown(f"**What to do.** {rule.todo}")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{since}{calming}{quiet}. {delivery_text(alert)}", width="stretch")
            link(rule.page)
            length = st.menu_button(
                "Silence", list(parts.SILENCE_SECONDS), icon=":material/notifications_off:",
                key=f"silence {alert['id']}",
            )  # fmt: skip
    if length:
        ask(parts.silence_action(alert["rule"], length, alert=alert))


def delivery_text(alert: Mapping[str, Any]) -> str:
    return f"{plural(alert['told'], 'channel')} told." if alert["told"] else "Nobody is told yet."


def show_pending_alerts(pending: list[dict[str, Any]]) -> None:
    for alert in pending:
        rule = RULES[alert["rule"]]
        st.caption(
            f":material/hourglass: {escaped(rule.describe(alert))} Fires once that has lasted"
            f" {duration(alert['for_seconds'])}; so far {duration(alert['seconds'])}."
        )


def show_delivery_problems(watch: Mapping[str, Any], channels: list[dict[str, Any]]) -> None:
    if not watch["channels"]:
        st.info("Nobody is told of an alert: add a channel.", icon=":material/notifications_off:")
    for channel in channels:
        if channel["waiting"] and channel["last_error"] and channel["enabled"]:
            st.warning(
                f"{escaped(channel['name'])} has not got {plural(channel['waiting'], 'message')}:"
                f" {escaped(channel['last_error'])} Each is tried again for a day.",
                icon=":material/notification_important:",
            )


def rules() -> None:
    st.header("When does an alert fire?")
    rows = parts.in_catalogue_order(read("alerts", "rules"))
    for row in rows:
        show_rule(row)
    chosen = st.selectbox(
        "Change a rule",
        [row["rule"] for row in rows],
        index=None,
        format_func=parts.rule_title,
        placeholder="Choose one",
        key="rule",
        bind="query-params",
        width=320,
    )
    if chosen:
        parts.rule_form(next(row for row in rows if row["rule"] == chosen))


def show_rule(row: Mapping[str, Any]) -> None:
    rule = RULES[row["rule"]]
    state = (
        ":gray-badge[:material/notifications_off: Off]" if not row["enabled"]
        else ":red-badge[:material/error: Firing]" if row["firing"]
        else ":orange-badge[:material/hourglass: Beginning]" if row["beginning"]
        else ":green-badge[:material/check: Fine]"
    )  # fmt: skip
    above = f"{row['severity']} above {format_measure(rule.unit, row['threshold'])}"
    lasting = f" lasting {duration(row['for_seconds'])}" if row["for_seconds"] else ""
    least = f", from {plural(row['minimum_jobs'])} on" if row["minimum_jobs"] else ""
    over = f"over at {format_measure(rule.unit, row['resolve_at'])}"
    now = "" if row["value"] is None else f", now {format_measure(rule.unit, row['value'])}"
    by = row["changed_by"]
    changed = f" Changed {format_time(row['changed_at'])} by {escaped(by)}." if by else ""
    with st.container(gap=None):
        st.markdown(f"{state} **{rule.title}:** {above}{lasting}{least}, {over}{now}")
        st.caption(f"{rule.measures}{changed}")


def silences() -> None:
    st.header("Of what is nobody told?")
    rows = read("alerts", "silences")
    if not rows:
        st.caption("No silence is in force.")
    for row in rows:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            of = f" of {escaped(row['subject'])}" if row["subject"] else ""
            why = f": {escaped(row['reason'])}" if row["reason"] else ""
            st.markdown(
                f"**{parts.rule_title(row['rule'])}**{of} until {format_time(row['until'])}, by"
                f" {escaped(row['created_by'])}{why}",
                width="stretch",
            )
            if st.button("End it", key=f"end {row['id']}"):
                ask(end_silence_action(row))
    parts.silence_form()


def end_silence_action(row: Mapping[str, Any]) -> Action:
    def run() -> str:
        ended = end_silence(pool(), actor(), row["id"])
        return "The silence is over." if ended else "The silence was over already."

    return Action(
        "End a silence",
        f"{parts.rule_title(row['rule'])}: what fires is told again from now on.",
        "End it",
        run,
    )


def history() -> None:
    st.header("What has fired?")
    rows = read("alerts", "history", most=MAX_SHOWN, **NEWEST)
    if not rows:
        st.caption("Nothing in the last 90 days.")
        return
    st.dataframe(
        pd.DataFrame([history_row(row) for row in rows]),
        hide_index=True,
        alt="Alerts that fired",
        placeholder="–",
        column_config={
            "Fired": time_column(seconds=True),
            "Over": time_column(seconds=True),
        },
    )
    if len(rows) == MAX_SHOWN:
        st.caption(f"The newest {MAX_SHOWN}. The file holds all of the last 90 days.")


def history_row(row: Mapping[str, Any]) -> dict[str, Any]:
    rule = RULES[row["rule"]]
    return {
        "Fired": row["fired_at"],
        "Lasted": duration(row["seconds"]),
        "Over": row["resolved_at"],
        "Rule": rule.title,
        "Of": subject_name(row) or None,
        "Severity": row["severity"],
        "Worst": format_measure(rule.unit, row["worst"]),
        "Channels told": row["told"],
    }


VIEWS = {"Rules": rules, "Channels": parts.channel_list, "Silences": silences, "History": history}

confirmations()
live(panel, seconds=REFRESH_SECONDS)
if st.session_state.get("view") == "History":
    csv_export(
        "alerts",
        COLUMNS,
        MAX_SHOWN,
        lambda: batches("alerts", "history", NEWEST, ["fired_at", "id"]),
    )
