"""Four worker processes with one queue."""

import journal
import pytest

pytestmark = pytest.mark.slow

JOBS = 400
WORKERS = 4


@pytest.fixture
def four(crew, db, database, eventually):
    """Four workers that wait for jobs."""
    journal.keep(db)
    for _ in range(WORKERS):
        crew.start(database)
    registered = "select from public.workers where stopped_at is null"
    eventually(lambda: len(db.execute(registered).fetchall()) == WORKERS)
    return crew.workers


def ended(db):
    return journal.count(db, "completed", "failed")


def processed(db):
    """How many jobs each worker says it did, by process number."""
    rows = db.execute("select pid, processed, errors from public.workers")
    return {row["pid"]: (row["processed"], row["errors"]) for row in rows}


def look_again(db, eventually):
    """Waits until each worker has looked for jobs since: it polls oftener than it beats."""
    since = db.execute("select clock_timestamp() as now").fetchone()["now"]
    seen = "select from public.workers where last_seen_at > %s + interval '1 second'"
    eventually(lambda: len(db.execute(seen, (since,)).fetchall()) == WORKERS)


def assert_each_ran_once(db, jobs):
    stories = journal.stories(db)
    assert len(stories) == jobs
    for story in stories:
        assert story.course == ["processing 1", "completed 1"], story
        journal.assert_ended_once(story)


def test_four_workers_share_400_jobs(four, crew, db, eventually):
    journal.enqueue(db, JOBS)
    eventually(lambda: ended(db) == JOBS, 60)
    assert_each_ran_once(db, JOBS)
    assert set(crew.predictions().values()) == {1}
    eventually(lambda: sum(done for done, _ in processed(db).values()) >= JOBS)
    for worker in four:
        assert worker.stop() == 0
    counts = processed(db)
    assert counts.keys() == {worker.pid for worker in four}
    assert sum(done for done, _ in counts.values()) == JOBS
    assert all(done > 0 and errors == 0 for done, errors in counts.values()), counts


def test_a_pause_stops_the_claims_of_all_four(four, db, eventually):
    journal.enqueue(db, JOBS)
    eventually(lambda: ended(db) >= JOBS / 10)
    db.execute("select public.pause_queue('chaos')")
    # A claim may have begun before the pause: its jobs end too.
    look_again(db, eventually)
    eventually(lambda: journal.count(db, "processing") == 0)
    done = ended(db)
    assert 0 < done < JOBS
    # More jobs wake them all: still none is claimed.
    journal.enqueue(db, 1, first=JOBS + 1)
    look_again(db, eventually)
    assert (ended(db), journal.count(db, "pending")) == (done, JOBS + 1 - done)
    db.execute("select public.resume_queue('chaos')")
    eventually(lambda: ended(db) == JOBS + 1, 60)
    assert_each_ran_once(db, JOBS + 1)
