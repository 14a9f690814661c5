"""Parts of the Alerts page: the channel list, and the forms for rules, channels and silences.

Forms only open a confirmation dialog (lib.ui.confirm), which runs the action.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from lib.formats import duration, escaped, plural
from lib.ops.alerts.actions import (
    RuleChange,
    add_channel,
    remove_channel,
    send_test_message,
    set_channel,
    set_rule,
    silence,
)
from lib.ops.alerts.channels import ChannelError, redacted
from lib.ops.alerts.rules import RULES, Rule, format_measure, subject_name
from lib.roles import Role
from lib.ui.confirm import Action, ask
from lib.ui.dashboard import actor, format_time, pool, read

SEVERITIES = ["warning", "critical"]
SILENCE_SECONDS = {"1 hour": 3600, "4 hours": 14_400, "1 day": 86_400, "1 week": 604_800}
"""Silence durations to choose from, in seconds."""


def rule_form(row: Mapping[str, Any]) -> None:
    """Form that edits a rule, given as a row of the query `rules`."""
    rule = RULES[row["rule"]]
    # A new key after each change, so that the form never shows outdated values.
    key = f"{row['rule']} {row['changed_at']}"
    scale = 100 if rule.unit == "share" else 1
    unit = "%" if rule.unit == "share" else rule.unit
    with st.form(key, border=True):
        st.markdown(f"**{rule.title}.** {rule.measures}")
        enabled = st.toggle("On", row["enabled"], key=f"{key} on")
        with st.container(horizontal=True):
            threshold = _number(f"Fires above ({unit})", row["threshold"] * scale, f"{key} above")
            resolve_at = _number(f"Resolves at ({unit})", row["resolve_at"] * scale, f"{key} over")
            for_seconds = _number(
                "For (s)",
                row["for_seconds"],
                f"{key} for",
                "How long the value must stay above “Fires above” before the alert fires, and at or"
                " below “Resolves at” before it resolves.",
            )
            minimum = row["minimum_jobs"] and _number(
                "Minimum jobs", row["minimum_jobs"], f"{key} minimum"
            )
            severity = st.selectbox(
                "Severity",
                SEVERITIES,
                SEVERITIES.index(row["severity"]),
                key=f"{key} severity",
                width=160,
                help="While a critical alert is firing, /healthz responds with 503.",
            )
        if st.form_submit_button("Save rule", type="primary"):
            change = RuleChange(
                rule=row["rule"],
                enabled=enabled,
                severity="critical" if severity == "critical" else "warning",
                threshold=threshold / scale,
                resolve_at=resolve_at / scale,
                for_seconds=int(for_seconds),
                minimum_jobs=int(minimum) if minimum else None,
            )
            ask(change_rule_action(rule, row, change))


def _number(label: str, value: float, key: str, about: str | None = None) -> float:
    found: float = st.number_input(
        label, 0.0, None, round(float(value), 6), format="%g", key=key, width=160, help=about
    )
    return found


def change_rule_action(rule: Rule, row: Mapping[str, Any], change: RuleChange) -> Action:
    """Update a rule."""

    def run() -> str:
        set_rule(pool(), actor(), change)
        return f"Rule “{rule.title}” saved."

    before, after = (
        describe_rule(rule, row),
        describe_rule(rule, {name: getattr(change, name) for name in change.__slots__}),
    )
    return Action(
        "Save rule",
        f"Changes the rule “{rule.title}” from “{before}” to “{after}”."
        if before != after
        else f"The rule “{rule.title}” does not change: {after}.",
        "Save rule",
        run,
        needs=Role.ADMIN,
    )


def describe_rule(rule: Rule, row: Mapping[str, Any]) -> str:
    """A rule's settings as text."""
    if not row["enabled"]:
        return "off"
    words = f"{row['severity']} above {format_measure(rule.unit, row['threshold'])}"
    if row["for_seconds"]:
        words += f" for {duration(row['for_seconds'])}"
    words += f", resolves at {format_measure(rule.unit, row['resolve_at'])}"
    return words + (f", with {row['minimum_jobs']:,} jobs or more" if row["minimum_jobs"] else "")


def channel_form() -> None:
    """Form that adds a notification channel."""
    with st.form("channel", clear_on_submit=True):
        st.markdown("**New channel**")
        with st.container(horizontal=True):
            name = st.text_input("Name", max_chars=60, width=220)
            url = st.text_input(
                "Apprise URL",
                type="password",
                width=420,
                autocomplete="off",
                help="For example slack://token/token/token, pagerduty://key@apikey,"
                " mailtos://user:password@host?to=address or jsons://host/path for a webhook."
                " About 180 services are listed at github.com/caronc/apprise/wiki. The URL is"
                " stored in the database and never shown again.",
            )
            severity = st.selectbox(
                "Receives", SEVERITIES, format_func=SEVERITY_LABELS.__getitem__, width=220
            )
        if st.form_submit_button("Add channel"):
            try:
                ask(add_channel_action(name.strip(), url.strip(), severity))
            except ChannelError as error:
                st.error(str(error))


SEVERITY_LABELS = {"warning": "all alerts", "critical": "critical alerts only"}


