"""What admins and operators do to alerts. Each is recorded with who did it.

All raise DatabaseUnavailable while the database is away, and QueryError for what makes no sense;
then nothing changed.
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
    """A rule as it is to be: columns as in alert_rules."""

    rule: str
    enabled: bool
    severity: Severity
    threshold: float
    resolve_at: float
    for_seconds: int
    minimum_jobs: int | None


def set_rule(pool: Pool, actor: str, change: RuleChange) -> None:
    """Changes a rule from its next evaluation on."""
    with translated(), pool.connection() as connection:
        load("alert_actions").set_alert_rule(connection, actor=actor, **asdict(change))


def silence(
    pool: Pool, actor: str, rule: str | None, subject: str | None, seconds: int, reason: str = ""
) -> None:
    """Lets alerts of a rule (None: of all) and subject (None: of all) fire without a word."""
    with translated(), pool.connection() as connection:
        load("alert_actions").silence_alerts(
            connection, actor=actor, rule=rule, subject=subject, seconds=seconds, reason=reason
        )


def end_silence(pool: Pool, actor: str, silence_id: UUID) -> bool:
    """Ends a silence. False when it was over."""
    with translated(), pool.connection() as connection:
        return bool(load("alert_actions").end_alert_silence(connection, actor=actor, id=silence_id))


def add_channel(pool: Pool, actor: str, name: str, url: str, least_severity: Severity) -> None:
    """Adds somebody to tell; `url` is a secret. Raises ChannelError for one that is no address."""
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
    """Switches a channel on or off, and sets what it is told of."""
    with translated(), pool.connection() as connection:
        load("alert_actions").set_alert_channel(
            connection,
            actor=actor,
            id=channel_id,
            enabled=enabled,
            least_severity=least_severity,
        )


def remove_channel(pool: Pool, actor: str, channel_id: UUID) -> bool:
    """Deletes a channel and its address. False when it was gone."""
    with translated(), pool.connection() as connection:
        return bool(
            load("alert_actions").remove_alert_channel(connection, actor=actor, id=channel_id)
        )


def send_test_message(pool: Pool, actor: str, channel_id: UUID) -> str | None:
    """Sends a test message now. Returns why it did not arrive, None when it did.

    Blocks until the receiver has answered, up to channels.TIMEOUT_SECONDS.
    """
    sql = load("alert_actions")
    with translated(), pool.connection() as connection:
        test = sql.begin_channel_test(connection, actor=actor, id=channel_id)
    error = send(test["url"], TEST)
    with translated(), pool.connection() as connection:
        sql.settle_notification(connection, id=test["id"], attempt=test["attempt"], error=error)
    return error
