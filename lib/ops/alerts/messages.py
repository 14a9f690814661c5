"""Notification messages: alert firing, alert resolved, channel test."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lib.formats import duration
from lib.ops.alerts.rules import RULES, subject_name
from lib.settings import settings


@dataclass(frozen=True, slots=True)
class Message:
    """A plain-text message; `kind` is an Apprise notification type."""

    title: str
    body: str
    kind: Literal["info", "success", "warning", "failure"]


TEST = Message(
    "Darkroom: test",
    "Test message for this alert channel.",
    "info",
)


def message(notification: Mapping[str, Any]) -> Message:
    """Message for a row of claim_notifications."""
    rule = RULES[notification["rule"]]
    name = (
        f"{rule.title} ({subject_name(notification)})" if subject_name(notification) else rule.title
    )
    if notification["kind"] == "resolved":
        seconds = (notification["resolved_at"] - notification["fired_at"]).total_seconds()
        return Message(
            f"Darkroom: resolved: {name}", f"Was firing for {duration(seconds)}.", "success"
        )
    lines = [
        rule.describe(notification),
        f"Since {notification['fired_at']:%Y-%m-%d %H:%M:%S %Z}.",
        f"What to do: {rule.todo}",
    ]
    if url := settings().public_url:
        lines.append(f"{url}/alerts")
    critical = notification["severity"] == "critical"
    return Message(
        f"Darkroom: {notification['severity']}: {name}",
        "\n".join(lines),
        "failure" if critical else "warning",
    )
