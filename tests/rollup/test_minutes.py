"""The last hours by the minute say what the rows say, whenever they were folded."""

import random
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from history import History, plain, readers

from lib.database.pool import Connection


@pytest.mark.parametrize("seed", range(3))
def test_readers_equal_the_rows(db: Connection, seed: int) -> None:
    draw = random.Random(seed)
    history = History(db, datetime.now(UTC) - timedelta(minutes=130))
    ended = folded = 0
    while history.now < datetime.now(UTC) - timedelta(minutes=4):
        happen(history, draw)
        ended += compare(db, draw)
        folded += len(list(readers.job_minutes(db)))
        history.now += timedelta(seconds=draw.choice([0, 5, 70, 300]))
    assert min(ended, folded) > 100, "nothing happened that could differ"
    history.refresh()
    assert db.execute("select * from verify_rollup()").fetchall() == []
    before = minutes(db)
    history.rebuild()
    assert minutes(db) == before
    compare(db, draw)


def happen(history: History, draw: random.Random) -> None:
    for _ in range(draw.randint(0, 4)):
        history.enqueue(draw.choice("ab"))
    for job_id in history.claim(draw.randint(1, 4), wait=draw.choice([-1, 0.5, 80])):
        history.now += timedelta(seconds=draw.choice([0.02, 1, 33]))
        match draw.randint(0, 3):
            case 0:
                history.fail(job_id)
            case 1:
                history.cancel([job_id])
            case 2:
                history.complete(job_id)
    match draw.randint(0, 5):
        case 0 | 1:
            history.refresh()
        case 2:
            history.retry(history.finished(draw.choice(["failed", "cancelled"]), 3, draw))


def compare(db: Connection, draw: random.Random) -> int:
    """Asserts that readers and rows agree since some moment; returns the jobs that ended."""
    with db.transaction():
        first = readers.minutes_since(db)
        age = (datetime.now(UTC) - first).total_seconds()
        since = first + timedelta(seconds=draw.uniform(0, age))
        rows = list(plain.recent_jobs(db, since=since))
        assert list(readers.recent_jobs(db, since=since)) == rows
        arrivals = list(plain.recent_arrivals(db, since=since))
        assert list(readers.recent_arrivals(db, since=since)) == arrivals
    return sum(row["jobs"] for row in rows)


def minutes(db: Connection) -> list[list[object]]:
    return [list(readers.job_minutes(db)), list(readers.arrival_minutes(db))]


def test_older_minutes_are_forgotten_and_not_answered_for(db: Connection) -> None:
    db.execute(
        "insert into job_minutes"
        " values (now() - interval '26 hours', 'a', 'completed', 1, 0, 0, 0, 0);"
        "insert into arrival_minutes"
        " values (now() - interval '26 hours', 'completed', now() - interval '27 hours', 1)"
    )
    history = History(db, datetime.now(UTC))
    history.enqueue()
    history.cancel(history.claim())
    history.now += timedelta(seconds=1)
    history.refresh()
    assert readers.oldest_minute(db) >= readers.minutes_since(db)
    with pytest.raises(psycopg.Error, match="is known"):
        db.execute("select * from recent_jobs(now() - interval '26 hours')")