def add_channel_action(name: str, url: str, severity: str | None) -> Action:
    """Add a channel. Raises ChannelError for an invalid URL or an empty name."""
    visible = redacted(url)
    if not name:
        raise ChannelError("Enter a name for the channel.")

    def run() -> str:
        add_channel(pool(), actor(), name, url, "critical" if severity == "critical" else "warning")
        return f"Channel {escaped(name)} added. It also receives the alerts that are firing now."

    return Action(
        "Add channel",
        f"{escaped(name)} ({escaped(visible)}) receives {SEVERITY_LABELS[severity or 'warning']}.",
        "Add channel",
        run,
        needs=Role.ADMIN,
    )


def silence_form() -> None:
    """Form that silences one rule or all of them."""
    with st.form("silence", clear_on_submit=True):
        st.markdown("**New silence**")
        with st.container(horizontal=True):
            rule = st.selectbox(
                "Alerts", [None, *RULES], format_func=rule_title, width=260, key="silenced rule"
            )
            length = st.selectbox("For", list(SILENCE_SECONDS), width=140)
            reason = st.text_input("Reason", max_chars=200, width=380)
        if st.form_submit_button("Silence alerts"):
            ask(silence_action(rule, length, reason=reason))


def rule_title(rule: str | None) -> str:
    """Title of a rule; None stands for all rules."""
    return RULES[rule].title if rule else "All alerts"


def quoted(rule: str | None) -> str:
    """A rule in a sentence; None stands for all rules."""
    return f"“{RULES[rule].title}”" if rule else "all alerts"


def silence_action(
    rule: str | None, length: str, *, alert: Mapping[str, Any] | None = None, reason: str = ""
) -> Action:
    """Silence a rule (None: all rules), or only the subject of `alert`."""
    subject: str | None = alert["subject"] if alert else None
    which = quoted(rule)

    def run() -> str:
        silence(pool(), actor(), rule, subject, SILENCE_SECONDS[length], reason)
        return f"{which[0].upper()}{which[1:]} silenced for {length}."

    of = f" ({escaped(subject_name(alert))})" if alert and subject_name(alert) else ""
    title = "Silence alert" if alert else "Silence alerts"
    return Action(
        title,
        f"Silences {which}{of} for {length}: no notifications are sent. Alerts still fire here and"
        " in /healthz, and any still firing when the silence ends are sent then.",
        title,
        run,
    )


def in_catalogue_order(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows with a `rule` column, sorted as in the rule catalogue."""
    return sorted(rows, key=lambda row: list(RULES).index(row["rule"]))


def channel_list() -> None:
    """Draw all channels with their actions, and the form to add one."""
    st.header("Channels")
    for channel in read("alerts", "channels"):
        _one_channel(channel)
    channel_form()


def _one_channel(channel: Mapping[str, Any]) -> None:
    name, key = escaped(channel["name"]), str(channel["id"])
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            off = "" if channel["enabled"] else " :gray-badge[Off]"
            st.markdown(
                f"**{name}**{off} {escaped(channel['shown'])}, receives"
                f" {SEVERITY_LABELS[channel['least_severity']]}",
                width="stretch",
            )
            if st.button("Send test", key=f"test {key}", icon=":material/send:"):
                ask(send_test_action(channel))
            if st.button(_toggle_label(channel), key=f"switch {key}"):
                ask(toggle_channel_action(channel))
            if st.button("Remove channel", key=f"remove {key}"):
                ask(remove_channel_action(channel))
        st.caption(_last_delivery(channel))


def _last_delivery(channel: Mapping[str, Any]) -> str:
    if not channel["last_at"]:
        return "No messages sent yet."
    words = f"Last message ({channel['last_kind']}, {format_time(channel['last_at'])})"
    error = channel["last_error"]
    return f"{words} failed: {escaped(error)}" if error else f"{words} delivered."


def send_test_action(channel: Mapping[str, Any]) -> Action:
    """Send a test message."""
    name = escaped(channel["name"])

    def run() -> str:
        error = send_test_message(pool(), actor(), channel["id"])
        return f"Test to {name} failed: {escaped(error)}" if error else f"Test sent to {name}."

    return Action("Send test", f"Sends a test message to {name}.", "Send test", run)


def toggle_channel_action(channel: Mapping[str, Any]) -> Action:
    """Switch a channel on or off."""
    name, on = escaped(channel["name"]), not channel["enabled"]
    effect = (
        f"{name} receives alerts again, including those firing now." if on
        else f"{name} receives nothing until it is switched on again."
    )  # fmt: skip

    def run() -> str:
        set_channel(
            pool(), actor(), channel["id"], enabled=on, least_severity=channel["least_severity"]
        )
        return effect

    label = _toggle_label(channel)
    return Action(label, effect, label, run, needs=Role.ADMIN)


def _toggle_label(channel: Mapping[str, Any]) -> str:
    return "Switch off channel" if channel["enabled"] else "Switch on channel"


def remove_channel_action(channel: Mapping[str, Any]) -> Action:
    """Delete a channel."""
    name = escaped(channel["name"])

    def run() -> str:
        gone = remove_channel(pool(), actor(), channel["id"])
        return f"Channel {name} removed." if gone else f"{name} had already been removed."

    return Action(
        "Remove channel",
        f"Deletes {name} with its URL and {plural(channel['waiting'], 'undelivered message')}.",
        "Remove channel",
        run,
        needs=Role.ADMIN,
    )
