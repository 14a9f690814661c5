"""What somebody is told: of an alert's beginning, of its end, or by way of trial."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lib.formats import duration
from lib.ops.alerts.rules import RULES, about
from lib.settings import settings


@dataclass(frozen=True, slots=True)
class Message:
    """Plain text, and what kind of news it is."""

    title: str
    body: str
    kind: Literal["info", "success", "warning", "failure"]


TEST = Message(
    "Darkroom: test",
    "This is a test of an alert channel. Nothing is wrong.",
    "info",
)


def message(told: Mapping[str, Any]) -> Message:
    """The message for a row of claim_notifications."""
    rule = RULES[told["rule"]]
    name = f"{rule.title} ({about(told)})" if about(told) else rule.title
    if told["kind"] == "resolved":
        lasted = (told["resolved_at"] - told["fired_at"]).total_seconds()
        return Message(f"Darkroom: over: {name}", f"It lasted {duration(lasted)}.", "success")
    lines = [
        rule.says(told),
        f"Since {told['fired_at']:%Y-%m-%d %H:%M:%S %Z}.",
        f"What to do: {rule.todo}",
    ]
    if url := settings().public_url:
        lines.append(f"{url}/alerts")
    critical = told["severity"] == "critical"
    return Message(
        f"Darkroom: {told['severity']}: {name}",
        "\n".join(lines),
        "failure" if critical else "warning",
    )
