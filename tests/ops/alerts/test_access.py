"""Who may do what: admins change rules and channels, operators silence and test."""

from uuid import UUID

from lib.ops.alerts.actions import RuleChange
from lib.ops.alerts.rules import RULES
from lib.roles import Role
from lib.ui.parts.alerts import (
    add_channel_action,
    change_rule_action,
    remove_channel_action,
    send_test_action,
    silence_action,
    toggle_channel_action,
)

CHANNEL = {
    "id": UUID(int=1), "name": "pager", "enabled": True, "least_severity": "warning", "waiting": 0,
}  # fmt: skip
ROW = {
    "rule": "stuck_jobs", "enabled": True, "severity": "warning", "threshold": 0.0,
    "resolve_at": 0.0, "for_seconds": 0, "minimum_jobs": None,
}  # fmt: skip


def test_admins_set_up_and_operators_act():
    rule = change_rule_action(RULES["stuck_jobs"], ROW, RuleChange(**(ROW | {"threshold": 3.0})))
    channel = add_channel_action("pager", "json://host", "warning")
    of_admins = [rule, channel, toggle_channel_action(CHANNEL), remove_channel_action(CHANNEL)]
    assert {action.needs for action in of_admins} == {Role.ADMIN}
    of_operators = [send_test_action(CHANNEL), silence_action("stuck_jobs", "1 hour")]
    assert {action.needs for action in of_operators} == {Role.OPERATOR}


def test_a_change_is_said_before_it_is_made():
    row = ROW | {"rule": "failure_rate", "threshold": 0.1, "resolve_at": 0.08, "minimum_jobs": 10}
    change = RuleChange(**(row | {"threshold": 0.2, "for_seconds": 90, "severity": "critical"}))
    assert change_rule_action(RULES["failure_rate"], row, change).effect == (
        "Changes the rule “Failure rate” from “warning above 10%, resolves at 8%, with 10 jobs or"
        " more” to"
        " “critical above 20% for 1 min 30 s, resolves at 8%, with 10 jobs or more”."
    )
