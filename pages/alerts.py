"""Which alerts are firing, since when, and who gets notified?"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from lib.checks.health import LEVEL_LABELS
from lib.checks.troubleshooting.catalogue import SYMPTOMS
from lib.formats import duration, escaped, plural, sentence
from lib.ops.alerts.actions import end_silence
from lib.ops.alerts.rules import RULES, describe, format_measure, subject_name
from lib.ops.conditions import START_WORKER
from lib.queue.queue_state import QueueState
from lib.ui.columns import age_column, count_column, time_column
from lib.ui.confirm import Action, ask, confirmations
from lib.ui.dashboard import actor, format_time, format_time_of_day, pool, read
from lib.ui.export import NEWEST, batches, csv_export
from lib.ui.live import live
from lib.ui.navigation import link
from lib.ui.parts import alerts as parts
from lib.ui.parts.checks import show_checks
from lib.ui.parts.status_strip import reset_button, why_link
from lib.ui.selection import selectable

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
        "View", list(VIEWS), default="Rules", required=True, key="view", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    VIEWS[view]()


def show_watch_state(watch: Mapping[str, Any], firing: list[dict[str, Any]]) -> None:
    if not watch["known"]:
        at = watch["evaluated_at"]
        since = "yet.**"
        if at:
            since = f"since {format_time(at, seconds=True)}.** This page is out of date."
        st.error(
            f"**Alerts not evaluated {since} Alerts are evaluated by workers, process-jobs and this"
            f" app. {START_WORKER}",
            icon=":material/error:",
        )
    elif not firing:
        st.success(
            f"**All good.** {plural(watch['rules'], 'rule')} evaluated at"
            f" {format_time_of_day(watch['evaluated_at'])}.",
            icon=":material/check_circle:",
        )


def show_alert(alert: Mapping[str, Any]) -> None:
    rule = RULES[alert["rule"]]
    since = f"Firing since {format_time(alert['fired_at'], seconds=True)}"
    stuck = 0
    if alert["rule"] == "stuck_jobs":
        now: QueueState = read("overview", "now")
        stuck = now["stuck"]
        if now["stuck_seconds"] is not None:
            # The jobs were stuck before anybody looked.
            oldest = datetime.now(UTC) - timedelta(seconds=now["stuck_seconds"])
            since = f"Oldest heartbeat {format_time(oldest, seconds=True)}. {since}"
    silent = alert["silenced_until"]
    quiet = f", silenced until {format_time(silent)}" if silent else ""
    critical = alert["severity"] == "critical"
    words = f"**{LEVEL_LABELS[alert['severity']]}.** {escaped(describe(alert))}"
    # The text may be long, so the actions go below it.
    with st.container(border=True, gap="xsmall"):
        (st.error if critical else st.warning)(
            words, icon=":material/error:" if critical else ":material/warning:"
        )
        st.markdown(f"**What to do:** {rule.todo}")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{since}{quiet}. {delivery_text(alert)}", width="stretch")
            if stuck:
                reset_button(stuck, "primary")
            link(rule.page)
            why_link()
            length = st.menu_button(
                "Silence alert", list(parts.SILENCE_SECONDS), icon=":material/notifications_off:",
                key=f"silence {alert['id']}",
            )  # fmt: skip
    if length:
        ask(parts.silence_action(alert["rule"], length, alert=alert))


def delivery_text(alert: Mapping[str, Any]) -> str:
    told = alert["told"]
    return f"{plural(told, 'channel')} notified." if told else "No channel notified."


def show_pending_alerts(pending: list[dict[str, Any]]) -> None:
    for alert in pending:
        rule = RULES[alert["rule"]]
        st.caption(
            f":material/hourglass: {escaped(rule.describe(alert))} Fires after"
            f" {duration(alert['for_seconds'])}; {duration(alert['seconds'])} so far."
        )


def show_view(name: str) -> None:
    st.session_state["view"] = name


def show_delivery_problems(watch: Mapping[str, Any], channels: list[dict[str, Any]]) -> None:
    if not watch["channels"]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning(
                "No notification channels. Nobody is paged.", icon=":material/notifications_off:"
            )
            st.button("Set up channels", key="to channels", on_click=show_view, args=["Channels"])
    for channel in channels:
        if channel["waiting"] and channel["last_error"] and channel["enabled"]:
            st.warning(
                f"{plural(channel['waiting'], 'message')} to {escaped(channel['name'])} not"
                f" delivered: {escaped(sentence(channel['last_error']))} Retries stop after a day.",
                icon=":material/notification_important:",
            )


def rules() -> None:
    in_order = parts.in_catalogue_order(read("alerts", "rules"))
    rows = sorted(in_order, key=lambda row: not row["firing"])
    chosen = selectable(
        pd.DataFrame([rule_row(row) for row in rows]),
        [row["rule"] for row in rows],
        name="rules",
        multiple=False,
        selected=[st.query_params.get("rule")],
        alt="Alert rules",
        placeholder="–",
        height="content",
        columns={
            "state": st.column_config.TextColumn("State", width=90),
            "rule": st.column_config.TextColumn("Rule", width=190),
            "now": st.column_config.TextColumn("Now", width=110),
            "severity": st.column_config.TextColumn("Severity", width=85),
            "above": st.column_config.TextColumn("Fires above", width=100),
            "lasting": st.column_config.TextColumn("For", width=90),
            "resolve": st.column_config.TextColumn(
                "Resolves at", width=100, help="Resolves at or below this value."
            ),
            "changed": age_column("Changed"),
        },
        more={
            "minimum": count_column("Minimum jobs"),
            "measures": "Measures",
            "changed_by": "Changed by",
        },
    )
    if chosen:
        parts.rule_form(next(row for row in rows if row["rule"] == chosen[0]))
    else:
        st.caption("Click a rule to see what it measures and change it.")


def rule_row(row: Mapping[str, Any]) -> dict[str, Any]:
    rule = RULES[row["rule"]]
    state = (
        "Off" if not row["enabled"]
        else "Firing" if row["firing"]
        else "Pending" if row["beginning"]
        else "OK"
    )  # fmt: skip
    now, lasting = row["value"], row["for_seconds"]
    return {
        "state": state,
        "rule": rule.title,
        "severity": LEVEL_LABELS[row["severity"]],
        "above": format_measure(rule.unit, row["threshold"]),
        "lasting": duration(lasting) if lasting else None,
        "resolve": format_measure(rule.unit, row["resolve_at"]),
        "now": None if now is None else format_measure(rule.unit, now),
        "changed": row["changed_at"] if row["changed_by"] else None,
        "minimum": row["minimum_jobs"],
        "measures": rule.measures,
        "changed_by": row["changed_by"],
    }


def checks() -> None:
    st.caption("Checks for the usual causes of problems, most likely first, and suggests fixes.")
    show_checks(SYMPTOMS)


def silences() -> None:
    st.header("Active silences")
    rows = read("alerts", "silences")
    if not rows:
        st.caption("No active silences.")
    for row in rows:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            of = f" ({escaped(row['subject'])})" if row["subject"] else ""
            why = f": {escaped(row['reason'])}" if row["reason"] else ""
            st.markdown(
                f"**{parts.rule_title(row['rule'])}**{of} until {format_time(row['until'])}, by"
                f" {escaped(row['created_by'])}{why}",
                width="stretch",
            )
            if st.button("End silence", key=f"end {row['id']}"):
                ask(end_silence_action(row))
    parts.silence_form()


def end_silence_action(row: Mapping[str, Any]) -> Action:
    def run() -> str:
        ended = end_silence(pool(), actor(), row["id"])
        return "Silence ended." if ended else "The silence had already ended."

    return Action(
        "End silence",
        f"Resumes notifications for {parts.quoted(row['rule'])}.",
        "End silence",
        run,
    )


def history() -> None:
    st.header("Alert history")
    rows = read("alerts", "history", most=MAX_SHOWN, **NEWEST)
    if not rows:
        st.caption("No alerts in the last 90 days.")
        return
    st.dataframe(
        pd.DataFrame([history_row(row) for row in rows]),
        hide_index=True,
        alt="Alerts that fired",
        placeholder="–",
        column_config={
            "Fired": time_column(seconds=True, width=130),
            "Duration": st.column_config.TextColumn(width=95),
            "Resolved": time_column(seconds=True, width=130),
            "Rule": st.column_config.TextColumn(width=170),
            "Subject": st.column_config.TextColumn(width=150),
            "Severity": st.column_config.TextColumn(width=80),
            "Worst": st.column_config.TextColumn("Worst value", width=95),
            "Notified": st.column_config.TextColumn(
                "Notified", width=80, help="Number of channels notified."
            ),
        },
    )
    if len(rows) == MAX_SHOWN:
        st.caption(
            f"Showing the newest {MAX_SHOWN}. The export contains all alerts from the last 90 days."
        )


def history_row(row: Mapping[str, Any]) -> dict[str, Any]:
    rule = RULES[row["rule"]]
    return {
        "Fired": row["fired_at"],
        "Duration": duration(row["seconds"]),
        "Resolved": row["resolved_at"],
        "Rule": rule.title,
        "Subject": subject_name(row) or None,
        "Severity": LEVEL_LABELS[row["severity"]],
        "Worst": format_measure(rule.unit, row["worst"]),
        "Notified": f"{row['told']:,}",
    }


VIEWS = {
    "Rules": rules,
    "Channels": parts.channel_list,
    "Silences": silences,
    "History": history,
    "Checks": checks,
}

confirmations()
live(panel, seconds=REFRESH_SECONDS)
if st.session_state.get("view") == "History":
    csv_export(
        "alerts",
        COLUMNS,
        MAX_SHOWN,
        lambda: batches("alerts", "history", NEWEST, ["fired_at", "id"]),
    )
