"""A queue whose alerts are evaluated when a test says so."""

from collections.abc import Callable
from typing import Any

import pytest
from causes import Queue

from lib.database.pool import Connection


@pytest.fixture
def queue(db: Connection) -> Queue:
    return Queue(db)


@pytest.fixture
def evaluate(db: Connection) -> Callable[..., list[dict[str, Any]]]:
    """Evaluates the rules, and gives the alerts of a rule, oldest first."""

    def evaluate(rule: str) -> list[dict[str, Any]]:
        db.execute("select public.evaluate_alerts()")
        return db.execute(
            "select * from public.alerts where rule = %s order by began_at, id", (rule,)
        ).fetchall()

    return evaluate


@pytest.fixture
def change_rule(db: Connection) -> Callable[..., None]:
    """Changes some of what a rule says, as an admin does."""

    def change(rule: str, **changes: Any) -> None:
        row = db.execute("select * from public.alert_rules where rule = %s", (rule,)).fetchone()
        db.execute(
            "select public.set_alert_rule('me', %(rule)s, %(enabled)s, %(severity)s,"
            " %(threshold)s, %(resolve_at)s, %(for_seconds)s, %(minimum_jobs)s)",
            row | changes,
        )

    return change


@pytest.fixture
def add_channel(db: Connection) -> Callable[..., Any]:
    """Adds somebody to tell, and gives the id."""

    def add(name: str = "pager", url: str = "json://receiver", severity: str = "warning") -> Any:
        row = db.execute(
            "select public.add_alert_channel('me', %s, %s, 'json://', %s) as id",
            (name, url, severity),
        ).fetchone()
        return row and row["id"]

    return add


@pytest.fixture
def told(db: Connection) -> Callable[[], list[str]]:
    """What was to be told so far, in order, each as "kind rule"."""

    def told() -> list[str]:
        return [
            f"{row['kind']} {row['rule']}"
            for row in db.execute(
                "select n.kind, a.rule from public.alert_notifications n"
                " join public.alerts a on a.id = n.alert_id order by n.created_at, n.id"
            )
        ]

    return told
