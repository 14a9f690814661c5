"""Whatever happens to jobs, and whenever the rollups are folded: readers say what the rows say."""

import random
from datetime import datetime, timedelta

import pytest
from history import FOREVER, History, compare, compare_health

USERS = [None] + [f"00000000-0000-0000-0000-00000000000{n}" for n in range(4)]
ERRORS = [
    "no luck",
    "job 17 failed at https://x.test/17",
    "job 18 failed at https://x.test/18",
    "ü" * 300,
]
STEPS = 90
EVENTS = (
    ["enqueue"] * 5
    + ["claim"] * 6
    + ["cancel", "retry", "retry", "purge", "delete"]
    + ["refresh"] * 4
)


@pytest.mark.parametrize("seed", range(4))
def test_readers_equal_the_rows(history: History, seed: int) -> None:
    draw = random.Random(seed)
    begin = history.now
    seen = 0
    for step in range(STEPS):
        happen(history, draw, draw.choice(EVENTS))
        history.now += timedelta(seconds=draw.choice([0, 0.02, 7, 600, 4000, 15000]))
        if step % 4 == 0:
            bucket = draw.choice(["hour", "day", "all"])
            seen += compare(history.db, some_time(history, draw, begin), bucket)
            compare_health(history.db)
    assert seen > 50, "nothing happened that could differ"
    history.refresh()
    assert compare(history.db, FOREVER) > 20
    assert history.db.execute("select * from verify_rollup()").fetchall() == []
    before = rollups(history)
    history.rebuild()
    assert rollups(history) == before


def happen(history: History, draw: random.Random, event: str) -> None:
    if event == "enqueue":
        for _ in range(draw.randint(1, 8)):
            model = draw.choice([{}, {"model_id": "m/1"}, {"model_id": "m/2"}])
            history.enqueue(draw.choice("ab"), draw.choice(USERS), **model)
    elif event == "claim":
        claimed = history.claim(draw.randint(1, 6), wait=draw.choice([-1, 0, 0.3, 80.5]))
        for job_id in claimed:
            history.now += timedelta(seconds=draw.choice([0, 0.0004, 0.0104, 1.1, 33, 5000]))
            if draw.random() < 0.5:
                history.complete(job_id)
            elif draw.random() < 0.9:
                history.fail(job_id, draw.choice(ERRORS), draw.choice([None, "timeout", "refused"]))
    elif event == "cancel":
        history.cancel(history.finished(draw.choice(["pending", "processing"]), 3, draw))
    elif event == "retry":
        history.retry(history.finished(draw.choice(["failed", "cancelled"]), 3, draw))
    elif event == "purge":
        history.purge(history.now - timedelta(hours=draw.randint(2, 40)), draw.choice([2, 1000]))
    elif event == "delete":
        gone = history.finished("completed", 1, draw)
        history.db.execute("delete from job_queue where id = any(%s)", [gone])
    else:
        history.refresh()


def some_time(history: History, draw: random.Random, begin: datetime) -> dict[str, datetime]:
    span = (history.now - begin).total_seconds() + 4000
    first, last = sorted(begin + timedelta(seconds=draw.uniform(-100, span)) for _ in range(2))
    if draw.random() < 0.2:
        first, last = begin, history.now
    # Of purged jobs only whole hours count.
    purged = "select exists (select from purged_jobs where date_trunc('hour', completed_at) = %s)"
    return {
        "since": hour(first) if history.value(purged, hour(first)) else first,
        "until": hour(last) if history.value(purged, hour(last)) else last,
    }


def hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def rollups(history: History) -> list[list[dict[str, object]]]:
    return [
        history.db.execute(statement).fetchall()
        for statement in (
            "select * from job_rollup r order by r::text",
            "select * from job_rollup_daily r order by r::text",
            "select * from arrival_rollup r order by r::text",
            "select * from failure_rollup r order by r::text",
        )
    ]
