"""Actions of admins and operators on alerts, recorded in the audit log.

All raise DatabaseUnavailable while the database is unreachable and QueryError for invalid
arguments; nothing changes then.
"""

from dataclasses import asdict, dataclass
from typing import Literal
from uuid import UUID

from lib.database import Pool, load, translated
from lib.ops.alerts.channels import redacted, send
from lib.ops.alerts.messages import TEST

Severity = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True)
class RuleChange:
    """New values of a rule; the columns of alert_rules."""

    rule: str
    enabled: bool
    severity: Severity
    threshold: float
    resolve_at: float
    for_seconds: int
    minimum_jobs: int | None


def set_rule(pool: Pool, actor: str, change: RuleChange) -> None:
    """Change a rule, effective from its next evaluation."""
    with translated(), pool.connection() as connection:
        load("alert_actions").set_alert_rule(connection, actor=actor, **asdict(change))


def silence(
    pool: Pool, actor: str, rule: str | None, subject: str | None, seconds: int, reason: str = ""
) -> None:
    """Suppress notifications for a rule and subject (None: all) for `seconds`."""
    with translated(), pool.connection() as connection:
        load("alert_actions").silence_alerts(
            connection, actor=actor, rule=rule, subject=subject, seconds=seconds, reason=reason
        )


def end_silence(pool: Pool, actor: str, silence_id: UUID) -> bool:
    """End a silence. False if it had already ended."""
    with translated(), pool.connection() as connection:
        return bool(load("alert_actions").end_alert_silence(connection, actor=actor, id=silence_id))


def add_channel(pool: Pool, actor: str, name: str, url: str, least_severity: Severity) -> None:
    """Add a notification channel; `url` is a secret. Raises ChannelError if it is invalid."""
    redacted_url = redacted(url)
    with translated(), pool.connection() as connection:
        load("alert_actions").add_alert_channel(
            connection,
            actor=actor,
            name=name,
            url=url,
            shown=redacted_url,
            least_severity=least_severity,
        )


def set_channel(
    pool: Pool, actor: str, channel_id: UUID, *, enabled: bool, least_severity: Severity
) -> None:
    """Enable or disable a channel and set its minimum severity."""
    with translated(), pool.connection() as connection:
        load("alert_actions").set_alert_channel(
            connection,
            actor=actor,
            id=channel_id,
            enabled=enabled,
            least_severity=least_severity,
        )


def remove_channel(pool: Pool, actor: str, channel_id: UUID) -> bool:
    """Delete a channel and its address. False if it no longer existed."""
    with translated(), pool.connection() as connection:
        return bool(
            load("alert_actions").remove_alert_channel(connection, actor=actor, id=channel_id)
        )


def send_test_message(pool: Pool, actor: str, channel_id: UUID) -> str | None:
    """Send a test message. Returns an error message, or None if it was delivered.

    Blocks for up to channels.TIMEOUT_SECONDS.
    """
    sql = load("alert_actions")
    with translated(), pool.connection() as connection:
        test = sql.begin_channel_test(connection, actor=actor, id=channel_id)
    error = send(test["url"], TEST)
    with translated(), pool.connection() as connection:
        sql.settle_notification(connection, id=test["id"], attempt=test["attempt"], error=error)
    return error
