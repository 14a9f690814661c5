"""A purge goes on by itself, rests when the server is busy, stops when told, outlives outages."""

from datetime import timedelta
from threading import Event

import pytest

from lib.database import QueryError
from lib.ops.maintenance.purge import Pace, Purge

TEN_DAYS = timedelta(days=10)
OLD = 2000


class Slow(Pace):
    """Small batches with rests, however busy the server is."""

    def next(self, seconds: float, lag_seconds: float = 0.0) -> float:
        return 0.02


def audit(db):
    query = "select actor, affected, details from audit_log where action = 'purge_finished_jobs'"
    return db.execute(query).fetchall()


def left(db):
    return db.execute("select count(*) from job_queue").fetchone()["count"]


def test_runs_to_its_end_and_is_recorded_once(filled, database):
    before, ended = left(filled), Event()
    purge = Purge(database, "me", TEN_DAYS, ended.set)
    assert ended.wait(30)
    assert purge.ended
    assert abs(purge.jobs - OLD) < 10
    assert left(filled) == before - purge.jobs
    [record] = audit(filled)
    assert (record["actor"], record["affected"]) == ("me", purge.jobs)
    assert record["details"]["outcome"] == "finished"
    assert record["details"]["batches"] > 1


def test_stops_when_told(filled, database):
    purge = Purge(database, "me", TEN_DAYS, lambda: None, Slow(jobs=20))
    assert filled.execute("select stop_purge('you')").fetchone()["stop_purge"]
    purge.wait(30)
    assert purge.ended
    assert purge.jobs < OLD / 2
    [record] = audit(filled)
    assert (record["affected"], record["details"]["outcome"]) == (purge.jobs, "stopped")


def test_two_do_not_purge_at_once(filled, database):
    purge = Purge(database, "me", TEN_DAYS, lambda: None, Slow(jobs=20))
    with pytest.raises(QueryError, match="is already purging"):
        Purge(database, "you", TEN_DAYS, lambda: None)
    filled.execute("select stop_purge('me')")
    purge.wait(30)


def test_goes_on_after_the_database_was_away(filled, database, database_away):
    purge = Purge(database, "me", TEN_DAYS, lambda: None, Slow(jobs=50))
    with database_away():
        at = purge.jobs
    purge.wait(60)
    assert purge.ended
    assert purge.jobs > max(at, OLD - 10)
    assert len(audit(filled)) == 1


def test_nothing_old_is_nothing_done(filled, database):
    purge = Purge(database, "me", timedelta(days=365), lambda: None)
    purge.wait(30)
    assert (purge.jobs, purge.ended, audit(filled)) == (0, True, [])


def test_a_batch_grows_while_the_server_is_idle_and_shrinks_when_it_is_busy():
    pace = Pace(batch_seconds=0.05, duty=0.25, jobs=200)
    assert pace.next(0.025) == pytest.approx(0.075)
    assert pace.jobs == 400
    assert pace.next(0.2) == pytest.approx(0.6)
    assert pace.jobs == 200
    for _ in range(20):
        pace.next(0.001)
    assert pace.jobs == pace.max_jobs
    for _ in range(20):
        pace.next(3)
    assert pace.jobs == pace.min_jobs


def test_a_standby_that_lags_is_waited_for():
    pace = Pace()
    assert pace.next(0.05, lag_seconds=1) < 1
    assert pace.next(0.05, lag_seconds=9) >= 1
