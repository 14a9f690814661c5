"""The audit log: what each action writes into it, and that reading it does not grow with it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from lib.database import load
from lib.database.pool import Connection
from lib.ui.parts.audit_entries import action_label, describe_change

queries = load("audit")
ALL: dict[str, Any] = {
    "actor": None,
    "action": None,
    "start": None,
    "length": timedelta(days=731),
    "before": None,
    "after": None,
}


def job(db: Connection, status: str, **columns: Any) -> UUID:
    row = db.execute(
        "insert into job_queue (job_type, status, attempts, started_at, updated_at, completed_at)"
        " values ('a', %s, 1, now() - %s * interval '1 hour', now() - interval '1 hour',"
        " case when %s in ('failed', 'cancelled') then now() end) returning id",
        [status, columns.get("hours", 1), status],
    ).fetchone()
    assert row
    return UUID(str(row["id"]))


def last(db: Connection) -> tuple[str, int, Any, Any]:
    """Action, affected, before and after of the newest entry."""
    [row] = queries.entries(db, **ALL, most=1)
    return row["action"], row["affected"], row["before"], row["after"]


def test_actions_on_jobs_say_how_many_were_in_which_state(db: Connection) -> None:
    jobs = [job(db, "processing"), job(db, "pending"), job(db, "failed")]
    db.execute("select reset_stuck_jobs('ann')")
    assert last(db) == ("reset_stuck_jobs", 1, {"processing": 1}, {"pending": 1})
    db.execute("select cancel_jobs('ann', %s)", [jobs])
    assert last(db) == ("cancel_jobs", 2, {"pending": 2}, {"cancelled": 2})
    db.execute("select retry_jobs('ann', %s)", [jobs])
    before = {"failed": 1, "cancelled": 2}
    assert last(db) == ("retry_jobs", 3, before, {"pending": 3})
    db.execute("select retry_jobs('ann', %s)", [jobs])
    assert last(db) == ("retry_jobs", 0, {}, {})


def test_a_pause_says_whose_it_was(db: Connection) -> None:
    db.execute("select pause_queue('ann', 'a', 'tired')")
    action, affected, before, pause = last(db)
    assert (action, affected, before) == ("pause_queue", 1, "claimed")
    assert (pause["paused_by"], pause["reason"]) == ("ann", "tired")
    db.execute("select pause_queue('ben', 'a')")
    assert last(db) == ("pause_queue", 0, pause, pause)
    db.execute("select resume_queue('ben', 'a')")
    assert last(db) == ("resume_queue", 1, pause, "claimed")
    db.execute("select resume_queue('ben', 'a')")
    assert last(db) == ("resume_queue", 0, "claimed", "claimed")


def test_a_test_run_is_recorded_once_and_with_what_it_leaves(db: Connection) -> None:
    run, model = uuid4(), "black-forest-labs/flux-schnell"
    runs = load("test_runs")
    asked = {"actor": "ann", "prompt": "fox", "models": [model], "settings": "{}", "jobs": 2}
    for _ in range(2):
        runs.start_run(db, id=run, **asked)
    [started] = queries.export(db, **{**ALL, "most": 9})
    assert (started["actor"], started["action"], started["affected"]) == (
        "ann",
        "start_test_run",
        2,
    )
    assert started["details"] == {"run_id": str(run), "models": [model], "prompt": "fox"}
    db.execute("select start_test_generations(%s, 'fox', %s, '{}', null, 2, null)", [run, model])
    runs.withdraw_run(db, actor="ann", id=run)
    runs.delete_run(db, actor="ann", run=run)
    assert last(db) == ("delete_test_run", 2, {"pending": 2}, {})
    empty = uuid4()
    runs.start_run(db, id=empty, **asked)
    runs.withdraw_run(db, actor="ann", id=empty)
    assert last(db)[:2] == ("withdraw_test_run", 0)


@pytest.fixture
def filled(db: Connection) -> Connection:
    """Thirty thousand entries of a month, five at each moment, mostly of one actor and action."""
    db.execute(
        "insert into audit_log (at, actor, action, affected)"
        " select now() - (n / 5) * interval '7 minutes',"
        " case when n %% 1000 = 0 then 'rare' when n %% 3 = 0 then 'ben' else 'ann' end,"
        " case when n %% 500 = 0 then 'odd' else 'usual' end, n"
        " from generate_series(1, 30000) n",
        [],
    )
    db.execute("analyze audit_log")
    return db


def test_who_and_what_there_is_is_listed(filled: Connection) -> None:
    assert [row["actor"] for row in queries.actors(filled)] == ["ann", "ben", "rare"]
    assert [row["action"] for row in queries.actions(filled)] == ["odd", "usual"]


@pytest.mark.parametrize("actor", [None, "ben", "rare"])
@pytest.mark.parametrize("action", [None, "odd"])
@pytest.mark.parametrize("days", [None, 10])
def test_pages_follow_each_other_both_ways(filled, actor, action, days) -> None:
    start = datetime.now(UTC) - timedelta(days=days) if days else None
    chosen = ALL | {"actor": actor, "action": action, "start": start}
    chosen["length"] = timedelta(days=5) if days else timedelta(days=731)
    truth = filled.execute(
        "select id from audit_log where actor = coalesce(%(actor)s, actor)"
        " and action = coalesce(%(action)s, action)"
        " and at >= coalesce(%(start)s::timestamptz, '-infinity')"
        " and at < coalesce(%(start)s::timestamptz + %(length)s, 'infinity')"
        " order by at desc, id desc limit 230",
        chosen,
    ).fetchall()
    ids = [row["id"] for row in truth]
    found: list[int] = []
    while len(found) < len(ids):
        place = {"before": found[-1] if found else None}
        found += [row["id"] for row in queries.entries(filled, **chosen | place, most=46)]
    assert found[: len(ids)] == ids
    if len(ids) > 46:
        back = queries.entries(filled, **chosen | {"after": ids[46]}, most=46)
        assert [row["id"] for row in back] == ids[:46]


def test_reading_it_is_in_proportion_to_what_is_shown(filled: Connection) -> None:
    """However rare what is looked for is."""
    for chosen in (
        {},
        {"actor": "rare"},
        {"actor": "ann"},
        {"action": "odd"},
        {"actor": "rare", "action": "odd"},
        {"actor": "nobody"},
        {"before": 25_000},
        {"after": 25_000, "actor": "ben"},
    ):
        read = entries_read(filled)
        # More often than the five times after which a plan no longer depends on its parameters.
        for _ in range(7):
            queries.entries(filled, **ALL | chosen, most=50)
        assert entries_read(filled) - read <= 7 * 60, chosen
    read = entries_read(filled)
    queries.actors(filled), queries.actions(filled)
    assert entries_read(filled) - read <= 10
    assert sequential_scans(filled) == 0


def entries_read(db: Connection) -> int:
    db.execute("select pg_stat_force_next_flush()")
    row = db.execute(
        "select sum(idx_tup_read)::int as n from pg_stat_user_indexes where relname = 'audit_log'"
    ).fetchone()
    assert row
    return int(row["n"])


def sequential_scans(db: Connection) -> int:
    row = db.execute(
        "select seq_scan from pg_stat_user_tables where relname = 'audit_log'"
    ).fetchone()
    assert row
    return int(row["seq_scan"])


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"processing": 2}, {"pending": 2}, "running 2 → pending 2"),
        (0, 100, "0 → 100"),
        ({"daily": None, "hourly": 5}, {"daily": 7, "hourly": 5}, "daily: none → 7"),
        ({"faults": []}, {"faults": ["cut", "slow"]}, "faults: none → cut; slow"),
        ("claimed", {"by": "ann", "on": True}, "claimed → by ann, on true"),
        ({}, {"name": "x"}, "none → name x"),
        (None, None, ""),
    ],
)
def test_a_change_is_readable(before: Any, after: Any, words: str) -> None:
    assert describe_change(before, after) == words


def test_cleared_faults_are_not_called_injected() -> None:
    assert action_label("inject_faults", {"faults": []}) == "Clear all faults"
    assert action_label("inject_faults", {"faults": ["slow"]}) == "Inject faults"
