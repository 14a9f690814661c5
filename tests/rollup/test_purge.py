"""Purged jobs go, their figures stay."""

from datetime import timedelta

import pytest
from history import FOREVER, History, compare, compare_health

from lib.database import QueryError, connect, translated


@pytest.fixture
def week(history: History) -> History:
    """A job of each ending every four hours for a week, of one user and one model."""
    for _ in range(42):
        for _ in range(3):
            history.enqueue(user="00000000-0000-0000-0000-000000000001", model_id="m")
        done, failed, cancelled = history.claim(3)
        history.now += timedelta(seconds=12)
        history.complete(done)
        history.fail(failed, "no luck at 12:30")
        history.cancel([cancelled])
        history.now += timedelta(hours=4)
    return history


def test_figures_stay(week):
    week.refresh()
    assert week.purge(week.now - timedelta(days=3)) == 72
    assert week.value("select count(*) from job_queue") == 54
    assert compare(week.db, FOREVER) == 126
    compare_health(week.db)
    week.refresh()
    assert compare(week.db, FOREVER, "day") == 126
    compare_health(week.db)
    assert week.db.execute("select * from verify_rollup()").fetchall() == []
    week.rebuild()
    assert compare(week.db, FOREVER, "all") == 126


def test_figures_stay_before_anything_was_folded(week):
    assert week.purge(week.now - timedelta(days=3)) == 72
    assert compare(week.db, FOREVER) == 126
    compare_health(week.db)
    week.refresh()
    assert compare(week.db, FOREVER, "day") == 126


def test_goes_in_batches_from_the_oldest(week):
    week.refresh()
    before = week.now - timedelta(days=3)
    assert [week.purge(before, 50) for _ in range(3)] == [50, 22, 0]
    week.refresh()
    assert compare(week.db, FOREVER) == 126


def test_leaves_live_jobs_and_the_current_hour_alone(week):
    waiting = week.enqueue()
    assert week.purge(week.now.replace(year=2999)) == 126
    assert week.ids("select id from job_queue") == [waiting]
    week.db.execute("select complete_job(id) from claim_next_job()")
    assert week.purge(week.now.replace(year=2999)) == 0


def test_a_job_that_someone_holds_is_left_for_later(week, database):
    oldest = "select id from job_queue order by completed_at limit 1"
    with connect(database) as other, other.transaction():
        other.execute(oldest + " for update")
        assert week.purge(week.now) == 125
    assert week.purge(week.now) == 1


def test_the_service_role_purges(week):
    with week.db.transaction():
        week.db.execute("set local role service_role")
        assert week.value("select purge_jobs('operator', 'infinity')") == 126


def test_is_recorded_with_its_actor_and_without_ids(week):
    week.purge(week.now)
    record = week.db.execute("select actor, action, affected, details from audit_log").fetchall()
    [record] = [row for row in record if row["action"] == "purge_jobs"]
    assert (record["actor"], record["affected"]) == ("operator", 126)
    assert record["details"].keys() == {"finished_before"}


def test_nothing_to_purge_is_not_recorded(history):
    assert history.purge(history.now) == 0
    assert history.value("select count(*) from audit_log") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("' ', now()", "say who does this"),
        ("'operator', null", "say up to when"),
        ("'operator', now(), 0", "choose 1 to 100000"),
    ],
)
def test_bad_arguments_are_refused(history, arguments, message):
    with pytest.raises(QueryError, match=message), translated():
        history.value(f"select purge_jobs({arguments})")
